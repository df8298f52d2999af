"""Calls that fail: what the caller sees is what it sees without the cache, and nothing is stored."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from clients_world import SDKS, STREAM_HEAD, Server, ask, chunk, client_of, close, got, head, start

from spark_cache.testing import StandInProvider

FAULTS = {"openai": 4, "responses": 4, "anthropic": 4, "gemini": 1}


async def outcome(sdk, client, **options):
    """Return what a call comes to: the type, the message and the status of its error, or its answer."""
    try:
        return await ask(sdk, client, **options)
    except Exception as error:
        return type(error), str(error), getattr(error, "status_code", None), type(error.__cause__)


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 429, 500])
async def test_failing_calls(make, provider, entries, sdk, is_async, stream, status):
    """A failing call raises the SDK's own error, and the next call asks the provider again."""
    plain = client_of(sdk, provider.base_url, is_async=is_async)
    client = make(sdk, is_async=is_async)
    options = {"stream": stream, "is_async": is_async}
    provider.fail_next(status, times=2)
    expected = await outcome(sdk, plain, **options)
    assert await outcome(sdk, client, **options) == expected
    assert (provider.calls, entries()) == (2, 0)
    assert not isinstance(await outcome(sdk, client, **options), tuple)
    await close(plain)


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
async def test_retries_are_calls(make, provider, entries, sdk, monkeypatch):
    """The SDK retries, each attempt is a call, and the successful one is stored."""
    monkeypatch.setattr("random.random", lambda: 1.0)
    client = make(sdk, retries=2)
    provider.fail_next(500, times=1)
    await ask(sdk, client)
    assert (provider.calls, entries()) == (2, 1)


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("reset", [[], [None]])
async def test_broken_off_streams(make, entries, sdk, is_async, reset):
    """A connection that ends or breaks in mid-stream gives the chunks, and then what the SDK makes of it."""
    event = {"openai": chunk("Hi"), "gemini": {"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]}}.get(
        sdk, {"type": "message_stop_not", "sequence_number": 1}
    )
    body = f"event: x\ndata: {json.dumps(event)}\n\n".encode()
    script = [
        head(None, "transfer-encoding: chunked", kind="text/event-stream"),
        b"%x\r\n%b\r\n" % (len(body), body),
    ]
    with Server([*script, *reset]) as server:
        plain = client_of(sdk, server.base_url, is_async=is_async)
        client = make(sdk, server.base_url, is_async=is_async)
        heard = []
        for one in (plain, client):
            used = one.aio if sdk == "gemini" and is_async else one
            chunks = []
            try:
                stream = await got(start(sdk, used, stream=True))
                if is_async:
                    async for item in stream:
                        chunks.append(item)  # noqa: PERF401 - what came before an error counts
                else:
                    chunks.extend(stream)
            except Exception as error:
                chunks.append((type(error), str(error)))
            heard.append([item if isinstance(item, tuple) else type(item) for item in chunks])
        assert heard[0] == heard[1]
        assert entries() == 0
        await close(plain)


@pytest.mark.parametrize("is_async", [False, True])
async def test_own_timeout(make, is_async):
    """A call that takes longer than the SDK's timeout fails as without the cache."""
    with StandInProvider(latency_seconds=1.0) as provider:
        plain = client_of("openai", provider.base_url, is_async=is_async, timeout=0.1)
        client = make("openai", provider.base_url, is_async=is_async, timeout=0.1)
        expected = await outcome("openai", plain)
        started = time.monotonic()
        assert await outcome("openai", client) == expected
        assert time.monotonic() - started < 0.6
        await close(plain)


async def test_timeout_of_another_caller(make, entries):
    """A caller with patience is not given the timeout of an impatient one, nor the other way round."""
    with StandInProvider(latency_seconds=0.4) as provider:
        patient = make("openai", provider.base_url, is_async=True)
        manager = {"timeout": 0.1}
        impatient = patient.with_options(**manager)
        first = asyncio.create_task(outcome("openai", impatient))
        await asyncio.sleep(0.03)
        second = asyncio.create_task(outcome("openai", patient))
        assert isinstance(await first, tuple)
        assert not isinstance(await second, tuple)
        assert entries() == 1
        first = asyncio.create_task(ask("openai", patient, "Another"))
        await asyncio.sleep(0.03)
        started = time.monotonic()
        late = await ask_or_error(impatient)
        assert "timed out" in late.lower()
        assert time.monotonic() - started < 0.3
        await first


async def ask_or_error(client):
    try:
        await ask("openai", client, "Another")
    except Exception as error:
        return str(error)
    return ""


async def test_failing_connection_is_not_shared(make):
    """Those who wait for a call whose connection breaks make their own attempts, side by side, and get their own errors."""
    gate = threading.Event()
    with Server([gate, None]) as server:
        client = make("openai", server.base_url, is_async=True)
        calls = [asyncio.create_task(start("openai", client)) for _ in range(10)]
        await asyncio.sleep(0.1)
        gate.set()
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert len({id(error.__cause__) for error in errors}) == 10
        assert len(server.requests) == 10


async def test_failing_status_is_shared_as_a_response(make):
    """Those who wait for a call that the provider refuses get its response, as errors of their own."""
    with StandInProvider(latency_seconds=0.1) as provider:
        provider.fail_next(429)
        client = make("openai", provider.base_url, is_async=True)
        errors = await asyncio.gather(*(start("openai", client) for _ in range(10)), return_exceptions=True)
        assert {error.status_code for error in errors} == {429}
        assert len({id(error) for error in errors}) == len({id(error.response) for error in errors}) == 10
        assert provider.calls == 1


async def test_cancelled_caller(make, entries):
    """A cancelled caller takes nothing from those who wait; a call that nobody waits for is not stored."""
    with StandInProvider(latency_seconds=0.2) as provider:
        client = make("openai", provider.base_url, is_async=True)
        calls = [asyncio.create_task(ask("openai", client)) for _ in range(3)]
        await asyncio.sleep(0.05)
        calls[0].cancel()
        assert len(await asyncio.gather(*calls[1:])) == 2
        assert (provider.calls, entries()) == (1, 1)
        alone = asyncio.create_task(ask("openai", client, "Another"))
        await asyncio.sleep(0.05)
        alone.cancel()
        await asyncio.wait([alone])
        assert alone.cancelled()
        assert entries() == 1


async def test_broken_off_stream_while_others_wait(make, entries):
    """Those who wait for a stream that breaks off make their own calls."""
    gate = threading.Event()
    good = f"data: {json.dumps(chunk('Hi', 'stop'))}\n\ndata: [DONE]\n\n".encode()
    event = f"data: {json.dumps(chunk('Hi'))}\n\n".encode()
    broken = [head(500, kind="text/event-stream"), event, gate, None]
    with Server(broken, [STREAM_HEAD + good]) as server:
        client = make("openai", server.base_url, is_async=True)
        stream = await start("openai", client, stream=True)
        await anext(aiter(stream))
        waiting = asyncio.create_task(ask("openai", client, stream=True))
        await asyncio.sleep(0.05)
        gate.set()
        with pytest.raises(Exception, match=r"\w"):
            await anext(aiter(stream))
        assert [item.choices[0].delta.content for item in await waiting] == ["Hi"]
        assert (len(server.requests), entries()) == (2, 1)


def test_cache_that_cannot_be_written(make, provider, cache_dir, warned):
    """A cache directory that is a file is a warning; calls succeed."""
    cache_dir.write_text("")
    client = make("openai")
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(lambda _: start("openai", client).id, range(2)))
    assert list(start("openai", client, stream=True))
    assert warned()
