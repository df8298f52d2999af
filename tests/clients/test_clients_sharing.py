"""Equal calls share one call and one entry: of models and SDKs, streamed and whole, in tasks, threads and processes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from clients_world import QUESTION, SDKS, STREAM_HEAD, Server, ask, chunk, start, told, whole

from spark_cache import AnthropicModel, GeminiModel, OpenAIModel
from spark_cache.testing import StandInProvider

MODELS = {
    "openai": lambda url: (OpenAIModel, "gpt-4o", {}, url),
    "anthropic": lambda url: (AnthropicModel, "claude", {"max_tokens": 100}, url.removesuffix("/v1")),
    "gemini": lambda url: (GeminiModel, "gemini-2.5-flash", {}, url.removesuffix("/v1")),
}


@pytest.fixture
def slow():
    with StandInProvider(latency_seconds=0.2) as running:
        yield running


@pytest.mark.parametrize("sdk", list(MODELS))
async def test_model_and_clients_have_one_entry(make, provider, settings, entries, sdk):
    """A model, the asynchronous SDK and the synchronous one make one call for a simple question."""
    kind, model_id, params, url = MODELS[sdk](provider.base_url)
    args = {"http_options": {"base_url": url}} if sdk == "gemini" else {"base_url": url}
    config = {"enable_cache": True, "cache_dir": settings["cache_dir"]}
    async with kind(model_id, client_args={"api_key": "test", **args}, **config) as model:
        response = await model.get_text(QUESTION, **params)
    heard = [
        told(await ask(sdk, make(sdk, is_async=is_async), is_async=is_async)) for is_async in (True, False)
    ]
    assert heard[0] == heard[1]
    assert response.content in json.dumps(heard[0], ensure_ascii=False)
    assert (provider.calls, entries()) == (1, 1)


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("stream_first", [False, True])
async def test_whole_and_stream_serve_each_other(make, provider, sdk, stream_first):
    """A stream is answered from a whole response, and a whole response from a stream that has its usage."""
    client = make(sdk)
    usage = {"stream_options": {"include_usage": True}} if sdk == "openai" else {}
    for stream in (stream_first, not stream_first):
        assert await ask(sdk, client, stream=stream, **(usage if stream else {}))
    assert provider.calls == 1


async def test_usage_chunk_goes_to_those_who_ask(make, provider):
    """A stream has the chunk with the usage exactly if this caller asks for it, whatever is stored."""
    client = make("openai")
    asked = {"stream_options": {"include_usage": True}}
    with_usage = await ask("openai", client, stream=True, **asked)
    without = await ask("openai", client, stream=True)
    again = await ask("openai", client, stream=True, **asked)
    assert again == with_usage
    assert with_usage[-1].usage is not None
    assert all("usage" not in item.model_fields_set for item in without)
    assert all(item.choices for item in without)
    assert provider.calls == 1


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("stream", [False, True])
async def test_tasks(make, slow, sdk, stream):
    """50 equal calls in tasks make one call, and hear the same."""
    client = make(sdk, slow.base_url, is_async=True)
    heard = await asyncio.gather(*(ask(sdk, client, stream=stream, is_async=True) for _ in range(50)))
    assert all(told(answer) == told(heard[0]) for answer in heard)
    assert slow.calls == 1


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("stream", [False, True])
def test_threads(make, slow, sdk, stream):
    """20 threads of a synchronous client make one call."""
    client = make(sdk, slow.base_url)

    def one(_):
        answer = start(sdk, client, stream=stream)
        return told(list(answer) if stream else answer)

    with ThreadPoolExecutor(20) as pool:
        heard = list(pool.map(one, range(20)))
    assert all(answer == heard[0] for answer in heard)
    assert slow.calls == 1


def test_processes(cache_dir):
    """4 processes make one call."""
    program = (
        "import sys, openai, spark_cache\n"
        "with openai.OpenAI(base_url=sys.argv[1], api_key='test') as given:\n"
        "    client = spark_cache.cached(given, enabled=True, cache_dir=sys.argv[2])\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    print(client.responses.create(model='m', input='Hi').id)\n"
    )
    with StandInProvider(latency_seconds=0.5) as provider:
        children = [
            subprocess.Popen(
                [sys.executable, "-c", program, provider.base_url, str(cache_dir)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        for child in children:
            assert child.stdout.readline() == "ready\n"
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        assert len({child.communicate(timeout=60)[0] for child in children}) == 1
        assert provider.calls == 1


def test_threads_and_memory(make, provider):
    """1,000 synchronous calls leave no thread behind but the loop's and the writer's."""
    client = make("openai")
    list(start("openai", client, stream=True))
    before = len(threading.enumerate())
    for number in range(1000):
        start("openai", client, str(number % 100))
        if number % 10 == 0:
            list(start("openai", client, str(number), stream=True))
    # The timers of the savings and the connections of the stand-in come and go.
    assert len(threading.enumerate()) <= before + 4
    for _ in range(200):
        if not any("_do" in thread.name for thread in threading.enumerate()):
            break
        threading.Event().wait(0.01)
    assert not [thread for thread in threading.enumerate() if "_do" in thread.name]


@pytest.mark.parametrize("finish", ["length", "content_filter"])
@pytest.mark.parametrize("stream", [False, True])
async def test_response_that_is_not_stored_is_shared(make, entries, finish, stream):
    """A response that was cut or refused reaches all who wait at once, and is not stored."""
    gate = threading.Event()
    if stream:
        script = [STREAM_HEAD, gate, f"data: {json.dumps(chunk('Hi', finish))}\n\ndata: [DONE]\n\n".encode()]
    else:
        message = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": finish}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [message]}
        script = [gate, *whole(json.dumps(body).encode())]
    with Server(script) as server:
        client = make("openai", server.base_url, is_async=True)
        calls = [asyncio.create_task(ask("openai", client, stream=stream)) for _ in range(10)]
        await asyncio.sleep(0.1)
        gate.set()
        heard = await asyncio.gather(*calls)
        assert all(told(answer) == told(heard[0]) for answer in heard)
        assert (len(server.requests), entries()) == (1, 0)


async def test_stream_left_early_while_others_wait(make, entries):
    """The call goes on for those who wait when the caller that made it stops its stream."""
    gate = threading.Event()
    events = [f"data: {json.dumps(chunk(*said))}\n\n".encode() for said in (("Hi",), ("!", "stop"))]
    with Server([STREAM_HEAD + events[0], gate, events[1] + b"data: [DONE]\n\n"]) as server:
        client = make("openai", server.base_url, is_async=True)
        stream = await start("openai", client, stream=True)
        await anext(aiter(stream))
        waiting = asyncio.create_task(ask("openai", client, stream=True))
        await asyncio.sleep(0.05)
        await stream.close()
        gate.set()
        assert len(await waiting) == 2
        assert (len(server.requests), entries()) == (1, 1)


def test_sync_stream_left_early_while_others_wait(make, entries):
    """The same with threads: what is left to read no longer needs the thread of the caller that stopped."""
    gate = threading.Event()
    events = [f"data: {json.dumps(chunk(*said))}\n\n".encode() for said in (("Hi",), ("!", "stop"))]
    with (
        Server([STREAM_HEAD + events[0], gate, events[1] + b"data: [DONE]\n\n"]) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        client = make("openai", server.base_url)
        stream = start("openai", client, stream=True)
        next(stream)
        waiting = pool.submit(lambda: list(start("openai", client, stream=True)))
        while not _is_waited_for(client):
            pass
        stream.close()
        gate.set()
        assert len(waiting.result(20)) == 2
        assert (len(server.requests), entries()) == (1, 1)


def _is_waited_for(client):
    flights = client._client._transport._exchange.manager.calls.single_flight._flights
    return any(len(flight.waiters) > 1 for flight in list(flights.values()))


@pytest.mark.parametrize("is_read", [False, True])
def test_stream_left_alone_ends(make, entries, is_read):
    """A stream that its only caller leaves is neither read to its end nor stored, whether it was read or not."""
    gate = threading.Event()
    with Server([STREAM_HEAD + f"data: {json.dumps(chunk('Hi'))}\n\n".encode(), gate]) as server:
        client = make("openai", server.base_url)
        stream = start("openai", client, stream=True)
        if is_read:
            next(stream)
        stream.close()
        calls = client._client._transport._exchange.manager.calls
        for _ in range(200):
            if not calls.single_flight.running_count:
                break
            threading.Event().wait(0.01)
        assert calls.single_flight.running_count == 0
        assert entries() == 0
        gate.set()


def test_two_equal_streams_of_one_thread(make, entries):
    """A thread that has not read its first stream can start an equal one, and read both side by side."""
    events = [f"data: {json.dumps(chunk(*said))}\n\n".encode() for said in (("Hi",), ("!", "stop"))]
    with Server([STREAM_HEAD, *events, b"data: [DONE]\n\n"]) as server:
        client = make("openai", server.base_url)
        streams = [start("openai", client, stream=True) for _ in range(2)]
        assert [told(one) == told(two) for one, two in zip(*streams, strict=True)] == [True, True]
        assert (len(server.requests), entries()) == (1, 1)
