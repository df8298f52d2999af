"""AnthropicModel: the real SDK against the stand-in provider."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import anthropic
import pytest
from models_anthropic_world import SCHEMA, events_of, server_sent
from models_world import QUESTION, WEATHER, answer_next, ask, entry_files, only_entry, run_python

from spark_cache.models.anthropic import AnthropicModel
from spark_cache.providers.response import Usage

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
    "unheard_of": {"kept": [1.5, None]},
}


@pytest.fixture
def client_args(provider):
    return {"base_url": provider.base_url.removesuffix("/v1"), "api_key": "test", "max_retries": 0}


@pytest.fixture
async def make(client_args, cache_dir):
    """Return a function that creates models of the stand-in with the cache on, and close them after the test."""
    async with contextlib.AsyncExitStack() as stack:

        def make(model_id="claude-sonnet-5", **options):
            options = {"enable_cache": True, "cache_dir": cache_dir, **options}
            if "client" not in options:
                options = {"client_args": client_args, **options}
            model = AnthropicModel(model_id, **options)
            stack.push_async_callback(model.aclose)
            return model

        yield make


# -- responses ------------------------------------------------------------------------------------------------


async def test_second_call_makes_no_api_call(make, provider):
    """An equal call is a hit with an equal response."""
    model = make()
    fresh, hit = await model.get_text(QUESTION), await model.get_text(QUESTION)
    assert (fresh.cached, hit.cached, provider.calls) == (False, True, 1)
    assert hit == fresh
    assert fresh.content.startswith("[stand-in] You asked: What is Python?")
    assert fresh.stop_reason == "end_turn"


async def test_raw_is_the_providers_json(make, provider):
    """The provider's JSON is kept complete, including fields that the SDK does not know."""
    answer_next(provider, MESSAGE)
    model = make()
    for _ in range(2):
        assert (await model.get_text(QUESTION)).raw == MESSAGE


async def test_tool_calls(make):
    """Calls of the caller's tools are tool calls."""
    model = make()
    for _ in range(2):
        response = await model.get_text(QUESTION, tool_specs=[WEATHER], tool_choice="required")
        (call,) = response.tool_calls
        assert (call.name, list(call.arguments), response.stop_reason) == (
            "get_weather",
            ["city"],
            "tool_use",
        )


async def test_calls_of_server_tools(make, provider):
    """A call of a tool that the provider runs itself is in the provider's JSON only."""
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}
    answer_next(provider, {**MESSAGE, "content": [search, *MESSAGE["content"]]})
    response = await make().get_text(QUESTION)
    assert (response.tool_calls, response.content) == ((), "Hello")


async def test_usage(make, provider):
    """Input tokens include those of the provider's prompt cache. Reasoning tokens are included if the provider reports them."""
    usage = {
        "input_tokens": 3,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 100,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 5},
    }
    answer_next(provider, {**MESSAGE, "usage": usage})
    response = await make().get_text(QUESTION)
    assert response.usage == Usage(123, 7, 130, cached_tokens=100, reasoning_tokens=5, cache_write_tokens=20)
    hit = await make().get_text(QUESTION)
    assert (hit.cached, hit.usage) == (True, response.usage)


async def test_structured_response(make, provider):
    """A structured response uses the provider's own feature, is validated and cached."""
    model = make()
    fresh, hit = [await model.get_json(SCHEMA, QUESTION) for _ in range(2)]
    assert fresh.output == hit.output
    assert set(fresh.output) == {"city", "people"}
    assert (hit.cached, provider.calls) == (True, 1)
    assert provider.requests[0].body["output_config"]["format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("reason", "stop_reason", "stored"),
    [
        ("end_turn", "end_turn", True),
        ("stop_sequence", "stop_sequence", True),
        ("pause_turn", "pause_turn", True),
        ("max_tokens", "max_tokens", False),
        ("model_context_window_exceeded", "max_tokens", False),
        ("refusal", "refusal", False),
        (None, None, False),
    ],
)
async def test_what_is_stored(make, provider, cache_dir, reason, stop_reason, stored):
    """Complete responses are stored, including paused turns. Others are not."""
    answer_next(provider, {**MESSAGE, "stop_reason": reason})
    response = await make().get_text(QUESTION)
    assert (response.stop_reason, response.provider_stop_reason) == (stop_reason, reason)
    assert bool(entry_files(cache_dir)) is stored


# -- requests ------------------------------------------------------------------------------------------------


async def test_token_limit(make, provider):
    """A call without a limit is sent with 4096 tokens, and equals one with that limit."""
    model = make()
    await model.get_text(QUESTION)
    assert provider.requests[0].body == {
        "model": "claude-sonnet-5",
        "max_tokens": 4096,
        "messages": QUESTION,
    }
    assert (await model.get_text(QUESTION, max_tokens=4096)).cached
    assert not (await model.get_text(QUESTION, max_tokens=100)).cached


async def test_parameters_that_the_sdk_does_not_know(make, provider):
    """A parameter reaches the provider whether or not the SDK knows it by name."""
    await make().get_text(
        QUESTION, temperature=0.5, brand_new={"a": 1}, stop_sequences=["\n"], extra_body={"more": 2}
    )
    sent = provider.requests[0].body
    assert {name: sent[name] for name in ("temperature", "brand_new", "stop_sequences", "more")} == {
        "temperature": 0.5,
        "brand_new": {"a": 1},
        "stop_sequences": ["\n"],
        "more": 2,
    }


async def test_betas(make, provider, monkeypatch):
    """A call with betas is sent with their header and has a separate key."""
    headers = []
    monkeypatch.setattr(
        type(provider), "_delay", lambda _self, request: headers.append(dict(request.headers)) or 0.0
    )
    model = make()
    await model.get_text(QUESTION)
    assert not (await model.get_text(QUESTION, betas=["context-1m", "more"], mcp_servers=[])).cached
    sent = provider.requests[1].body
    assert (sent["mcp_servers"], "betas" in sent) == ([], False)
    assert [one.get("anthropic-beta") for one in headers] == [None, "context-1m,more"]


@pytest.mark.parametrize("parameters", [{"container": "container_1"}, {"thread": {"id": "t"}}], ids=str)
async def test_state_at_the_provider(make, provider, cache_dir, parameters):
    """A request that depends on state at the provider is not cached."""
    model = make()
    for _ in range(2):
        assert not (await model.get_text(QUESTION, **parameters)).cached
    assert (provider.calls, entry_files(cache_dir)) == (2, [])


async def test_not_given_markers(make, provider):
    """The SDK's markers for an argument that is not given equal its absence."""
    model = make()
    await model.get_text(QUESTION)
    assert (await model.get_text(QUESTION, anthropic.omit, metadata=anthropic.NOT_GIVEN)).cached


@pytest.mark.parametrize("parameters", [{"model": "m"}, {"stream": True}], ids=str)
async def test_reserved_parameters(make, parameters):
    """An argument that belongs elsewhere is refused as a parameter."""
    with pytest.raises(TypeError):
        await make().get_text(QUESTION, **parameters)


async def test_headers_are_keyed(make, client_args):
    """Headers that a client adds to every request are keyed. Those that describe the client are not."""
    plain, beta = make(), make(client_args={**client_args, "default_headers": {"anthropic-beta": "x"}})
    assert plain.cache_key(QUESTION) != beta.cache_key(QUESTION)
    async with anthropic.AsyncAnthropic(**client_args) as client:
        assert make(client=client).cache_key(QUESTION) == plain.cache_key(QUESTION)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"client": object(), "client_args": {"api_key": "x"}}, ValueError),
        ({"client": anthropic.Anthropic(api_key="x")}, TypeError),
        ({"client_args": {"profile": "mine"}}, ValueError),
    ],
    ids=["both", "not asynchronous", "profile"],
)
def test_invalid_clients(options, error):
    """An invalid client is refused when the model is created."""
    with pytest.raises(error):
        AnthropicModel("claude-sonnet-5", **options)


# -- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (529, "overloaded_error", anthropic.InternalServerError),
    ],
)
async def test_errors_of_the_sdk(make, provider, cache_dir, status, kind, error):
    """An error of the provider is the SDK's own, and is not stored."""
    error_body = {"type": "error", "error": {"type": kind, "message": "No."}}
    provider.fail_next(status, error_body)
    with pytest.raises(error) as raised:
        await make().get_text(QUESTION)
    assert raised.value.body == error_body
    assert entry_files(cache_dir) == []


async def test_retries_of_the_sdk(make, provider, client_args):
    """A call that the SDK retries is one call, and its response is stored."""
    provider.fail_next(529)
    model = make(client_args={**client_args, "max_retries": 1})
    assert not (await model.get_text(QUESTION)).cached
    assert (await model.get_text(QUESTION)).cached
    assert provider.calls == 2


async def test_invalid_response(make, provider):
    """A response that is not JSON raises the SDK's error, and is not stored."""
    answer_next(provider, "<html>")
    with pytest.raises(anthropic.APIResponseValidationError):
        await make().get_text(QUESTION)


# -- streams ------------------------------------------------------------------------------------------------


async def test_stream_and_its_replay(make, provider):
    """A stream passes on text, reasoning and the stop reason. A hit replays the same events."""
    model = make()
    fresh, replayed = [await events_of(model, QUESTION, thinking={"type": "adaptive"}) for _ in range(2)]
    assert fresh == replayed
    assert provider.calls == 1
    end = replayed[-1].response
    assert "".join(event.text for event in fresh) == end.content
    assert "".join(event.reasoning for event in fresh) == "[stand-in] No model thought."
    assert [event.type for event in fresh].count("stop") == 1
    assert end.raw["content"][0]["signature"]


async def test_streamed_tool_call(make):
    """The pieces of a streamed tool call add up to it."""
    events = await events_of(make(), QUESTION, tool_specs=[WEATHER], tool_choice="get_weather")
    (call,) = events[-1].response.tool_calls
    pieces = [piece for event in events for piece in event.tool_calls]
    assert (pieces[0].id, pieces[0].name) == (call.id, "get_weather")
    assert "".join(piece.arguments_text for piece in pieces) == call.arguments_text


async def test_streamed_response_serves_text(make, provider):
    """A streamed response serves get_text, with an equal response."""
    model = make()
    end = (await events_of(model, QUESTION))[-1]
    response = await model.get_text(QUESTION)
    assert (response, response.cached) == (end.response, True)
    again = await model.get_text(QUESTION, cache="refresh")
    assert again.raw == response.raw


async def test_error_in_a_stream(make, provider, cache_dir):
    """An error in a stream is the SDK's own, after the events before it, and nothing is stored."""
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    answer_next(provider, server_sent([{"type": "message_start", "message": MESSAGE}, overloaded]))
    received = []

    async def on_event():
        async for event in make().stream_text(QUESTION):
            received.append(event.type)  # noqa: PERF401 - keeps the events before the error

    with pytest.raises(anthropic.APIStatusError) as raised:
        await on_event()
    assert (received, raised.value.body) == (["other"], overloaded)
    assert entry_files(cache_dir) == []


async def test_incomplete_stream(make, provider, cache_dir):
    """A stream that ends before the message is complete has no end event, and nothing is stored."""
    answer_next(provider, server_sent([{"type": "message_start", "message": MESSAGE}]))
    assert [event.type for event in await events_of(make(), QUESTION)] == ["other"]
    assert entry_files(cache_dir) == []


async def test_abandoned_stream(make, provider, cache_dir):
    """Leaving a stream early closes its connection, and nothing is stored."""
    left = threading.Event()

    def endless():
        yield {"type": "message_start", "message": MESSAGE}
        while not left.wait(0.01):
            yield {"type": "ping"}

    answer_next(provider, server_sent(endless()))
    async with contextlib.aclosing(make().stream_text(QUESTION)) as events:
        async for _ in events:
            break
    left.set()
    assert entry_files(cache_dir) == []


# -- without the SDK ------------------------------------------------------------------------------------------------


async def test_hit_without_sdk_api_key_and_network(make, provider, cache_dir, client_args):
    """Text, stream and structured response are hits without the SDK, an API key or the network."""
    model = make()
    response = await model.get_text(QUESTION)
    await model.get_json(SCHEMA, QUESTION)
    code = """
import asyncio, sys
sys.modules["anthropic"] = sys.modules["httpx"] = sys.modules["httpx2"] = None
import socket
socket.socket.connect = None
from spark_cache.models.anthropic import AnthropicModel
async def main():
    model = AnthropicModel("claude-sonnet-5", client_args={"base_url": sys.argv[2]}, enable_cache=True, cache_dir=sys.argv[1])
    question = [{"role": "user", "content": "What is Python?"}]
    response = await model.get_text(question)
    events = [event async for event in model.stream_text(question)]
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 1}},
              "required": ["city", "people"]}
    output = (await model.get_json(schema, question)).output
    print(response.content, events[-1].response == response, sorted(output), sep="|")
asyncio.run(main())
"""
    done = await asyncio.to_thread(run_python, code, cache_dir, client_args["base_url"])
    assert done.stdout.strip() == f"{response.content}|True|['city', 'people']", done.stderr


def test_sdk_is_imported_on_the_first_call():
    """Neither importing nor creating the model imports the SDK. A call without it names the package to install."""
    code = """
import asyncio, sys
from spark_cache.models.anthropic import AnthropicModel
model = AnthropicModel("claude-sonnet-5")
assert "anthropic" not in sys.modules
sys.modules["anthropic"] = None
try:
    asyncio.run(model.get_text([{"role": "user", "content": "x"}]))
except ModuleNotFoundError as error:
    print(error)
"""
    done = run_python(code)
    assert "pip install 'spark-cache[anthropic]'" in done.stdout, done.stderr


async def test_entry_shows_the_usual_fields(make, cache_dir):
    """An entry has the provider's name and a readable response."""
    response = await make().get_text(ask("Hello"))
    entry = only_entry(cache_dir)
    assert (entry["provider"], entry["content"]) == ("anthropic", response.content)
