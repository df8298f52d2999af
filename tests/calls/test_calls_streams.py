"""Streamed responses: passed on as they arrive, stored after a clean end, and replayed unchanged."""

from __future__ import annotations

import asyncio
import contextlib
import json

import openai
import pytest
from models_world import (
    QUESTION,
    WEATHER,
    ask,
    entry_files,
    events_of,
    run_python,
    send_next,
    server_sent,
    whole_entry,
)

from spark_cache import CacheMissError
from spark_cache.providers.openai import chat, chat_stream, responses, responses_stream

pytestmark = pytest.mark.parametrize("api", ["chat", "responses"])

TOOLS = {"messages": ask("Use get_weather"), "tool_specs": [WEATHER]}


async def test_hit_replays_the_events(make_model, provider, api):
    """A hit yields the same events in the same order and makes no API call."""
    model = make_model(api=api)
    first, again = await events_of(model, QUESTION), await events_of(model, QUESTION)
    assert provider.calls == 1
    assert first == again
    assert (first[-1].response.cached, again[-1].response.cached) == (False, True)


async def test_events_contain_the_providers_events(make_model, api):
    """Every event except the last holds the provider's event, complete."""
    events = await events_of(make_model(api=api), QUESTION)
    kinds = {"chat": "object", "responses": "type"}
    assert all(event.raw[kinds[api]] for event in events[:-1])
    assert events[-1].raw is None


async def test_texts_add_up(make_model, api):
    """The texts of the events add up to the whole response, which the last event has."""
    events = await events_of(make_model(api=api), QUESTION)
    whole = events[-1].response
    assert "".join(event.text for event in events) == whole.content
    assert whole.content.startswith("[stand-in]")
    assert len([event for event in events if event.type == "text"]) > 3
    assert [event.type for event in events if event.type in ("stop", "end")] == ["stop", "end"]


async def test_stream_equals_the_whole_response(make_model, cache_dir, api):
    """A stream adds up to the same response as a call without streaming."""
    model = make_model(api=api)
    streamed = (await events_of(model, **TOOLS))[-1].response
    whole = await model.get_text(**TOOLS, cache="bypass")
    for name in ("content", "stop_reason", "provider_stop_reason", "tool_calls", "usage"):
        assert getattr(streamed, name) == getattr(whole, name)


async def test_pieces_of_a_tool_call(make_model, api):
    """The pieces of a tool call add up to it."""
    events = await events_of(make_model(api=api), **TOOLS)
    pieces = [piece for event in events for piece in event.tool_calls]
    (call,) = events[-1].response.tool_calls
    assert len({piece.index for piece in pieces}) == 1
    assert [piece.id for piece in pieces if piece.id] == [call.id]
    assert [piece.name for piece in pieces if piece.name] == [call.name]
    assert "".join(piece.arguments_text for piece in pieces) == call.arguments_text != ""


async def test_streamed_response_serves_get_text(make_model, provider, api):
    """A streamed response is a hit for get_text, with an equal response."""
    model = make_model(api=api)
    streamed = (await events_of(model, QUESTION))[-1].response
    text = await model.get_text(QUESTION)
    assert text.cached
    assert text == streamed
    assert provider.calls == 1


READERS = {
    "chat": (chat_stream.gather, chat.read_answer),
    "responses": (responses_stream.gather, responses.read_answer),
}


@pytest.mark.parametrize("request_", [{"messages": QUESTION}, TOOLS], ids=["text", "tool"])
async def test_whole_response_serves_a_stream(make_model, provider, api, request_):
    """A response that was not streamed is streamed as events that add up to it."""
    model = make_model(api=api)
    text = await model.get_text(**request_)
    events = await events_of(model, **request_)
    assert provider.calls == 1
    assert events[-1].response == text
    assert "".join(event.text for event in events) == text.content
    pieces = [piece for event in events for piece in event.tool_calls]
    assert "".join(piece.arguments_text for piece in pieces) == "".join(
        call.arguments_text for call in text.tool_calls
    )
    gather, read_answer = READERS[api]
    gathered = read_answer(gather([event.raw for event in events[:-1]]))
    for name in ("content", "stop_reason", "tool_calls", "usage"):
        assert getattr(gathered, name) == getattr(text, name)


async def test_entry_stored_with_set_is_streamed(make_model, provider, api):
    """An entry with nothing but text is streamed as that text."""
    model = make_model(api=api)
    response = {"content": "Paris", "stop_reason": "end_turn", "usage": None}
    model.cache.set(model.cache_key(QUESTION), "openai", "gpt-4o", {}, response)
    events = await events_of(model, QUESTION)
    assert [(event.type, event.text) for event in events] == [("text", "Paris"), ("stop", ""), ("end", "")]
    assert provider.calls == 0


async def test_entry_with_invalid_events(make_model, provider, cache_dir, api):
    """An entry whose events were edited into something else is a miss."""
    model = make_model(api=api)
    await events_of(model, QUESTION)
    (path,) = entry_files(cache_dir)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "events": [["soon", 3]], "checksum": None}))
    events = await events_of(model, QUESTION)
    assert not events[-1].response.cached
    assert provider.calls == 2


async def test_events_arrive_before_the_response_is_complete(make_model, provider, api):
    """On a miss, each event is passed on as it arrives."""
    model = make_model(api=api)
    pieces = [event.raw for event in (await events_of(model, QUESTION, cache="bypass"))[:-1]]
    gate = send_next(provider, server_sent(pieces[:2]), server_sent(pieces[2:]))
    stream = model.stream_text(ask("Again"))
    assert (await anext(stream)).raw == pieces[0]
    assert (await anext(stream)).raw == pieces[1]
    gate.set()
    assert [event.raw async for event in stream][:-1] == pieces[2:]


async def test_entry_holds_the_events(make_model, cache_dir, api):
    """The entry of a stream also contains its events and the times at which they arrived."""
    events = await events_of(make_model(api=api), QUESTION)
    entry = whole_entry(cache_dir)
    assert "response" not in entry
    assert entry["content"] == events[-1].response.content
    assert [raw for _, raw in entry["events"]] == [event.raw for event in events[:-1]]
    times = [after for after, _ in entry["events"]]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= entry["latency_seconds"] * 1000


async def test_replay_at_the_recorded_pace(make_model, cache_dir, api, monkeypatch):
    """With replay_timing, a hit waits between events as long as the provider did."""
    model = make_model(api=api)
    await events_of(model, QUESTION)
    (path,) = entry_files(cache_dir)
    document = json.loads(path.read_text())
    timed = [[index * 250.0, raw] for index, (_, raw) in enumerate(document["events"])]
    path.write_text(json.dumps({**document, "events": timed, "checksum": None}))
    waits = []

    async def note(seconds):
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    events = await events_of(model, QUESTION, replay_timing=True)
    assert events[-1].response.cached
    assert waits == [0.25] * (len(timed) - 1)


async def test_no_delay_by_default(make_model, api, monkeypatch):
    """Without replay_timing, a hit does not wait."""
    model = make_model(api=api)
    await events_of(model, QUESTION)
    monkeypatch.setattr(asyncio, "sleep", None)
    assert (await events_of(model, QUESTION))[-1].response.cached


async def test_streaming_is_not_part_of_the_key(make_model, api):
    """Whether and how a response is streamed does not change its key."""
    model = make_model(api=api)
    streamed = (await events_of(model, QUESTION, stream_options={"include_obfuscation": False}))[-1].response
    assert streamed.cache_key == model.cache_key(QUESTION)


async def test_stream_without_the_cache(make_model, provider, cache_dir, api):
    """With the cache off, a stream passes through, and nothing is stored."""
    model = make_model(api=api, enable_cache=False)
    first, again = await events_of(model, QUESTION), await events_of(model, QUESTION)
    assert first == again
    assert provider.calls == 2
    assert first[-1].response.cache_key is None
    assert not cache_dir.exists()


async def test_replay_mode(make_model, api):
    """In replay mode, a stream that misses raises an error at its first event."""
    stream = make_model(api=api).stream_text(QUESTION, cache="replay")
    with pytest.raises(CacheMissError, match="absent"):
        await anext(stream)


@pytest.mark.parametrize("arguments", [{"messages": "Hello"}, {"messages": QUESTION, "cache": "never"}])
def test_invalid_arguments(make_model, api, arguments):
    """Invalid arguments are refused at the call, not at the first event."""
    with pytest.raises((TypeError, ValueError)):
        make_model(api=api).stream_text(**arguments)


async def test_error_before_the_first_event(make_model, provider, cache_dir, api):
    """An error of the provider is raised unchanged, and nothing is stored."""
    model = make_model(api=api)
    provider.fail_next(500)
    with pytest.raises(openai.InternalServerError):
        await events_of(model, QUESTION)
    assert entry_files(cache_dir) == []
    assert not (await events_of(model, QUESTION))[-1].response.cached


async def test_error_between_events(make_model, provider, cache_dir, api):
    """An error that the provider sends in a stream raises the SDK's own error, after the events before it."""
    model = make_model(api=api)
    pieces = [event.raw for event in (await events_of(model, QUESTION, cache="bypass"))[:2]]
    failure = {"error": {"message": "overloaded", "type": "server_error"}}
    send_next(provider, server_sent([*pieces, failure])).set()
    stream = model.stream_text(ask("Again"))
    assert [(await anext(stream)).raw for _ in pieces] == pieces
    with pytest.raises(openai.APIError, match="overloaded"):
        await anext(stream)
    assert entry_files(cache_dir) == []


async def test_incomplete_stream(make_model, provider, cache_dir, api):
    """A stream that ends before the response is complete has no end event, and is not stored."""
    model = make_model(api=api)
    pieces = [event.raw for event in (await events_of(model, QUESTION, cache="bypass"))[:3]]
    send_next(provider, server_sent(pieces)).set()
    events = await events_of(model, ask("Again"))
    assert [event.raw for event in events] == pieces
    assert entry_files(cache_dir) == []


async def test_lost_connection(make_model, provider, cache_dir, api):
    """A connection that is lost during a stream raises the SDK's error, and nothing is stored."""
    model = make_model(api=api)
    pieces = [event.raw for event in (await events_of(model, QUESTION, cache="bypass"))[:3]]
    send_next(provider, server_sent(pieces), None).set()
    with pytest.raises(openai.APIConnectionError):
        await events_of(model, ask("Again"))
    assert entry_files(cache_dir) == []


async def test_caller_that_stops_early(make_model, provider, cache_dir, api):
    """If the caller stops early, the call ends and nothing is stored."""
    model = make_model(api=api)
    pieces = [event.raw for event in (await events_of(model, QUESTION, cache="bypass"))[:-1]]
    gate = send_next(provider, server_sent(pieces[:2]), server_sent(pieces[2:]))
    async with contextlib.aclosing(model.stream_text(ask("Again"))) as stream:
        await anext(stream)
    gate.set()
    await asyncio.sleep(0.05)
    assert entry_files(cache_dir) == []
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_caller_that_is_cancelled(make_model, provider, cache_dir, api):
    """Cancelling the task that reads a stream ends the call, and nothing is stored."""
    model = make_model(api=api)
    pieces = [event.raw for event in (await events_of(model, QUESTION, cache="bypass"))[:-1]]
    gate = send_next(provider, server_sent(pieces[:2]), server_sent(pieces[2:]))
    started = asyncio.Event()

    async def read():
        async for _ in model.stream_text(ask("Again")):
            started.set()

    reading = asyncio.create_task(read())
    await started.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    gate.set()
    await asyncio.sleep(0.05)
    assert entry_files(cache_dir) == []


async def test_incomplete_response_is_not_stored(make_model, provider, cache_dir, api):
    """A response that would not be stored without streaming is not stored as a stream."""
    model = make_model(api=api)
    limit = "max_completion_tokens" if api == "chat" else "max_output_tokens"
    events = await events_of(model, QUESTION, **{limit: 3})
    assert events[-1].response.stop_reason == "max_tokens"
    assert entry_files(cache_dir) == []


HIT_WITHOUT_SDK = """
import asyncio, sys
sys.modules["openai"] = None
from spark_cache import OpenAIModel

async def main():
    api, cache_dir, base_url = sys.argv[1:]
    model = OpenAIModel("gpt-4o", api=api, enable_cache=True, cache_dir=cache_dir, client_args={"base_url": base_url})
    messages = [{"role": "user", "content": "What is Python?"}]
    streamed = [event async for event in model.stream_text(messages)]
    text = await model.get_text(messages)
    print(text == streamed[-1].response, text.cached, text.content)

asyncio.run(main())
"""


async def test_hit_without_sdk(make_model, provider, cache_dir, api):
    """A hit needs neither the SDK nor an API key nor the provider."""
    text = (await events_of(make_model(api=api), QUESTION))[-1].response.content
    done = run_python(HIT_WITHOUT_SDK, api, cache_dir, provider.base_url)
    assert done.stdout == f"True True {text}\n", done.stderr


async def test_repr_shows_no_content(make_model, api):
    """The repr of an event shows nothing of the response."""
    for event in await events_of(make_model(api=api), **TOOLS):
        assert "stand-in" not in repr(event)
        assert "city" not in repr(event)
