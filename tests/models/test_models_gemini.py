"""GeminiModel: the real SDK against the stand-in provider."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading

import pydantic
import pytest
from google import genai
from google.genai import errors
from models_world import QUESTION, WEATHER, answer_next, ask, entry_files, only_entry, run_python

from spark_cache import CacheMissError
from spark_cache.models.gemini import GeminiModel
from spark_cache.testing.standin.transport import Stream

ANSWER = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [{"text": "Hello", "thoughtSignature": "x", "unheard_of": [1.5]}],
            },
            "finishReason": "STOP",
            "groundingMetadata": {"groundingChunks": [{"web": {"uri": "https://a.example", "new": None}}]},
        }
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4, "new": {}},
    "unheardOf": {"kept": [1.5, None]},
}

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
}


@pytest.fixture
def http_options(provider):
    return {"base_url": provider.base_url.removesuffix("/v1")}


@pytest.fixture
async def make(http_options, cache_dir):
    """Return a function that creates models of the stand-in with the cache on, and close them after the test."""
    async with contextlib.AsyncExitStack() as stack:

        def make(model_id="gemini-2.5-flash", **options):
            options = {"enable_cache": True, "cache_dir": cache_dir, **options}
            if "client" not in options:
                options = {"client_args": {"api_key": "test", "http_options": http_options}, **options}
            model = GeminiModel(model_id, **options)
            stack.push_async_callback(model.aclose)
            return model

        yield make


async def events_of(model, *arguments, **parameters):
    return [event async for event in model.stream_text(*arguments, **parameters)]


def streamed(events):
    """Return events in the framing of the service's streams."""
    return Stream("text/event-stream", (f"data: {event}\r\n\r\n".encode() for event in events))


# -- responses ------------------------------------------------------------------------------------------------


async def test_gemini_second_call_makes_no_api_call(make, provider):
    """An equal call is a hit with an equal response."""
    model = make()
    fresh, hit = await model.get_text(QUESTION), await model.get_text(QUESTION)
    assert (fresh.cached, hit.cached, provider.calls) == (False, True, 1)
    assert hit == fresh
    assert fresh.content.startswith("[stand-in] You asked: What is Python?")
    assert fresh.stop_reason == "end_turn"


async def test_gemini_raw_is_the_providers_json(make, provider):
    """The provider's JSON is kept complete, including fields that the SDK does not know."""
    answer_next(provider, ANSWER)
    model = make()
    for _ in range(2):
        assert (await model.get_text(QUESTION)).raw == ANSWER


async def test_gemini_calls_a_tool(make):
    """A hit returns a tool call unchanged."""
    model = make()
    for _ in range(2):
        response = await model.get_text(QUESTION, tool_specs=[WEATHER], tool_choice="get_weather")
        (call,) = response.tool_calls
        assert (call.name, list(call.arguments), response.stop_reason) == (
            "get_weather",
            ["city"],
            "tool_use",
        )


async def test_gemini_response_is_sent_back(make, provider):
    """The content of a response can be sent back with tool results, and keeps its thought signature."""
    model = make()
    called = await model.get_text(QUESTION, tool_specs=[WEATHER], tool_choice="get_weather")
    own = called.raw["candidates"][0]["content"]
    (call,) = called.tool_calls
    result = {
        "role": "user",
        "content": [{"toolResult": {"toolUseId": call.id, "content": [{"text": "sunny"}]}}],
    }
    for _ in range(2):
        answer = await model.get_text([*QUESTION, own, result], tool_specs=[WEATHER])
    assert answer.cached
    assert 'The tool said: {"output": "sunny"}' in answer.content
    assert provider.requests[-1].body["contents"][1] == own
    assert "thoughtSignature" in own["parts"][0]


async def test_gemini_structured_response(make, provider):
    """A structured response uses the provider's own feature, is validated and cached."""

    class City(pydantic.BaseModel):
        city: str
        people: int

    model = make()
    fresh, hit = [await model.get_json(City, QUESTION) for _ in range(2)]
    assert isinstance(hit.output, City)
    assert fresh.output == hit.output
    assert (hit.cached, provider.calls) == (True, 1)
    assert provider.requests[0].body["generationConfig"]["responseJsonSchema"]["required"] == [
        "city",
        "people",
    ]


@pytest.mark.parametrize(
    ("reason", "stored"),
    [
        ("STOP", True),
        ("MAX_TOKENS", False),
        ("SAFETY", False),
        ("MALFORMED_FUNCTION_CALL", False),
        (None, False),
    ],
)
async def test_gemini_what_is_stored(make, provider, cache_dir, reason, stored):
    """Only complete responses are stored."""
    candidate = {**ANSWER["candidates"][0], "finishReason": reason}
    answer_next(provider, {**ANSWER, "candidates": [candidate]})
    await make().get_text(QUESTION)
    assert bool(entry_files(cache_dir)) is stored


async def test_gemini_all_candidates_must_be_complete(make, provider, cache_dir):
    """A response is stored if all of its candidates are complete."""
    model = make()
    answer_next(provider, {"candidates": [ANSWER["candidates"][0], {"finishReason": "SAFETY"}]})
    await model.get_text(QUESTION, candidate_count=2)
    assert entry_files(cache_dir) == []
    assert len((await model.get_text(QUESTION, candidate_count=2)).raw["candidates"]) == 2
    assert len(entry_files(cache_dir)) == 1


async def test_gemini_blocked_prompt_is_not_stored(make, provider, cache_dir):
    """The response to a blocked prompt is not stored."""
    answer_next(provider, {"promptFeedback": {"blockReason": "SAFETY"}})
    assert (await make().get_text(QUESTION)).stop_reason == "content_filter"
    assert entry_files(cache_dir) == []


@pytest.mark.parametrize(
    ("message", "parameters"),
    [
        ({"role": "user", "parts": [{"fileData": {"fileUri": "gs://bucket/object"}}]}, {}),
        (QUESTION[0], {"cached_content": "cachedContents/1"}),
        (QUESTION[0], {"tool_specs": [{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/1"]}}]}),
    ],
    ids=["file", "cached content", "store"],
)
async def test_gemini_state_at_the_provider(make, provider, cache_dir, message, parameters):
    """The response to a request that depends on state at the provider is returned and not cached."""
    model = make()
    for _ in range(2):
        assert not (await model.get_text([message], **parameters)).cached
    assert (provider.calls, entry_files(cache_dir)) == (2, [])
    with pytest.raises(CacheMissError, match="stateful"):
        await model.get_text([message], **parameters, cache="replay")


async def test_gemini_entry(make, cache_dir):
    """An entry has the provider's name and a readable response."""
    response = await make().get_text(ask("Hello"))
    entry = only_entry(cache_dir)
    assert (entry["provider"], entry["content"]) == ("gemini", response.content)


# -- clients ------------------------------------------------------------------------------------------------


async def test_gemini_given_client(make, provider, http_options):
    """A client of the caller is used, stays open, and hits the entries of a client that the model created."""
    with genai.Client(api_key="test", http_options=http_options) as client:
        async with make(client=client) as model:
            await model.get_text(QUESTION)
        assert (await client.aio.models.generate_content(model="m", contents="Hi")).text.startswith(
            "[stand-in]"
        )
        await client.aio.aclose()
    assert (await make().get_text(QUESTION)).cached
    assert provider.calls == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [({"client": object(), "client_args": {"api_key": "x"}}, ValueError), ({"client": object()}, TypeError)],
    ids=["both", "no client"],
)
def test_gemini_invalid_clients(options, error):
    """An invalid client is refused when the model is created."""
    with pytest.raises(error):
        GeminiModel("gemini-2.5-flash", **options)


async def test_gemini_vertex(make, provider, http_options):
    """Vertex AI is called at its own path, and has separate entries."""
    answers = []
    for vertex in (False, True):
        client_args = {"vertexai": vertex, "api_key": "test", "http_options": http_options}
        answers.append(await make(client_args=client_args).get_text(QUESTION))
    assert [answer.cached for answer in answers] == [False, False]
    assert provider.requests[1].path == "/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent"


async def test_gemini_environment_is_read_once(make, provider, monkeypatch):
    """A model calls the address that it keyed first, even if the environment changes."""
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", provider.base_url.removesuffix("/v1"))
    monkeypatch.setenv("GOOGLE_API_KEY", "test")
    model = make(client_args={})
    key = model.cache_key(QUESTION)
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://elsewhere.invalid")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    assert (await model.get_text(QUESTION)).cache_key == key
    assert provider.calls == 1


async def test_gemini_options_of_the_client_and_of_the_call(make, provider, http_options):
    """The extra bodies of client and call are sent as they are keyed. Those of the call take precedence."""
    options = {**http_options, "extra_body": {"generationConfig": {"new": 1, "newer": 1}}}
    model = make(client_args={"api_key": "test", "http_options": options})
    await model.get_text(QUESTION, temperature=0, extra_body={"generationConfig": {"new": 2}})
    assert provider.requests[0].body["generationConfig"] == {"temperature": 0, "new": 2, "newer": 1}


def test_gemini_every_event_loop_has_a_client(provider, http_options, cache_dir):
    """A model can be used from one event loop after another."""
    client_args = {"api_key": "test", "http_options": http_options}
    model = GeminiModel("gemini-2.5-flash", client_args=client_args, enable_cache=True, cache_dir=cache_dir)

    async def response_to(text):
        async with model:
            return await model.get_text(ask(text))

    assert [asyncio.run(response_to(text)).cached for text in ("a", "b", "a")] == [False, False, True]


# -- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"), [(400, errors.ClientError), (429, errors.ClientError), (503, errors.ServerError)]
)
async def test_gemini_errors_of_the_sdk(make, provider, cache_dir, status, error):
    """An error of the provider is the SDK's own, and is not stored."""
    error_body = {"error": {"code": status, "message": "No.", "status": "WHATEVER"}}
    provider.fail_next(status, error_body, times=2)
    model = make()
    with pytest.raises(error) as raised:
        await model.get_text(QUESTION)
    assert (raised.value.code, raised.value.message) == (status, "No.")
    with pytest.raises(error):
        await events_of(model, QUESTION)
    assert entry_files(cache_dir) == []


async def test_gemini_error_form_of_the_stand_in(make):
    """The stand-in refuses a request in the form that the service uses."""
    with pytest.raises(errors.ClientError, match="INVALID_ARGUMENT"):
        await make().get_text([])


async def test_gemini_retries_of_the_sdk(make, provider, http_options):
    """A call that the SDK retries is one call, and its response is stored."""
    provider.fail_next(503)
    options = {**http_options, "retry_options": {"attempts": 2, "initial_delay": 0.001}}
    model = make(client_args={"api_key": "test", "http_options": options})
    assert not (await model.get_text(QUESTION)).cached
    assert (await model.get_text(QUESTION)).cached
    assert provider.calls == 2


async def test_gemini_invalid_response(make, provider, cache_dir):
    """A response that is not JSON raises an error, and is not stored."""
    answer_next(provider, "<html>")
    with pytest.raises(ValueError, match="Expecting value"):
        await make().get_text(QUESTION)
    assert entry_files(cache_dir) == []


# -- streams ------------------------------------------------------------------------------------------------


async def test_gemini_stream_and_its_replay(make, provider):
    """A stream passes on text and reasoning. A hit replays the same events."""
    model = make()
    fresh, replayed = [
        await events_of(model, QUESTION, thinking_config={"include_thoughts": True}) for _ in range(2)
    ]
    assert fresh == replayed
    assert provider.calls == 1
    end = replayed[-1].response
    assert "".join(event.text for event in fresh) == end.content
    assert "".join(event.reasoning for event in fresh) == "[stand-in] No model thought."
    assert end.usage.reasoning_tokens == 7


async def test_gemini_events_are_the_providers_json(make, provider):
    """The events of a stream keep the provider's JSON complete."""
    answer_next(
        provider, streamed(["{}", '{"candidates": [{"finishReason": "STOP", "new": 1.0}], "newer": [null]}'])
    )
    assert [event.raw for event in await events_of(make(), QUESTION)] == [
        {},
        {"candidates": [{"finishReason": "STOP", "new": 1.0}], "newer": [None]},
        None,
    ]


async def test_gemini_streamed_tool_call(make):
    """A tool call arrives in one event of a stream."""
    events = await events_of(make(), QUESTION, tool_specs=[WEATHER], tool_choice="get_weather")
    (call,) = events[-1].response.tool_calls
    (piece,) = (piece for event in events for piece in event.tool_calls)
    assert (piece.id, piece.name, piece.arguments_text) == (call.id, call.name, call.arguments_text)


async def test_gemini_streamed_tool_calls_are_numbered(make, provider):
    """The tool calls of a stream, several of which may be in one event, are numbered, in a replay too."""
    calls = [{"functionCall": {"name": f"f{number}", "args": {"n": number}}} for number in range(3)]
    chunks = [
        {"candidates": [{"content": {"role": "model", "parts": calls[:2]}}]},
        {"candidates": [{"content": {"role": "model", "parts": calls[2:]}, "finishReason": "STOP"}]},
    ]
    answer_next(provider, streamed([json.dumps(chunk) for chunk in chunks]))
    for _ in range(2):
        events = await events_of(make(), QUESTION)
        assert [[(piece.index, piece.name) for piece in event.tool_calls] for event in events] == [
            [(0, "f0"), (1, "f1")],
            [(2, "f2")],
            [],
        ]
    assert [call.name for call in events[-1].response.tool_calls] == ["f0", "f1", "f2"]
    assert provider.calls == 1


async def test_gemini_tool_calls_of_a_whole_response_are_numbered(make, provider):
    """The tool calls of a response that was not streamed are numbered when it is streamed from the cache."""
    parts = [{"functionCall": {"name": f"f{number}", "args": {}}} for number in range(2)]
    answer_next(
        provider, {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}
    )
    await make().get_text(QUESTION)
    pieces = [piece for event in await events_of(make(), QUESTION) for piece in event.tool_calls]
    assert [(piece.index, piece.name) for piece in pieces] == [(0, "f0"), (1, "f1")]


async def test_gemini_streamed_response_serves_text(make):
    """A streamed response serves get_text, with an equal response."""
    model = make()
    end = (await events_of(model, QUESTION))[-1]
    response = await model.get_text(QUESTION)
    assert (response, response.cached) == (end.response, True)
    assert (await model.get_text(QUESTION, cache="refresh")).raw == response.raw


async def test_gemini_whole_response_serves_a_stream(make, provider):
    """A response that was not streamed is streamed with its text and its tool calls."""
    model = make()
    arguments = {"tool_specs": [WEATHER], "tool_choice": "get_weather"}
    response = await model.get_text(QUESTION, **arguments)
    events = await events_of(model, QUESTION, **arguments)
    assert [event.type for event in events] == ["tool_call", "stop", "end"]
    assert (events[-1].response, provider.calls) == (response, 1)


async def test_gemini_error_in_a_stream(make, provider, cache_dir):
    """An error in a stream is the SDK's own, after the events before it, and nothing is stored."""
    failed = '{"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}'
    answer_next(provider, streamed(['{"candidates": [{"index": 0}]}', failed]))
    received = []

    async def on_event():
        async for event in make().stream_text(QUESTION):
            received.append(event.type)  # noqa: PERF401 - keeps the events before the error

    with pytest.raises(errors.ServerError, match="Overloaded"):
        await on_event()
    assert (received, entry_files(cache_dir)) == (["other"], [])


async def test_gemini_incomplete_stream(make, provider, cache_dir):
    """A stream that ends before the model stopped has no end event, and nothing is stored."""
    answer_next(provider, streamed(['{"candidates": [{"content": {"parts": [{"text": "a"}]}}]}']))
    assert [event.type for event in await events_of(make(), QUESTION)] == ["text"]
    assert entry_files(cache_dir) == []


async def test_gemini_abandoned_stream(make, provider, cache_dir):
    """Leaving a stream early closes its connection, and nothing is stored."""
    left = threading.Event()
    closed = threading.Event()

    def endless():
        try:
            while not left.wait(0.005):
                yield '{"candidates": [{"content": {"parts": [{"text": "a"}]}}]}'
        finally:
            closed.set()

    answer_next(provider, streamed(endless()))
    async with contextlib.aclosing(make().stream_text(QUESTION)) as events:
        async for _ in events:
            break
    assert await asyncio.to_thread(closed.wait, 5)
    left.set()
    assert entry_files(cache_dir) == []


# -- embeddings ------------------------------------------------------------------------------------------------


async def test_gemini_embeddings(make, provider):
    """Each text has a vector, in order. Cached texts are not sent again."""
    model = make("gemini-embedding-001")
    first = await model.embed(["a", "b", "a"], output_dimensionality=8, task_type="RETRIEVAL_QUERY")
    again = await model.embed(["c", "a"], output_dimensionality=8, task_type="RETRIEVAL_QUERY")
    assert [len(vector) for vector in first] == [8, 8, 8]
    assert first[0] == first[2] == again[1] != first[1]
    assert [
        [one["content"]["parts"][0]["text"] for one in request.body["requests"]]
        for request in provider.requests
    ] == [
        ["a", "b"],
        ["c"],
    ]
    assert provider.requests[0].body["requests"][0]["taskType"] == "RETRIEVAL_QUERY"


async def test_gemini_many_embeddings(make, provider):
    """More texts than the provider accepts at once are sent in several requests."""
    texts = [str(number) for number in range(150)]
    vectors = await make("gemini-embedding-001").embed(texts, output_dimensionality=2)
    assert sorted(len(request.body["requests"]) for request in provider.requests) == [50, 100]
    assert await make("gemini-embedding-001").embed(texts[::-1], output_dimensionality=2) == vectors[::-1]


async def test_gemini_embeds_texts_one_by_one_with_a_model_for_media(make, provider):
    """With a model that would treat several texts as parts of one, each text is embedded separately."""
    assert len(await make("gemini-embedding-2").embed(["a", "b"], output_dimensionality=2)) == 2
    assert len(provider.requests[0].body["requests"]) == 2


async def test_gemini_usage_of_an_embedding(make, provider, cache_dir):
    """The usage of an embedding is stored if the provider reports it."""
    answer_next(provider, {"embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 7}})
    assert await make("gemini-embedding-001").embed(["a"]) == [[0.5]]
    assert only_entry(cache_dir)["usage"]["input_tokens"] == 7


@pytest.mark.parametrize("place", ["client", "call"])
async def test_gemini_extra_body_of_an_embedding(make, provider, http_options, place):
    """The extra body of the client or the call is sent with the texts, outside their requests."""
    extra = {"extra_body": {"more": 1}}
    of_client, of_call = (extra, {}) if place == "client" else ({}, extra)
    model = make(
        "gemini-embedding-001",
        client_args={"api_key": "test", "http_options": {**http_options, **of_client}},
    )
    await model.embed(["a"], output_dimensionality=2, **of_call)
    assert provider.requests[0].body["more"] == 1
    assert "more" not in provider.requests[0].body["requests"][0]


# -- without the SDK ------------------------------------------------------------------------------------------------

OFFLINE = """
import asyncio, json, sys
for name in ("google", "google.genai", "httpx", "httpx2"):
    sys.modules[name] = None
import socket
socket.socket.connect = None
from spark_cache.models.gemini import GeminiModel
async def main():
    options = {"http_options": {"base_url": sys.argv[2]}}
    model = GeminiModel("gemini-2.5-flash", client_args=options, enable_cache=True, cache_dir=sys.argv[1])
    question = [{"role": "user", "content": "What is Python?"}]
    response = await model.get_text(question)
    events = [event async for event in model.stream_text(question)]
    output = (await model.get_json(json.loads(sys.argv[3]), question)).output
    (vector,) = await model.embed(["a"], output_dimensionality=2)
    print(response.content, events[-1].response == response, sorted(output), len(vector), sep="|")
asyncio.run(main())
"""


async def test_gemini_hit_without_sdk_api_key_and_network(make, cache_dir, http_options):
    """Text, stream, structured response and vector are hits without the SDK, an API key or the network."""
    model = make()
    response = await model.get_text(QUESTION)
    await model.get_json(SCHEMA, QUESTION)
    await model.embed(["a"], output_dimensionality=2)
    arguments = cache_dir, http_options["base_url"], str(SCHEMA).replace("'", '"')
    done = await asyncio.to_thread(run_python, OFFLINE, *arguments)
    assert done.stdout.strip() == f"{response.content}|True|['city', 'people']|2", done.stderr


def test_gemini_sdk_is_imported_on_the_first_call():
    """Neither importing nor creating the model imports the SDK. A call without it names the package to install."""
    code = """
import asyncio, sys
from spark_cache.models.gemini import GeminiModel
model = GeminiModel("gemini-2.5-flash")
assert "google" not in sys.modules and "httpx2" not in sys.modules
sys.modules["google"] = sys.modules["google.genai"] = None
try:
    asyncio.run(model.get_text([{"role": "user", "content": "x"}]))
except ModuleNotFoundError as error:
    print(error)
"""
    done = run_python(code)
    assert "pip install 'spark-cache[gemini]'" in done.stdout, done.stderr
