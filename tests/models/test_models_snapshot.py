"""What is keyed is what is sent: for each provider, what arrives at a socket when the caller's objects change or are unusual."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from pydantic import BaseModel, ConfigDict

from spark_cache import AnthropicModel, BedrockModel, GeminiModel, OpenAIModel

if TYPE_CHECKING:
    from pathlib import Path

PROVIDERS = ["openai", "responses", "anthropic", "gemini", "bedrock"]


@pytest.fixture
async def make(provider, cache_dir):
    """Return a function that creates a model of a provider, and close them after the test."""
    root = provider.base_url.removesuffix("/v1")
    openai = {"client_args": {"base_url": provider.base_url, "api_key": "test", "max_retries": 0}}
    anthropic = {"client_args": {"base_url": root, "api_key": "test", "max_retries": 0}}
    gemini = {"client_args": {"api_key": "test", "http_options": {"base_url": root}}}
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    bedrock = {
        "boto_session": session,
        "endpoint_url": root,
        "client_args": {"config": Config(retries={"total_max_attempts": 1})},
    }
    factories = {
        "openai": lambda **options: OpenAIModel("gpt-4o", **openai, **options),
        "responses": lambda **options: OpenAIModel("gpt-4o", api="responses", **openai, **options),
        "anthropic": lambda **options: AnthropicModel("claude-sonnet-5", **anthropic, **options),
        "gemini": lambda **options: GeminiModel("gemini-2.5-flash", **gemini, **options),
        "bedrock": lambda **options: BedrockModel("us.amazon.nova-lite-v1:0", **bedrock, **options),
    }
    async with contextlib.AsyncExitStack() as stack:

        def make(name, **options):
            model = factories[name](**{"enable_cache": True, "cache_dir": cache_dir, **options})
            stack.push_async_callback(model.aclose)
            return model

        yield make


def sent(provider: Any) -> list[str]:
    """Return the bodies that arrived, as text."""
    return [json.dumps(request.body) for request in provider.requests]


class Turn(BaseModel):
    """A message object of the caller."""

    model_config = ConfigDict(extra="allow")

    role: str = "user"
    content: str


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("form", ["dictionary", "object"])
async def test_a_change_after_the_call_began_is_not_sent(make, provider, name, form):
    """The original request is answered and stored, and the changed one is a different request."""
    model = make(name)
    turn: Any = {"role": "user", "content": "original"}
    if form == "object":
        turn = Turn(role="user", content="original")
    messages = [turn]
    call = asyncio.create_task(model.get_text(messages))
    await asyncio.sleep(0)
    if form == "object":
        turn.content = "changed"
    else:
        turn["content"] = "changed"
    messages.append({"role": "user", "content": "more"})
    await call
    (body,) = sent(provider)
    assert "original" in body
    assert "changed" not in body
    assert "more" not in body
    assert (await model.get_text([{"role": "user", "content": "original"}])).cached
    assert not (await model.get_text([{"role": "user", "content": "changed"}])).cached


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("enabled", [True, False])
async def test_generators_are_sent_in_full(make, provider, name, enabled):
    """Messages and tools may come from a generator, with the cache on and off."""
    model = make(name, enable_cache=enabled)
    schema = {"type": "object", "properties": {}}
    messages = ({"role": "user", "content": text} for text in ("only this",))
    tools = ({"name": f"tool_{letter}", "description": "A tool.", "parameters": schema} for letter in "ab")
    await model.get_text(messages, tool_specs=tools)
    (body,) = sent(provider)
    assert all(text in body for text in ("only this", "tool_a", "tool_b"))


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("form", ["path", "open file", "bytearray", "memoryview", "bytes"])
async def test_media_are_read_once(make, provider, tmp_path: Path, name, form):
    """The bytes that are keyed are the bytes that are sent. A changed file is another request."""
    model = make(name)
    path = tmp_path / "picture.png"

    async def ask(content: bytes) -> bool:
        path.write_bytes(content)
        with path.open("rb") as file:
            forms = {
                "path": path,
                "open file": file,
                "bytearray": bytearray(content),
                "memoryview": memoryview(content),
                "bytes": content,
            }
            image = {"image": {"format": "png", "source": {"bytes": forms[form]}}}
            message = {"role": "user", "content": [{"text": "What is this?"}, image]}
            return (await model.get_text([message])).cached

    assert [await ask(b"first picture"), await ask(b"second picture"), await ask(b"first picture")] == [
        False,
        False,
        True,
    ]
    first, second = sent(provider)
    assert base64.b64encode(b"first picture").decode() in first
    assert base64.b64encode(b"second picture").decode() in second


@pytest.mark.parametrize("name", PROVIDERS)
async def test_an_object_is_the_dictionary_it_is_sent_as(make, provider, name):
    """Both share an entry, because the same body is sent for both."""
    model = make(name)
    await model.get_text([Turn(role="user", content="hi")])
    assert (await model.get_text([{"role": "user", "content": "hi"}])).cached
    assert provider.calls == 1


@pytest.mark.parametrize("name", ["gemini", "bedrock"])
async def test_of_two_names_for_one_parameter_the_later_is_sent_and_keyed(make, provider, name):
    """The order of the names decides what is sent, so it decides the key."""
    model = make(name)
    other = {"gemini": "maxOutputTokens", "bedrock": "maxTokens"}[name]
    question = [{"role": "user", "content": "hi"}]
    await model.get_text(question, **{"max_tokens": 500, other: 700})
    assert not (await model.get_text(question, **{other: 700, "max_tokens": 500})).cached
    assert (await model.get_text(question, max_tokens=700)).cached
    assert ["700" in body for body in sent(provider)] == [True, False]


@pytest.mark.parametrize("name", ["openai", "anthropic"])
async def test_one_header_in_two_spellings(make, name):
    """The later one is sent and keyed."""
    model = make(name)
    question = [{"role": "user", "content": "hi"}]
    await model.get_text(question, extra_headers={"X-A": "1", "x-a": "2"})
    assert not (await model.get_text(question, extra_headers={"x-a": "2", "X-A": "1"})).cached
    assert (await model.get_text(question, extra_headers={"X-a": "2"})).cached


@pytest.mark.parametrize("messages", [None, "Hi", {"role": "user", "content": "Hi"}, 5])
async def test_messages_that_are_no_list(make, messages):
    """The error shows what to write."""
    with pytest.raises(TypeError, match=r"messages must be a list of messages, such as \[\{"):
        await make("openai").get_text(messages)


async def test_tools_that_are_no_list(make):
    """A single tool is written as a list of one."""
    with pytest.raises(TypeError, match=r"tool_specs must be a list of tools.* not a dict"):
        await make("openai").get_text([{"role": "user", "content": "Hi"}], tool_specs={"name": "f"})
