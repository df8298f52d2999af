"""Simultaneous equal calls, at least one of which is a stream."""

from __future__ import annotations

import asyncio
import contextlib

import openai
import pytest
from models_world import QUESTION, ask, entry_files, events_of, send_next, server_sent

from spark_cache import OpenAIModel
from spark_cache.testing import StandInProvider


@pytest.fixture
async def pieces(make_model):
    """The events of a stream, as the provider sends them."""
    return [event.raw for event in (await events_of(make_model(), QUESTION, cache="bypass"))[:-1]]


async def start_stream(stream):
    """Start a stream and return its first event and the stream."""
    return await anext(stream), stream


async def rest(stream):
    return [event async for event in stream]


async def test_equal_streams_make_one_call(make_model, provider, pieces):
    """Two equal streams make one call. The second gets the same events after the first has ended."""
    model = make_model()
    gate = send_next(provider, server_sent(pieces[:2]), server_sent(pieces[2:]))
    calls = provider.calls
    first, stream = await start_stream(model.stream_text(ask("Again")))
    waiting = asyncio.create_task(events_of(model, ask("Again")))
    await asyncio.sleep(0.05)
    gate.set()
    assert [first, *await rest(stream)] == await waiting
    assert provider.calls == calls + 1
    assert (await waiting)[-1].response.shared


async def test_stream_and_text_make_one_call(make_model, provider, pieces):
    """get_text waits for an equal stream and gets its response."""
    model = make_model()
    gate = send_next(provider, server_sent(pieces[:2]), server_sent(pieces[2:]))
    calls = provider.calls
    _, stream = await start_stream(model.stream_text(ask("Again")))
    waiting = asyncio.create_task(model.get_text(ask("Again")))
    await asyncio.sleep(0.05)
    gate.set()
    events = await rest(stream)
    assert await waiting == events[-1].response
    assert provider.calls == calls + 1


async def test_text_and_stream_make_one_call(cache_dir):
    """A stream waits for an equal get_text and gets its response as events."""
    with StandInProvider(latency_seconds=0.2) as provider:
        client_args = {"base_url": provider.base_url, "api_key": "test"}
        async with OpenAIModel(
            "gpt-4o", enable_cache=True, cache_dir=cache_dir, client_args=client_args
        ) as model:
            caller = asyncio.create_task(model.get_text(QUESTION))
            await asyncio.sleep(0.05)
            events = await events_of(model, QUESTION)
            assert events[-1].response == await caller
            assert provider.calls == 1


async def test_text_does_not_use_a_stream_without_usage(make_model, provider, pieces):
    """get_text calls the provider itself if an equal stream does not report its usage."""
    model = make_model()
    without_usage = [{**piece, "usage": None} for piece in pieces]
    gate = send_next(provider, server_sent(without_usage[:2]), server_sent(without_usage[2:]))
    calls = provider.calls
    _, stream = await start_stream(model.stream_text(ask("Again")))
    waiting = asyncio.create_task(model.get_text(ask("Again")))
    await asyncio.sleep(0.05)
    gate.set()
    events = await rest(stream)
    assert events[-1].response.usage is None
    assert (await waiting).usage is not None
    assert provider.calls == calls + 2


async def test_stream_without_usage_is_a_miss_for_text(make_model, provider, pieces):
    """A streamed response without usage is a hit for another stream and a miss for get_text."""
    model = make_model()
    send_next(provider, server_sent([{**piece, "usage": None} for piece in pieces])).set()
    first = await events_of(model, ask("Again"))
    assert await events_of(model, ask("Again")) == first
    text = await model.get_text(ask("Again"))
    assert not text.cached
    assert text.usage is not None
    assert model.cache.get_stats()["misses_by_reason"]["unsuitable"] == 1


async def test_caller_that_stops_early_does_not_end_a_shared_call(make_model, provider, cache_dir, pieces):
    """A caller that stops early does not end a call that another waits for. The response is stored."""
    model = make_model()
    gate = send_next(provider, server_sent(pieces[:2]), server_sent(pieces[2:]))
    calls = provider.calls
    async with contextlib.aclosing(model.stream_text(ask("Again"))) as stream:
        await anext(stream)
        waiting = asyncio.create_task(events_of(model, ask("Again")))
        await asyncio.sleep(0.05)
    gate.set()
    assert [event.raw for event in (await waiting)[:-1]] == pieces
    assert provider.calls == calls + 1
    assert len(entry_files(cache_dir)) == 1


async def test_waiters_share_the_error(make_model, provider, cache_dir, pieces):
    """If a stream ends in an error, all callers that share the call get it."""
    model = make_model()
    failure = {"error": {"message": "overloaded"}}
    gate = send_next(provider, server_sent(pieces[:2]), server_sent([failure]))
    _, stream = await start_stream(model.stream_text(ask("Again")))
    waiting = asyncio.create_task(model.get_text(ask("Again")))
    await asyncio.sleep(0.05)
    gate.set()
    with pytest.raises(openai.APIError, match="overloaded"):
        await rest(stream)
    with pytest.raises(openai.APIError, match="overloaded"):
        await waiting
    assert entry_files(cache_dir) == []


async def test_waiters_of_an_incomplete_stream_make_their_own_calls(make_model, provider, pieces):
    """If a stream is incomplete, the callers that waited for it make their own calls."""
    model = make_model()
    gate = send_next(provider, server_sent(pieces[:2]), server_sent(pieces[2:3]))
    calls = provider.calls
    _, stream = await start_stream(model.stream_text(ask("Again")))
    text = asyncio.create_task(model.get_text(ask("Again")))
    await asyncio.sleep(0.05)
    gate.set()
    assert all(event.type != "end" for event in await rest(stream))
    assert (await text).content.startswith("[stand-in]")
    assert provider.calls == calls + 2


async def test_each_caller_of_a_shared_stream_gets_its_own_response(make_model, provider, pieces):
    """A change that one caller makes to its events or its response is not visible to another."""
    model = make_model()
    gate = send_next(provider, server_sent(pieces[:2]), server_sent(pieces[2:]))
    first, stream = await start_stream(model.stream_text(ask("Again")))
    waiting = asyncio.create_task(events_of(model, ask("Again")))
    await asyncio.sleep(0.05)
    gate.set()
    first.raw.clear()
    async for event in stream:
        (event.raw or event.response.raw).clear()
    shared = await waiting
    assert [event.raw for event in shared[:-1]] == pieces
    assert shared[-1].response.raw["choices"]
    assert await events_of(model, ask("Again")) == shared


async def test_many_equal_streams(make_model, provider):
    """Fifty simultaneous equal streams make one call and get equal events."""
    model = make_model()
    streams = await asyncio.gather(*(events_of(model, QUESTION) for _ in range(50)))
    assert provider.calls == 1
    assert all(events == streams[0] for events in streams)
