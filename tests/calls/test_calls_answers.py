"""Responses of get_text, and that a hit returns an equal response."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import pickle

import openai
import pytest
from models_world import QUESTION, WEATHER, answer_next, ask, completion, entry_files, whole_entry

from spark_cache import ModelResponse, OpenAIModel
from spark_cache.testing import StandInProvider


async def test_second_call_is_a_hit(make_model, provider):
    """The second of two equal calls does not reach the provider and returns an equal response."""
    model = make_model()
    first, second = await model.get_text(QUESTION), await model.get_text(QUESTION)
    assert provider.calls == 1
    assert (first.cached, second.cached) == (False, True)
    assert first == second
    assert first.content.startswith("[stand-in] You asked: What is Python?")


async def test_response_is_complete(make_model):
    """A response has its text, its stop reason, its usage and the provider's own JSON."""
    response = await make_model().get_text(QUESTION)
    assert response.content == response.raw["choices"][0]["message"]["content"] == str(response)
    assert (response.stop_reason, response.provider_stop_reason) == ("end_turn", "stop")
    assert response.usage.input_tokens == response.raw["usage"]["prompt_tokens"]
    assert response.usage.output_tokens == response.raw["usage"]["completion_tokens"]
    assert response.usage.total_tokens == response.raw["usage"]["total_tokens"]
    assert response.usage.reasoning_tokens == 0
    assert response.tool_calls == ()


@pytest.mark.parametrize(
    "field",
    [field.name for field in dataclasses.fields(ModelResponse) if field.name not in ("cached", "shared")],
)
async def test_hit_has_every_field(make_model, field):
    """A hit returns every field of the response unchanged."""
    model = make_model()
    arguments = {"tool_specs": [WEATHER], "tool_choice": "get_weather"}
    first = await model.get_text(ask("Use get_weather"), **arguments)
    hit = await model.get_text(ask("Use get_weather"), **arguments)
    assert hit.cached
    assert getattr(hit, field) == getattr(first, field)


async def test_tool_calls(make_model):
    """A tool call has its ID, its name, and its arguments both parsed and as written."""
    response = await make_model().get_text(ask("Use get_weather"), tool_specs=[WEATHER])
    (call,) = response.tool_calls
    written = response.raw["choices"][0]["message"]["tool_calls"][0]
    assert (call.id, call.name) == (written["id"], "get_weather")
    assert call.arguments_text == written["function"]["arguments"]
    assert call.arguments == json.loads(call.arguments_text)
    assert response.stop_reason == "tool_use"
    assert response.content == ""


@pytest.mark.parametrize("written", ["{not json", "[1, 2]", ""])
async def test_arguments_that_are_not_an_object(cache_dir, written):
    """Arguments that are not a JSON object are kept as text, also in a hit."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": written}}
    with StandInProvider(answer=lambda _: {"tool_calls": [call]}) as provider:
        client_args = {"base_url": provider.base_url, "api_key": "test"}
        async with OpenAIModel(
            "gpt-4o", enable_cache=True, cache_dir=cache_dir, client_args=client_args
        ) as model:
            first, hit = await model.get_text(QUESTION), await model.get_text(QUESTION)
    assert hit.cached
    assert first == hit
    assert hit.tool_calls[0].arguments_text == written
    assert hit.tool_calls[0].arguments == {}


async def test_custom_tool_call(make_model, provider):
    """A call of a custom tool has its input as text."""
    call = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    answer_next(provider, completion({"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}))
    response = await make_model().get_text(QUESTION)
    assert [(call.name, call.arguments_text) for call in response.tool_calls] == [("sql", "select 1")]


async def test_response_in_parts(make_model, provider):
    """If a compatible service sends the response in parts, the text parts are the content."""
    parts = [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "Hello"}]
    answer_next(provider, completion({"message": {"content": parts}, "finish_reason": "stop"}))
    model = make_model()
    first, hit = await model.get_text(QUESTION), await model.get_text(QUESTION)
    assert (first.content, hit.content, hit.cached) == ("Hello", "Hello", True)


async def test_response_with_missing_fields(make_model, provider):
    """Fields that a compatible service leaves out are empty, and the response is still cached."""
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    answer_next(provider, completion({"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}))
    model = make_model()
    first, hit = await model.get_text(QUESTION), await model.get_text(QUESTION)
    assert (first.usage, first.content, first.tool_calls[0].id) == (None, "", "")
    assert first.tool_calls[0].arguments == {"x": 1}
    assert hit.cached
    assert hit == first


async def test_entry_shows_the_response(make_model, cache_dir):
    """The entry is JSON with the version, the key and seven fields first, in the folder of its model, named by its key."""
    response = await make_model(cache_ttl_seconds=600).get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    assert path == cache_dir / "openai" / "gpt-4o" / f"{response.cache_key}.json"
    entry = whole_entry(cache_dir)
    assert list(entry)[:9] == [
        "schema",
        "key",
        "content",
        "stop_reason",
        "usage",
        "timestamp",
        "ttl",
        "provider",
        "model_id",
    ]
    assert entry["content"] == response.content
    assert entry["ttl"] == 600
    assert entry["raw"] == response.raw


async def test_two_models_share_responses(make_model, provider):
    """Models with an equal configuration share one manager, and one reads the responses that the other stored."""
    one, other = make_model(), make_model()
    assert one.cache is other.cache
    await one.get_text(QUESTION)
    assert (await other.get_text(QUESTION)).cached
    assert provider.calls == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"messages": ask("What is Rust?")},
        {"system_prompt": "Be brief."},
        {"tool_specs": [WEATHER]},
        {"temperature": 0.5},
        {"sample": 1},
        {"extra_headers": {"X-Variant": "b"}},
        {"extra_body": {"top_k": 3}},
        {"extra_query": {"variant": "b"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_different_request_is_a_miss(make_model, provider, changed):
    """A request that differs in anything that can change the response is a miss."""
    model = make_model()
    await model.get_text(QUESTION)
    assert not (await model.get_text(**{"messages": QUESTION, **changed})).cached
    assert provider.calls == 2


async def test_different_model_is_a_miss(make_model, provider):
    """Two models never share a response."""
    await make_model("gpt-4o").get_text(QUESTION)
    assert not (await make_model("GPT-4o").get_text(QUESTION)).cached
    assert provider.calls == 2


async def test_entry_stored_with_set_is_a_hit(make_model, provider):
    """A response stored with set() under a model's key is a hit for the model."""
    model = make_model()
    response = {"content": "Paris", "stop_reason": "end_turn", "usage": None}
    model.cache.set(model.cache_key(QUESTION), "openai", "gpt-4o", {}, response)
    assert (await model.get_text(QUESTION)).content == "Paris"
    assert provider.calls == 0


async def test_memory_store_writes_no_files(make_model, provider, cache_dir, monkeypatch):
    """Responses in memory outlive the model that stored them, and no file is written."""
    monkeypatch.setenv("SPARK_CACHE_STORE", "memory")
    model = make_model()
    await model.get_text(QUESTION)
    model.cache.reset_instance()
    del model
    assert (await make_model().get_text(QUESTION)).cached
    assert provider.calls == 1
    assert not cache_dir.exists()


async def test_client_of_the_caller(make_model, provider):
    """A client of the caller is used and left open."""
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="test") as client:
        async with make_model(client=client) as model:
            await model.get_text(QUESTION)
        assert not client.is_closed()
    assert provider.calls == 1


def test_client_and_client_args():
    """A client and client_args cannot be combined."""
    client = openai.AsyncOpenAI(api_key="test")
    with pytest.raises(ValueError, match="not both"):
        OpenAIModel("gpt-4o", client=client, client_args={"api_key": "test"})


def test_synchronous_client():
    """A synchronous client is refused before it is called."""
    with (
        openai.OpenAI(api_key="test") as client,
        pytest.raises(TypeError, match="client must be asynchronous, an AsyncOpenAI, not OpenAI"),
    ):
        OpenAIModel("gpt-4o", client=client)


def test_client_args_that_choose_the_address():
    """An argument that hides the address from the key is refused, and the error names the alternative."""
    with pytest.raises(ValueError, match="create an AsyncOpenAI with it and give that as client"):
        OpenAIModel("gpt-4o", client_args={"data_residency": "eu"})


@pytest.mark.parametrize("messages", ["Hello", {"role": "user", "content": "Hello"}, b"Hello"])
async def test_messages_that_are_not_a_list(make_model, provider, messages):
    """A string or a single message instead of a list is refused before the provider is called."""
    with pytest.raises(TypeError, match="messages must be a list of messages"):
        await make_model().get_text(messages)
    assert provider.calls == 0


@pytest.mark.parametrize("given", [{"model": "gpt-4o-mini"}, {"stream": True}])
async def test_reserved_parameters(make_model, provider, given):
    """A parameter that get_text would have to ignore is refused."""
    with pytest.raises(TypeError, match=f"{next(iter(given))}"):
        await make_model().get_text(QUESTION, **given)
    assert provider.calls == 0


def test_repr_shows_no_content():
    """The repr of a response or a tool call shows neither text nor arguments."""
    from spark_cache.models import ToolCall  # noqa: PLC0415 - only this test needs it

    call = ToolCall.from_text("c1", "f", '{"city": "Paris"}')
    response = ModelResponse("The secret is Paris", "end_turn", tool_calls=(call,), raw={"x": "Paris"})
    assert "Paris" not in f"{response!r} {call!r}"
    assert (
        repr(response) == "ModelResponse(19 characters, stop_reason='end_turn', tool_calls=1, cached=False)"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model_id": None}, "model_id must be a str such as 'gpt-4o', not NoneType"),
        (
            {"model_id": "gpt-4o", "cache_config": {"enabled": True}},
            "cache_config must be a CacheConfig, not dict",
        ),
    ],
    ids=["model", "configuration"],
)
def test_arguments_of_the_wrong_type(given, message):
    """An argument of the wrong type is named when the model is created."""
    with pytest.raises(TypeError, match=message):
        OpenAIModel(**given)


def test_repr_of_a_model():
    """The repr of a model shows its ID and nothing of its client."""
    model = OpenAIModel("gpt-4o", client_args={"api_key": "hush"})
    assert repr(model) == "OpenAIModel('gpt-4o')"


def test_response_as_a_string():
    """A program that treats a response as a string gets its text and its words."""
    response = ModelResponse("One, two", "end_turn")
    assert (str(response), response.split(), response.split(",", 1)) == (
        "One, two",
        ["One,", "two"],
        ["One", " two"],
    )


def test_equality_ignores_the_source():
    """Responses are equal whether or not they come from the cache. They are not hashable and can be pickled."""
    one = ModelResponse("x", "end_turn", cached=True, latency_seconds=1.0)
    other = ModelResponse("x", "end_turn", latency_seconds=2.0)
    assert one == other
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(TypeError):
        hash(one)


async def test_closing_finishes_pending_writes(make_model, cache_dir):
    """After a model is closed, its totals are on disk, and nothing is written later."""
    model = make_model()
    await model.get_text(QUESTION)
    assert not any((cache_dir / ".spark-cache").glob("savings*"))
    await model.aclose()
    (written,) = (cache_dir / ".spark-cache").glob("savings.sqlite3")
    before = written.stat()
    await asyncio.sleep(1.2)
    assert written.stat() == before
