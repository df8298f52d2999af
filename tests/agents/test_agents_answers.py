"""Agents: what they ask, what they share, and what it cost."""

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
    """Makes agents of a model of the stand-in, and closes their models."""
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


async def test_process(make_agent, provider):
    """An agent sends its system prompt and the question, and returns the text of the answer."""
    answer = await make_agent(system_prompt="Be brief.").process("What is Python?")
    assert answer.startswith("[stand-in] You asked: What is Python?")
    assert provider.requests[-1].body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is Python?"},
    ]


async def test_run_with_parameters(make_agent, provider):
    """The agent's parameters go with every question; those of a question win."""
    agent = make_agent(parameters={"temperature": 0, "seed": 1})
    await agent.run("What is Python?", seed=2)
    body = provider.requests[-1].body
    assert (body["temperature"], body["seed"]) == (0, 2)


async def test_options_of_the_cache(make_agent):
    """The options of a call that are meant for the cache are taken too."""
    with pytest.raises(CacheMissError):
        await make_agent().run("What is Python?", cache="replay")


async def test_agents_share_answers(make_agent, provider):
    """What one agent asked, another with the same model and prompt need not ask."""
    first = await make_agent(name="one").process("What is Python?")
    other = make_agent(name="other")
    assert await other.process("What is Python?") == first
    assert provider.calls == 1
    assert (other.get_cost_stats().calls, other.get_cost_stats().hits) == (1, 1)
    assert other.name == "other"


async def test_another_prompt_is_another_question(make_agent, provider):
    """Agents with different system prompts share nothing."""
    await make_agent(system_prompt="Be brief.").process("What is Python?")
    await make_agent(system_prompt="Be long.").process("What is Python?")
    assert provider.calls == 2


async def test_costs(make_agent):
    """A call costs what the price table says; a hit costs nothing and saves as much."""
    agent = make_agent()
    await agent.process("What is Python?")
    cost = agent.get_cost_stats().total_cost
    assert cost > 0
    await agent.process("What is Python?")
    assert agent.get_cost_stats() == CostStats(calls=2, hits=1, total_cost=cost, cache_savings=cost)


async def test_shared_calls_cost_once(make_agent, provider):
    """Equal questions at the same time make one call, and cost one."""
    agent = make_agent()
    await asyncio.gather(*(agent.process("What is Python?") for _ in range(5)))
    assert provider.calls == 1
    stats = agent.get_cost_stats()
    assert (stats.calls, stats.hits) == (5, 4)
    assert stats.cache_savings == pytest.approx(4 * stats.total_cost)


async def test_unknown_price(make_agent):
    """A model without a known price is answered all the same, and its calls are counted as such."""
    agent = make_agent("my-own-model")
    await agent.process("What is Python?")
    assert agent.get_cost_stats() == CostStats(calls=1, unpriced_calls=1)


async def test_error_is_not_a_call(make_agent, provider):
    """The SDK's error comes through, and is not counted."""
    agent = make_agent()
    provider.fail_next(429)
    with pytest.raises(openai.RateLimitError):
        await agent.process("What is Python?")
    assert agent.get_cost_stats() == CostStats()


def test_repr_shows_no_prompt(provider):
    """The repr of a configuration shows neither the system prompt nor the parameters."""
    config = AgentConfig(model=OpenAIModel("gpt-4o"), system_prompt="hush", parameters={"user": "hush"})
    assert "hush" not in repr(config)
