"""Agents: the requests they send, the entries they share, and the costs they report."""

from __future__ import annotations

import asyncio
import contextlib

import openai
import pytest

from spark_cache import Agent, AgentConfig, CacheMissError, OpenAIModel
from spark_cache.agents import CostStats
from spark_cache.testing import StandInProvider


@pytest.fixture
def provider():
    with StandInProvider(latency_seconds=0.02) as running:
        yield running


@pytest.fixture
async def make_agent(provider, tmp_path):
    """Create agents whose models call the stand-in, and close the models after the test."""
    async with contextlib.AsyncExitStack() as stack:

        def make(model_id="gpt-4o", **values):
            model = OpenAIModel(
                model_id,
                enable_cache=True,
                cache_dir=tmp_path / "cache",
                client_args={"base_url": provider.base_url, "api_key": "test", "max_retries": 0},
            )
            stack.push_async_callback(model.aclose)
            return Agent(config=AgentConfig(model=model, **values))

        yield make


async def test_process_returns_the_text(make_agent, provider):
    """An agent sends its system prompt and the question, and returns the text of the response."""
    answer = await make_agent(system_prompt="Be brief.").process("What is Python?")
    assert answer.startswith("[stand-in] You asked: What is Python?")
    assert provider.requests[-1].body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is Python?"},
    ]


async def test_call_parameters_override_agent_parameters(make_agent, provider):
    """Every call sends the agent's parameters, and the parameters of a call override them."""
    agent = make_agent(parameters={"temperature": 0, "seed": 1})
    await agent.run("What is Python?", seed=2)
    body = provider.requests[-1].body
    assert (body["temperature"], body["seed"]) == (0, 2)


async def test_run_accepts_cache_options(make_agent):
    """``run`` accepts the cache options of a call."""
    with pytest.raises(CacheMissError):
        await make_agent().run("What is Python?", cache="replay")


async def test_agents_share_entries(make_agent, provider):
    """Agents with the same model and system prompt share entries."""
    first = await make_agent(name="one").process("What is Python?")
    other = make_agent(name="other")
    assert await other.process("What is Python?") == first
    assert provider.calls == 1
    assert (other.get_cost_stats().calls, other.get_cost_stats().hits) == (1, 1)
    assert other.name == "other"


async def test_agents_with_different_prompts_share_nothing(make_agent, provider):
    """Agents with different system prompts share nothing."""
    await make_agent(system_prompt="Be brief.").process("What is Python?")
    await make_agent(system_prompt="Be long.").process("What is Python?")
    assert provider.calls == 2


async def test_a_hit_saves_the_cost_of_its_call(make_agent):
    """A call costs the price in the price table. A hit costs nothing and saves the same amount."""
    agent = make_agent()
    await agent.process("What is Python?")
    cost = agent.get_cost_stats().total_cost
    assert cost > 0
    await agent.process("What is Python?")
    assert agent.get_cost_stats() == CostStats(calls=2, hits=1, total_cost=cost, cache_savings=cost)


async def test_equal_concurrent_questions_cost_one_call(make_agent, provider):
    """Equal concurrent questions make one provider call and cost one call."""
    agent = make_agent()
    await asyncio.gather(*(agent.process("What is Python?") for _ in range(5)))
    assert provider.calls == 1
    stats = agent.get_cost_stats()
    assert (stats.calls, stats.hits) == (5, 4)
    assert stats.cache_savings == pytest.approx(4 * stats.total_cost)


async def test_unknown_price_is_counted(make_agent):
    """Calls to a model without a known price succeed and are counted as unpriced."""
    agent = make_agent("my-own-model")
    await agent.process("What is Python?")
    assert agent.get_cost_stats() == CostStats(calls=1, unpriced_calls=1)


async def test_failed_call_is_not_counted(make_agent, provider):
    """The agent raises the SDK's error and does not count the call."""
    agent = make_agent()
    provider.fail_next(429)
    with pytest.raises(openai.RateLimitError):
        await agent.process("What is Python?")
    assert agent.get_cost_stats() == CostStats()


def test_repr_shows_no_prompt(provider):
    """The repr of a configuration shows neither the system prompt nor the parameters."""
    config = AgentConfig(model=OpenAIModel("gpt-4o"), system_prompt="hush", parameters={"user": "hush"})
    assert "hush" not in repr(config)
