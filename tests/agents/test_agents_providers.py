"""Agents with tools through the SDKs of all providers: what each provider receives between two turns."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from spark_cache import Agent, AgentConfig
from spark_cache.models import AnthropicModel, BedrockModel, GeminiModel, ModelResponse, OpenAIModel, ToolCall
from spark_cache.testing import StandInProvider
from spark_cache.testing.standin.transport import Reply

if TYPE_CHECKING:
    from spark_cache import Model

_THOUGHT = "The user wants to know the weather."
_CHAT_CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Paris"}'},
}

_CHAT_TURN = {
    "role": "assistant",
    "content": None,
    "reasoning_content": _THOUGHT,
    "tool_calls": [_CHAT_CALL],
}
_ITEMS = [
    {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": _THOUGHT}],
        "encrypted_content": "c2VjcmV0",
    },
    {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "c1",
        "name": "weather",
        "arguments": '{"city":"Paris"}',
        "status": "completed",
    },
]
_BLOCKS = [
    {"type": "thinking", "thinking": _THOUGHT, "signature": "c2lnbmVk"},
    {"type": "redacted_thinking", "data": "c2VjcmV0"},
    {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Paris"}},
]
_PARTS = [
    {"text": _THOUGHT, "thought": True},
    {"functionCall": {"name": "weather", "args": {"city": "Paris"}}, "thoughtSignature": "c2lnbmVk"},
]
_CONVERSE = [
    {"reasoningContent": {"reasoningText": {"text": _THOUGHT, "signature": "c2lnbmVk"}}},
    {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
    {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Paris"}}},
]

_USED = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}

ANSWERS: dict[str, dict[str, Any]] = {
    "chat": {
        "id": "a",
        "object": "chat.completion",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {**_CHAT_TURN, "refusal": None, "annotations": []},
                "finish_reason": "tool_calls",
            }
        ],
    },
    "responses": {
        "id": "a",
        "object": "response",
        "status": "completed",
        "model": "m",
        "output": [{**_ITEMS[0], "status": None}, _ITEMS[1]],
        "usage": _USED,
    },
    "anthropic": {
        "id": "a",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": _BLOCKS,
        "stop_reason": "tool_use",
        "usage": _USED,
    },
    "gemini": {"candidates": [{"content": {"role": "model", "parts": _PARTS}, "finishReason": "STOP"}]},
    "bedrock": {
        "output": {"message": {"role": "assistant", "content": _CONVERSE}},
        "stopReason": "tool_use",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    },
}
"""A response with reasoning and a tool call, by interface."""

TURNS: dict[str, tuple[str, list[Any]]] = {
    "chat": ("messages", [_CHAT_TURN]),
    "responses": ("input", _ITEMS),
    "anthropic": ("messages", [{"role": "assistant", "content": _BLOCKS}]),
    "gemini": ("contents", [{"role": "model", "parts": _PARTS}]),
    "bedrock": ("messages", [{"role": "assistant", "content": _CONVERSE}]),
}
"""The request field that contains the conversation, and the turn for that response, by interface."""


def weather(city: str) -> str:
    """Return the weather in a city."""
    return f"It rains in {city}."


def _model(interface: str, base_url: str, **cached: Any) -> Model:
    address = base_url.removesuffix("/v1")
    sdk_options = {"api_key": "test", "max_retries": 0}
    if interface in ("chat", "responses"):
        return OpenAIModel(
            "gpt-4o", api=interface, client_args={"base_url": base_url, **sdk_options}, **cached
        )
    if interface == "anthropic":
        return AnthropicModel("claude-sonnet-5", client_args={"base_url": address, **sdk_options}, **cached)
    if interface == "gemini":
        client_args = {"api_key": "test", "http_options": {"base_url": address}}
        return GeminiModel("gemini-2.5-flash", client_args=client_args, **cached)
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1")
    once = {"config": Config(retries={"total_max_attempts": 1})}
    return BedrockModel(
        "amazon.nova-lite-v1:0", boto_session=session, endpoint_url=address, client_args=once, **cached
    )


@pytest.fixture
def provider():
    with StandInProvider() as running:
        yield running


@pytest.fixture(params=TURNS)
def interface(request):
    return request.param


@pytest.fixture
async def make(interface, provider, tmp_path):
    """Create models of one interface that share a cache, and close them after the test."""
    async with contextlib.AsyncExitStack() as stack:

        def make() -> Model:
            cached = {"enable_cache": True, "cache_dir": tmp_path / "cache"}
            return stack.push_async_exit(_model(interface, provider.base_url, **cached))

        yield make


def _agent(model: Model) -> Agent:
    return Agent(AgentConfig(model=model, tools=[weather], system_prompt="Be brief."))


async def test_second_run_makes_no_provider_call(make, provider):
    """The provider receives the tool result, and a new agent gets all responses for the same question from the cache."""
    answer = await _agent(make()).run("Use weather, please.")
    assert "It rains in" in answer
    assert provider.calls == 2
    again = _agent(make())
    assert await again.run("Use weather, please.") == answer
    assert provider.calls == 2
    assert (again.get_cost_stats().calls, again.get_cost_stats().hits) == (2, 2)


async def test_reasoning_is_returned_unchanged(make, provider, interface):
    """The provider receives the reasoning before a tool call back unchanged, even if the response is a hit."""
    field, turn = TURNS[interface]
    provider._failures.append(Reply(200, ANSWERS[interface]))
    await _agent(make()).run("What is the weather in Paris?")
    sent = provider.requests[-1].body[field]
    start = sent.index(turn[0])
    assert sent[start : start + len(turn)] == turn
    assert "It rains in Paris." in str(sent[start + len(turn) :])
    await _agent(make()).run("What is the weather in Paris?")
    assert provider.calls == 2


async def test_a_turn_is_a_copy(make, provider, interface):
    """Changing the turn made from a response does not change the response."""
    provider._failures.append(Reply(200, ANSWERS[interface]))
    model = make()
    response = await model.get_text([{"role": "user", "content": "What is the weather in Paris?"}])
    model.turn_of(response)[-1].clear()
    assert model.turn_of(response) == TURNS[interface][1]


async def test_turn_of_a_response_without_raw_json(make):
    """The turn of a response that was stored by hand consists of its text and its tool calls."""
    call = ToolCall("c1", "weather", {"city": "Paris"}, '{"city": "Paris"}')
    use = {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Paris"}}}
    assert make().turn_of(ModelResponse("Let me see.", tool_calls=(call,))) == [
        {"role": "assistant", "content": [{"text": "Let me see."}, use]}
    ]


@pytest.mark.parametrize("raw", [None, {}, {"error": "overloaded"}], ids=str)
async def test_empty_response_makes_no_turn(make, raw):
    """A response without content makes no turn."""
    assert make().turn_of(ModelResponse("", raw=raw)) == []
