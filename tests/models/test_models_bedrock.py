"""BedrockModel: the real SDK against the stand-in provider."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import boto3
import pytest
from botocore.config import Config
from botocore.eventstream import ChecksumMismatch
from botocore.exceptions import ClientError, EventStreamError, NoCredentialsError, ParamValidationError
from models_anthropic_world import SCHEMA, events_of
from models_world import QUESTION, WEATHER, answer_next, entry_files, run_python

from spark_cache.models.bedrock import BedrockModel
from spark_cache.providers.bedrock.embeddings import vectors_of
from spark_cache.providers.bedrock.frames import event_frame
from spark_cache.providers.response import Usage
from spark_cache.testing.standin.transport import Stream

MODEL = "us.amazon.nova-lite-v1:0"
REDACTED = {"reasoningContent": {"redactedContent": "AAEC/w=="}}
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [REDACTED, {"text": "Hello"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4, "unheardOf": 5},
    "metrics": {"latencyMs": 7},
    "unheardOf": {"kept": [1.5, None]},
}
STARTED = event_frame("messageStart", {"role": "assistant"})


@pytest.fixture
def address(provider):
    return provider.base_url.removesuffix("/v1")


@pytest.fixture
def session():
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")


@pytest.fixture
async def make(address, session, cache_dir):
    """Return a function that creates models of the stand-in with the cache on, and close them after the test."""
    async with contextlib.AsyncExitStack() as stack:

        def make(model_id=MODEL, **options):
            options = {
                "enable_cache": True,
                "cache_dir": cache_dir,
                "boto_session": session,
                "endpoint_url": address,
                "client_args": {"config": Config(retries={"total_max_attempts": 1})},
                **options,
            }
            model = BedrockModel(model_id, **options)
            stack.push_async_callback(model.aclose)
            return model

        yield make


def stream_of(*frames):
    return Stream("application/vnd.amazon.eventstream", iter(frames))


# -- responses ------------------------------------------------------------------------------------------------


async def test_second_call_makes_no_api_call(make, provider):
    """An equal call is a hit with an equal response."""
    model = make()
    fresh, hit = await model.get_text(QUESTION), await model.get_text(QUESTION)
    assert (fresh.cached, hit.cached, provider.calls) == (False, True, 1)
    assert hit == fresh
    assert fresh.content.startswith("[stand-in] You asked: What is Python?")
    assert (fresh.stop_reason, set(fresh.raw)) == ("end_turn", {"output", "stopReason", "usage", "metrics"})


async def test_raw_is_the_services_json(make, provider):
    """The service's JSON is kept complete: bytes as base64, and fields that boto3 does not know."""
    answer_next(provider, ANSWER)
    model = make()
    for _ in range(2):
        response = await model.get_text(QUESTION)
        assert (response.raw, response.content) == (ANSWER, "Hello")


async def test_bytes_are_sent_back_unchanged(make, provider):
    """A message of a response can be sent back with the bytes that the service sent."""
    answer_next(provider, ANSWER)
    model = make()
    message = (await model.get_text(QUESTION)).raw["output"]["message"]
    await model.get_text([*QUESTION, message, *QUESTION])
    assert provider.requests[-1].body["messages"][1] == message


async def test_bytes_are_keyed(make, provider):
    """Requests that differ only in bytes are different requests, and each is sent with its own bytes."""
    model = make()
    for data in (b"\x89one", b"\x89two", b"\x89one"):
        image = {"image": {"format": "png", "source": {"bytes": data}}}
        await model.get_text([{"role": "user", "content": [{"text": "See"}, image]}])
    sent = [
        request.body["messages"][0]["content"][1]["image"]["source"]["bytes"] for request in provider.requests
    ]
    assert sent == ["iW9uZQ==", "iXR3bw=="]


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
    """A call of a tool that the provider runs itself is in the service's JSON only. Cited text is text."""
    run = {"toolUse": {"toolUseId": "s", "name": "code", "input": {}, "type": "server_tool_use"}}
    cited = {"citationsContent": {"content": [{"text": "So "}, {"text": "it is."}], "citations": []}}
    answer_next(provider, {**ANSWER, "output": {"message": {"role": "assistant", "content": [run, cited]}}})
    response = await make().get_text(QUESTION)
    assert (response.tool_calls, response.content) == ((), "So it is.")


async def test_usage(make, provider):
    """Input tokens include those that were read from or written to the provider's prompt cache."""
    usage = {
        "inputTokens": 3,
        "outputTokens": 7,
        "totalTokens": 130,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 20,
    }
    answer_next(provider, {**ANSWER, "usage": usage})
    response = await make().get_text(QUESTION)
    assert response.usage == Usage(123, 7, 130, cached_tokens=100, cache_write_tokens=20)


async def test_structured_response(make, provider):
    """A structured response uses the provider's own feature, is validated and cached."""
    model = make()
    fresh, hit = [await model.get_json(SCHEMA, QUESTION) for _ in range(2)]
    assert fresh.output == hit.output
    assert set(fresh.output) == {"city", "people"}
    assert (hit.cached, provider.calls) == (True, 1)


@pytest.mark.parametrize(
    ("reason", "stop_reason", "stored"),
    [
        ("end_turn", "end_turn", True),
        ("stop_sequence", "stop_sequence", True),
        ("max_tokens", "max_tokens", False),
        ("model_context_window_exceeded", "max_tokens", False),
        ("guardrail_intervened", "content_filter", False),
        ("content_filtered", "content_filter", False),
        ("malformed_tool_use", "malformed_tool_use", False),
    ],
)
async def test_what_is_stored(make, provider, cache_dir, reason, stop_reason, stored):
    """Complete responses are stored. Others are not."""
    answer_next(provider, {**ANSWER, "stopReason": reason})
    response = await make().get_text(QUESTION)
    assert (response.stop_reason, response.provider_stop_reason) == (stop_reason, reason)
    assert bool(entry_files(cache_dir)) is stored


# -- requests ------------------------------------------------------------------------------------------------


async def test_inference_profile(make, provider):
    """An ARN is a model ID like any other."""
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    model = make(arn)
    for _ in range(2):
        response = await model.get_text(QUESTION)
    assert response.cached
    assert provider.requests[0].path.startswith("/model/arn%3Aaws%3Abedrock")


@pytest.mark.parametrize(
    ("model_id", "parameters"),
    [
        (MODEL, {"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "DRAFT"}}),
        ("arn:aws:bedrock:us-east-1:123456789012:prompt/PROMPT1234", {}),
    ],
    ids=["draft of a guardrail", "prompt without a version"],
)
async def test_state_at_the_provider(make, provider, cache_dir, model_id, parameters):
    """A request that refers to state at the provider that may change is not cached."""
    model = make(model_id)
    for _ in range(2):
        assert not (await model.get_text(QUESTION, **parameters)).cached
    assert (provider.calls, entry_files(cache_dir)) == (2, [])


def test_version_of_a_prompt(make):
    """A prompt with a version never changes, and has a key."""
    assert make("arn:aws:bedrock:us-east-1:123456789012:prompt/PROMPT1234:2").cache_key(QUESTION)


@pytest.mark.parametrize("parameters", [{"modelId": "m"}], ids=str)
async def test_reserved_parameters(make, parameters):
    """An argument that belongs elsewhere is refused as a parameter."""
    with pytest.raises(TypeError):
        await make().get_text(QUESTION, **parameters)


def test_region_is_not_keyed(make):
    """The region determines where a model runs and does not change responses. The service's own addresses count as one."""
    options = [
        {"endpoint_url": None, "region_name": "eu-west-1"},
        {"endpoint_url": None, "region_name": "us-east-1"},
        {"endpoint_url": "https://bedrock-runtime.us-west-2.amazonaws.com"},
        {"endpoint_url": "https://bedrock-runtime-fips.us-east-1.amazonaws.com/"},
    ]
    assert len({make(**option).cache_key(QUESTION) for option in options}) == 1


def test_address_is_keyed(make, monkeypatch, tmp_path):
    """An address other than AWS's own is keyed, from an argument, the environment or AWS's configuration file."""
    own, given = make(endpoint_url=None), make(endpoint_url="http://proxy:8000/")
    assert own.cache_key(QUESTION) != given.cache_key(QUESTION)
    (tmp_path / "config").write_text(
        "[profile mine]\nservices = here\n[services here]\nbedrock_runtime =\n  endpoint_url = http://proxy:8000\n"
    )
    with monkeypatch.context() as patched:
        patched.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        patched.setenv("AWS_PROFILE", "mine")
        assert make(endpoint_url=None, boto_session=None).cache_key(QUESTION) == given.cache_key(QUESTION)
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://proxy:8000")
    assert make(endpoint_url=None).cache_key(QUESTION) == given.cache_key(QUESTION)
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert make(endpoint_url=None).cache_key(QUESTION) == own.cache_key(QUESTION)


async def test_address_from_the_environment_is_called(make, provider, address, monkeypatch):
    """The keyed address is the one that is called, even if the environment changes."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    model = make(endpoint_url=None)
    model.cache_key(QUESTION)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    await model.get_text(QUESTION)
    assert provider.calls == 1


def test_number_of_threads(make):
    """At least one thread is required."""
    with pytest.raises(ValueError, match="threads"):
        make(threads=0)


# -- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 429, 503])
async def test_errors_of_the_sdk(make, provider, session, address, cache_dir, status):
    """An error of the service is boto3's own, as without the cache, and is not stored."""
    provider.fail_next(status, {"message": "No."}, times=2)
    with pytest.raises(ClientError) as raised:
        await make().get_text(QUESTION)
    plain = session.client(
        "bedrock-runtime", endpoint_url=address, config=Config(retries={"total_max_attempts": 1})
    )
    with contextlib.closing(plain), pytest.raises(ClientError) as expected:
        plain.converse(modelId=MODEL, messages=[{"role": "user", "content": [{"text": "x"}]}])
    for error in (raised.value, expected.value):
        error.response["ResponseMetadata"]["HTTPHeaders"].pop("date")
    assert raised.value.response == expected.value.response
    assert entry_files(cache_dir) == []


async def test_errors_before_the_call(make, provider):
    """A request that boto3 refuses to send raises its own error."""
    with pytest.raises(ParamValidationError):
        await make().get_text(QUESTION, not_a_parameter=1)
    with pytest.raises(NoCredentialsError):
        await make(boto_session=None, region_name="us-east-1").get_text(QUESTION)
    assert provider.calls == 0


async def test_retries_of_the_sdk(make, provider):
    """A call that boto3 retries is one call, and its response is stored."""
    provider.fail_next(429, {"message": "Slow down."})
    model = make(client_args={"config": Config(retries={"total_max_attempts": 2})})
    assert not (await model.get_text(QUESTION)).cached
    assert (await model.get_text(QUESTION)).cached
    assert provider.calls == 2


# -- streams ------------------------------------------------------------------------------------------------


async def test_stream_and_its_replay(make, provider):
    """A stream passes on its pieces as they were sent. A hit replays the same events."""
    model = make()
    fresh, replayed = [await events_of(model, QUESTION) for _ in range(2)]
    assert fresh == replayed
    assert provider.calls == 1
    assert [event.type for event in fresh if event.type != "text"] == [
        "other",
        "other",
        "stop",
        "other",
        "end",
    ]
    assert "".join(event.text for event in fresh) == replayed[-1].response.content
    # Padding, which boto3 removes.
    assert fresh[1].raw == {
        "contentBlockDelta": {"delta": {"text": "[sta"}, "contentBlockIndex": 0, "p": "a"}
    }


async def test_streamed_tool_call(make):
    """The pieces of a streamed tool call add up to it."""
    events = await events_of(make(), QUESTION, tool_specs=[WEATHER], tool_choice="get_weather")
    (call,) = events[-1].response.tool_calls
    pieces = [piece for event in events for piece in event.tool_calls]
    assert (pieces[0].id, pieces[0].name) == (call.id, "get_weather")
    assert (
        call.arguments
        == (await make().get_text(QUESTION, tool_specs=[WEATHER], tool_choice="get_weather"))
        .tool_calls[0]
        .arguments
    )


async def test_streamed_response_serves_text(make, provider):
    """A streamed response serves get_text, with an equal response."""
    model = make()
    end = (await events_of(model, QUESTION))[-1]
    response = await model.get_text(QUESTION)
    assert (response, response.cached) == (end.response, True)
    assert (await model.get_text(QUESTION, cache="refresh")).raw == response.raw


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_events_in_pieces(make, provider, size):
    """Events are complete, whatever the pieces in which they arrive."""
    data = b"".join(whole("Hello"))
    answer_next(provider, stream_of(*(data[at : at + size] for at in range(0, len(data), size))))
    events = await events_of(make(), QUESTION)
    assert (len(events), events[-1].response.content) == (6, "Hello")


@pytest.mark.parametrize(
    ("frame", "error"),
    [(bytes(16), ChecksumMismatch), (b"\0\0\0\x10" + bytes(12), ChecksumMismatch), (b"\0\0\0\1", None)],
    ids=["zeroes", "wrong checksum", "too short"],
)
async def test_invalid_stream(make, provider, cache_dir, frame, error):
    """Data that is not an event raises boto3's error, and nothing is stored."""
    answer_next(provider, stream_of(STARTED, frame))
    with pytest.raises(error) if error else contextlib.nullcontext():
        await events_of(make(), QUESTION)
    assert entry_files(cache_dir) == []


async def test_event_that_the_sdk_does_not_know(make, provider):
    """An event that boto3 skips is passed on."""
    frames = [STARTED, event_frame("brandNew", {"a": 1}), *whole("Hello")[1:]]
    answer_next(provider, stream_of(*frames))
    events = await events_of(make(), QUESTION)
    assert events[1].raw == {"brandNew": {"a": 1}}
    assert events[-1].response.content == "Hello"


async def test_error_in_a_stream(make, provider, session, address, cache_dir):
    """An error in a stream is boto3's own, after the events before it, and nothing is stored."""
    frames = [STARTED, event_frame("throttlingException", {"message": "Slow down."}, is_error=True)]
    received = []

    async def on_event():
        async for event in make().stream_text(QUESTION):
            received.append(event.type)  # noqa: PERF401 - keeps the events before the error

    answer_next(provider, stream_of(*frames))
    with pytest.raises(EventStreamError) as raised:
        await on_event()
    answer_next(provider, stream_of(*frames))
    plain = session.client("bedrock-runtime", endpoint_url=address)
    messages = [{"role": "user", "content": [{"text": "x"}]}]
    with (
        contextlib.closing(plain),
        pytest.raises(EventStreamError) as expected,
        contextlib.closing(plain.converse_stream(modelId=MODEL, messages=messages)["stream"]) as events,
    ):
        list(events)
    assert raised.value.response == expected.value.response
    assert (received, entry_files(cache_dir)) == (["other"], [])


@pytest.mark.parametrize("kept", range(1, 5))
async def test_incomplete_stream(make, provider, cache_dir, kept):
    """A stream that ends before the response is complete has no end event, and nothing is stored."""
    answer_next(provider, stream_of(*whole("Hello")[:kept]))
    events = await events_of(make(), QUESTION)
    assert (len(events), "end" in [event.type for event in events]) == (kept, False)
    assert entry_files(cache_dir) == []


def whole(text):
    """Return the frames of a response."""
    return [
        STARTED,
        event_frame("contentBlockDelta", {"delta": {"text": text}, "contentBlockIndex": 0}),
        event_frame("contentBlockStop", {"contentBlockIndex": 0}),
        event_frame("messageStop", {"stopReason": "end_turn"}),
        event_frame("metadata", {"usage": ANSWER["usage"], "metrics": {"latencyMs": 1}}),
    ]


async def test_abandoned_stream(make, provider, cache_dir):
    """Leaving a stream while its thread waits closes the connection, and nothing is stored."""
    left, ended = threading.Event(), threading.Event()

    def endless():
        try:
            yield STARTED
            while not left.wait(0.01):
                pass
            while True:
                yield STARTED
        finally:
            ended.set()

    answer_next(provider, Stream("application/vnd.amazon.eventstream", endless()))
    async with contextlib.aclosing(make().stream_text(QUESTION)) as events:
        async for _ in events:
            break
    left.set()
    assert await asyncio.to_thread(ended.wait, 10)
    assert entry_files(cache_dir) == []


async def test_thread_of_an_abandoned_stream(make, provider):
    """The thread that waits for the next event is free as soon as the stream is left, whatever the service does."""
    done = threading.Event()

    def silent():
        yield STARTED
        done.wait(30)

    answer_next(provider, Stream("application/vnd.amazon.eventstream", silent()))
    model = make(threads=1)
    async with contextlib.aclosing(model.stream_text(QUESTION)) as events:
        async for _ in events:
            break
    try:
        async with asyncio.timeout(10):
            assert (await model.get_text(QUESTION)).content
    finally:
        done.set()


async def test_call_cancelled_before_its_stream_starts(make, provider, cache_dir):
    """A stream that starts after its caller has gone is closed by the thread that opened it."""
    came, left, ended = threading.Event(), threading.Event(), threading.Event()

    def late():
        try:
            came.set()
            left.wait(10)
            while True:
                yield STARTED
        finally:
            ended.set()

    answer_next(provider, Stream("application/vnd.amazon.eventstream", late()))
    call = asyncio.create_task(anext(make().stream_text(QUESTION)))
    assert await asyncio.to_thread(came.wait, 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    left.set()
    assert await asyncio.to_thread(ended.wait, 10)
    assert entry_files(cache_dir) == []


async def test_threads_end(make):
    """Closing a model ends its threads, and it can still be used."""
    model = make()
    await asyncio.gather(*(model.get_text(QUESTION, temperature=number / 10) for number in range(5)))
    await model.aclose()
    for thread in threading.enumerate():
        if thread.name.startswith("spark-cache-bedrock"):
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()
    assert not (await model.get_text(QUESTION)).cached


# -- embeddings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model_id", "calls"),
    [("amazon.titan-embed-text-v2:0", 4), ("us.cohere.embed-v4:0", 2)],
    ids=["titan", "cohere"],
)
async def test_embeddings(make, provider, model_id, calls):
    """Texts are embedded in the largest batches that the model accepts. Cached texts are not sent again."""
    model = make(model_id)
    first = await model.embed(["one", "two", "one"])
    second = await model.embed(["three", "one", "four"])
    assert (first[0], first[0], len(provider.requests)) == (first[2], second[1], calls)
    assert len({tuple(vector) for vector in first + second}) == 4
    assert await make(model_id, enable_cache=False).embed(["four"]) == second[2:]


@pytest.mark.parametrize(
    ("raw", "vectors"),
    [
        ({"embedding": [1.0]}, [[1.0]]),
        ({"embeddingsByType": {"binary": [1, 0]}}, [[1, 0]]),
        ({"embeddings": [[1.0], [2.0]]}, [[1.0], [2.0]]),
        ({"embeddings": {"float": [[1.0], [2.0]]}}, [[1.0], [2.0]]),
    ],
    ids=["titan", "titan by type", "cohere", "cohere by type"],
)
def test_forms_of_embeddings(raw, vectors):
    """Vectors are found in each of the forms in which the models send them."""
    assert vectors_of(raw) == vectors


async def test_model_that_does_not_embed(make, provider):
    """A model of another family is refused before the service is called."""
    with pytest.raises(NotImplementedError, match="Titan and Cohere"):
        await make().embed(["one"])
    assert provider.calls == 0


# -- without the SDK ------------------------------------------------------------------------------------------------


async def test_hit_without_sdk_credentials_and_network(make, address, cache_dir):
    """Text, stream and structured response are hits without the SDK, credentials or the network."""
    model = make()
    response = await model.get_text(QUESTION)
    await model.get_json(SCHEMA, QUESTION)
    code = """
import asyncio, sys
sys.modules["boto3"] = sys.modules["botocore"] = None
import socket
socket.socket.connect = None
from spark_cache.models.bedrock import BedrockModel
from spark_cache.providers.bedrock.embeddings import vectors_of
async def main():
    model = BedrockModel("us.amazon.nova-lite-v1:0", endpoint_url=sys.argv[2], enable_cache=True, cache_dir=sys.argv[1])
    question = [{"role": "user", "content": "What is Python?"}]
    response = await model.get_text(question)
    events = [event async for event in model.stream_text(question)]
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 1}},
              "required": ["city", "people"]}
    output = (await model.get_json(schema, question)).output
    print(response.content, events[-1].response == response, sorted(output), sep="|")
asyncio.run(main())
"""
    done = await asyncio.to_thread(run_python, code, cache_dir, address)
    assert done.stdout.strip() == f"{response.content}|True|['city', 'people']", done.stderr


def test_sdk_is_imported_on_the_first_call():
    """Neither importing nor creating the model imports boto3. A call without it names the package to install."""
    code = """
import asyncio, sys
import spark_cache.models.bedrock
model = spark_cache.models.bedrock.BedrockModel("m")
assert not {"boto3", "botocore"} & set(sys.modules)
sys.modules["boto3"] = None
try:
    asyncio.run(model.get_text([{"role": "user", "content": "x"}]))
except ModuleNotFoundError as error:
    print(error)
"""
    done = run_python(code)
    assert "pip install 'spark-cache[bedrock]'" in done.stdout, done.stderr
