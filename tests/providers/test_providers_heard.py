"""A whole response that says something else than the events of its stream is recognised, whatever is wrong with it."""

# ruff: noqa: E501 - an event on each line

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest

from spark_cache.calls.judge import disagreement
from spark_cache.models.anthropic import AnthropicProvider
from spark_cache.models.bedrock import BedrockProvider
from spark_cache.models.gemini import GeminiProvider
from spark_cache.models.openai import OpenAIProvider
from spark_cache.models.sdk_client import SdkClient
from spark_cache.providers.anthropic.dialect import SDK as ANTHROPIC
from spark_cache.providers.openai.dialect import SDK as OPENAI

MUTATIONS = 1000
"""How many mutations each recorded stream gets."""

WORDS = ["The ", "capital ", "of ", "France ", "is ", "Paris", "."]
THOUGHT = ["Let me ", "think ", "about it."]


def chunk(index: int = 0, finish: Any = None, **delta: Any) -> dict[str, Any]:
    """Return a chunk of a chat completion."""
    frame = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    return {**frame, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def call(index: int, **fields: Any) -> dict[str, Any]:
    """Return a piece of a tool call."""
    return {"index": index, **fields}


CHAT = [
    chunk(role="assistant", content=""),
    *(chunk(reasoning_content=text) for text in THOUGHT),
    *(chunk(content=text) for text in WORDS),
    chunk(tool_calls=[call(0, id="call_a", type="function", function={"name": "weather", "arguments": ""})]),
    chunk(tool_calls=[call(0, function={"arguments": '{"city": "P'})]),
    chunk(tool_calls=[call(0, function={"arguments": 'aris"}'})]),
    chunk(tool_calls=[call(1, id="call_b", type="function", function={"name": "time", "arguments": "{}"})]),
    chunk(
        annotations=[
            {"type": "url_citation", "url_citation": {"url": "https://example.org/a", "title": "A page"}}
        ]
    ),
    chunk(finish="tool_calls"),
]

CHOICES = [
    chunk(0, role="assistant", content="One "),
    chunk(1, role="assistant", content="Two "),
    chunk(0, content="answer"),
    chunk(1, content="replies"),
    chunk(0, finish="stop"),
    chunk(1, finish="stop"),
]

_ITEM = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
_PART = {"type": "output_text", "text": "".join(WORDS), "annotations": []}
_THINKING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "".join(THOUGHT)}],
}
_CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_a",
    "name": "weather",
    "arguments": '{"city": "Paris"}',
}
RESPONSES = [
    {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}},
    *({"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "delta": text} for text in THOUGHT),
    {"type": "response.output_item.done", "output_index": 0, "item": _THINKING},
    *({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 1, "content_index": 0, "delta": text} for text in WORDS),
    {"type": "response.output_item.done", "output_index": 1, "item": {**_ITEM, "content": [_PART]}},
    {"type": "response.output_item.added", "output_index": 2, "item": {**_CALL, "arguments": ""}},
    *({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 2, "delta": text} for text in ('{"city": "P', 'aris"}')),
    {"type": "response.output_item.done", "output_index": 2, "item": _CALL},
    {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}},
]  # fmt: skip

MESSAGES = [
    {"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": None, "usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    *({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": text}} for text in THOUGHT),
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2lnbmF0dXJl"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    *({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": text}} for text in WORDS),
    {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "Paris is the capital", "document_title": "Atlas"}}},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"city": "P'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": 'aris"}'}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]  # fmt: skip

GEMINI = [
    *({"candidates": [{"content": {"role": "model", "parts": [{"text": text, "thought": True}]}}], "modelVersion": "gemini", "responseId": "r1"} for text in THOUGHT),
    *({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}], "modelVersion": "gemini", "responseId": "r1"} for text in WORDS),
    {"candidates": [{"content": {"role": "model", "parts": [{"functionCall": {"id": "f1", "name": "weather", "args": {"city": "Paris"}}, "thoughtSignature": "c2ln"}]}}]},
    {"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP", "groundingMetadata": {"groundingSupports": [{"segment": {"text": "The capital of"}}]}}]},
]  # fmt: skip

CONVERSE = [
    {"messageStart": {"role": "assistant"}},
    *({"contentBlockDelta": {"delta": {"reasoningContent": {"text": text}}, "contentBlockIndex": 0}} for text in THOUGHT),
    {"contentBlockDelta": {"delta": {"reasoningContent": {"signature": "c2lnbmF0dXJl"}}, "contentBlockIndex": 0}},
    *({"contentBlockDelta": {"delta": {"text": text}, "contentBlockIndex": 1}} for text in WORDS),
    {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "t1", "name": "weather"}}, "contentBlockIndex": 2}},
    *({"contentBlockDelta": {"delta": {"toolUse": {"input": text}}, "contentBlockIndex": 2}} for text in ('{"city": "P', 'aris"}')),
    {"messageStop": {"stopReason": "tool_use"}},
    {"metadata": {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}}},
]  # fmt: skip

STREAMS = {
    "chat": (lambda: OpenAIProvider(SdkClient(OPENAI, None, {}), "chat"), CHAT),
    "choices": (lambda: OpenAIProvider(SdkClient(OPENAI, None, {}), "chat"), CHOICES),
    "responses": (lambda: OpenAIProvider(SdkClient(OPENAI, None, {}), "responses"), RESPONSES),
    "anthropic": (lambda: AnthropicProvider(SdkClient(ANTHROPIC, None, {})), MESSAGES),
    "gemini": (lambda: GeminiProvider(None, {}), GEMINI),
    "bedrock": (lambda: BedrockProvider(None, {}, 1), CONVERSE),
}


@pytest.fixture(params=STREAMS)
def recorded(request):
    """Return a provider and the events of a stream that adds up."""
    make, events = STREAMS[request.param]
    return make(), copy.deepcopy(events)


def wrong_place(provider: Any, raw: Any, events: Any) -> str | None:
    """Return where a response and its events disagree."""
    return disagreement(provider, provider.read(raw), events)


def texts_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of the strings in a value that a reader sees: neither types nor encoded data."""
    if isinstance(value, str):
        return [path] if value and path[-1] not in ("type", "data", "partial_json") else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for name, item in items for found in texts_in(item, (*path, name))]


def change(value: Any, path: tuple[Any, ...], new: Any) -> None:
    """Change the value at a path."""
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = new


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """Return the value at a path."""
    for step in path:
        value = value[step]
    return value


def test_a_good_stream_is_accepted(recorded):
    """A stream that adds up is never refused."""
    provider, events = recorded
    assert wrong_place(provider, provider.gather(events), events) is None


def test_a_mutated_response_is_refused(recorded):
    """A response in which any text is doubled, cut, replaced or taken from elsewhere disagrees with its events."""
    provider, events = recorded
    random = Random(1)
    whole = provider.gather(events)
    for _ in range(MUTATIONS):
        raw = copy.deepcopy(whole)
        path = random.choice(texts_in(raw))
        text = at(raw, path)
        new = random.choice([text * 2, text[:-1], text + "!", "x" + text, text[1:] + "?"])
        change(raw, path, new)
        if new:
            assert wrong_place(provider, raw, events) is not None, (path, new)


def test_a_mutated_stream_is_refused(recorded):
    """Events with a piece that is missing in the response, or that the response has though it was not heard, disagree with it."""
    provider, events = recorded
    random = Random(2)
    whole = provider.gather(events)
    form = provider.stream_form
    pieces = [
        number
        for number, event in enumerate(events)
        if form.growing.keys() & names_in(list(form.pieces(event)))
    ]
    assert len(pieces) > 3
    for _ in range(MUTATIONS):
        mutated = copy.deepcopy(events)
        number = random.choice(pieces)
        if random.random() < 0.5:
            del mutated[number]
        else:
            mutated.insert(number, copy.deepcopy(mutated[number]))
        assert wrong_place(provider, whole, mutated) is not None, events[number]


def names_in(value: Any) -> set[str]:
    """Return the names of the fields in a value that hold text."""
    if isinstance(value, dict):
        own = {name for name, item in value.items() if isinstance(item, str) and item}
        return own.union(*map(names_in, value.values()))
    return set().union(*map(names_in, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize(
    ("events", "naive", "place"),
    [
        pytest.param(
            [chunk(role="assistant", content="Hi"), chunk(severity="high"), chunk(severity="high"), chunk(finish="stop")],
            lambda raw: raw["choices"][0]["message"].update(severity="highhigh"),
            "choices[0].message.severity",
            id="a status that is repeated",
        ),
        pytest.param(
            [chunk(content="Hi", reasoning_content="Hm"), chunk(finish="stop")],
            lambda raw: raw["choices"][0]["message"].pop("reasoning_content"),
            "reasoning_content",
            id="reasoning that is lost",
        ),
        pytest.param(
            CHAT,
            lambda raw: raw["choices"][0]["message"]["tool_calls"].pop(),
            "the tool calls",
            id="a call that is lost",
        ),
        pytest.param(
            CHOICES,
            lambda raw: raw["choices"].pop(),
            "text",
            id="a second choice that is lost",
        ),
    ],
)  # fmt: skip
def test_what_naive_readers_did(events, naive, place):
    """The mistakes that made wrong responses before are found, and their place is named."""
    provider = STREAMS["chat"][0]()
    raw = provider.gather(events)
    assert wrong_place(provider, raw, events) is None
    naive(raw)
    assert wrong_place(provider, raw, events) == place
