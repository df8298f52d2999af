"""Responses with nothing in them are passed on and never stored, for every provider."""

from __future__ import annotations

import anthropic
import botocore.exceptions
import google.genai.errors
import openai
import pytest
from models_world import QUESTION, answer_next, entry_files
from test_models_snapshot import PROVIDERS, make  # noqa: F401 - a fixture


def chat(message):
    """Return a chat completion."""
    return {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def gemini(parts):
    """Return a response of Gemini."""
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}


def message(blocks):
    """Return a message of Anthropic."""
    return {"id": "m", "type": "message", "role": "assistant", "content": blocks, "stop_reason": "end_turn"}


def converse(blocks):
    """Return a response of Bedrock."""
    return {"output": {"message": {"role": "assistant", "content": blocks}}, "stopReason": "end_turn"}


def response(output):
    """Return a response of the Responses API."""
    return {"id": "r", "object": "response", "status": "completed", "output": output}


EMPTY = [
    ("openai", chat({"role": "assistant", "content": None})),
    ("openai", chat({"role": "assistant", "content": "", "tool_calls": [], "annotations": []})),
    ("openai", chat({"role": "assistant", "content": [{"type": "text", "text": ""}]})),
    ("responses", response([])),
    ("responses", response([{"type": "reasoning", "summary": []}])),
    ("responses", response([{"type": "message", "content": [{"type": "output_text", "text": ""}]}])),
    ("anthropic", message([])),
    ("anthropic", message([{"type": "text", "text": ""}])),
    ("gemini", gemini([])),
    ("gemini", gemini([{"text": ""}])),
    ("bedrock", converse([])),
    ("bedrock", converse([{"text": ""}])),
]

NOT_EMPTY = [
    ("openai", chat({"role": "assistant", "content": None, "audio": {"id": "a", "data": "AAAA"}})),
    ("openai", chat({"role": "assistant", "content": "", "reasoning_content": "Hm."})),
    (
        "openai",
        chat({"role": "assistant", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}),
    ),
    ("responses", response([{"type": "web_search_call", "id": "w"}])),
    ("responses", response([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}])),
    ("anthropic", message([{"type": "thinking", "thinking": "Hm.", "signature": "s"}])),
    ("gemini", gemini([{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}])),
    ("gemini", gemini([{"text": "Hm.", "thought": True}])),
    ("bedrock", converse([{"reasoningContent": {"reasoningText": {"text": "Hm."}}}])),
]

BARE = {
    "openai": ({"error": {"message": "overloaded", "code": 503}}, openai.APIError),
    "responses": ({"error": {"message": "overloaded"}}, openai.APIError),
    "anthropic": ({"type": "error", "error": {"message": "overloaded"}}, anthropic.APIError),
    "gemini": ({"error": {"message": "overloaded", "code": 503}}, google.genai.errors.APIError),
    "bedrock": ({"message": "overloaded"}, botocore.exceptions.ClientError),
}


@pytest.mark.parametrize(("name", "raw"), EMPTY)
async def test_an_empty_response_is_not_stored(make, provider, cache_dir, name, raw):  # noqa: F811 - the fixture
    """A response without content reaches the caller, and the next call asks again."""
    model = make(name)
    answer_next(provider, raw)
    found = await model.get_text(QUESTION)
    assert (found.content, found.raw) == ("", raw)
    assert entry_files(cache_dir) == []
    assert not (await model.get_text(QUESTION)).cached


@pytest.mark.parametrize(("name", "raw"), EMPTY[::3])
async def test_store_empty_stores_them(make, provider, monkeypatch, name, raw):  # noqa: F811 - the fixture
    """With ``store_empty``, a response without content is stored like any other."""
    model = make(name)
    config = model.cache.config.with_(store_empty=True)
    model = make(name, cache_config=config, enable_cache=None, cache_dir=None)
    answer_next(provider, raw)
    await model.get_text(QUESTION)
    found = await model.get_text(QUESTION)
    assert (found.cached, found.raw) == (True, raw)


@pytest.mark.parametrize(("name", "raw"), NOT_EMPTY)
async def test_content_other_than_text_is_stored(make, provider, name, raw):  # noqa: F811 - the fixture
    """Sound, images, reasoning and the provider's own tools are content."""
    model = make(name)
    answer_next(provider, raw)
    await model.get_text(QUESTION)
    found = await model.get_text(QUESTION)
    assert (found.cached, found.raw) == (True, raw)


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_bare_error_is_raised(make, provider, cache_dir, name):  # noqa: F811 - the fixture
    """A response with the status 200 that is nothing but an error is raised as the SDK's error."""
    raw, error = BARE[name]
    answer_next(provider, raw)
    with pytest.raises(error, match="overloaded"):
        await make(name).get_text(QUESTION)
    assert entry_files(cache_dir) == []


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name != "bedrock"])
async def test_null_is_passed_on(make, provider, cache_dir, name):  # noqa: F811 - the fixture
    """The JSON ``null`` is an empty response that is not stored. boto3 refuses it."""
    answer_next(provider, "null")
    assert (await make(name).get_text(QUESTION)).content == ""
    assert entry_files(cache_dir) == []
