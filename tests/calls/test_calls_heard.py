"""What was heard is what is stored: a stream that adds up wrong serves later streams, and nothing else."""

from __future__ import annotations

import pytest
from models_world import QUESTION, entry_files, events_of, only_entry, send_next, server_sent

FRAME = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
PIECES = [
    {**FRAME, "choices": [{"index": 0, "delta": {}, "message": {"content": "Never said"}}]},
    {**FRAME, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
]
WARNING = "the events of openai/gpt-4o say something else than they add up to"


async def test_inconsistent_stream(make_model, provider, cache_dir, warned):
    """Events that say something else than they add up to are passed on and stored, without an end event or a response."""
    model = make_model()
    send_next(provider, server_sent(PIECES)).set()
    for _ in range(2):
        events = await events_of(model, QUESTION)
        assert [event.raw for event in events] == PIECES
        assert "end" not in [event.type for event in events]
    assert provider.calls == 1
    entry = only_entry(cache_dir)
    assert (entry["content"], entry["raw"]) == ("", None)
    (warning,) = warned()
    assert f"{WARNING}, at the text" in warning


async def test_inconsistent_stream_is_no_response(make_model, provider):
    """A call that wants a whole response gets a new one, which replaces the events."""
    model = make_model()
    send_next(provider, server_sent(PIECES)).set()
    await events_of(model, QUESTION)
    response = await model.get_text(QUESTION)
    assert not response.cached
    assert response.content.startswith("[stand-in]")
    assert (await events_of(model, QUESTION))[-1].response == response
    assert provider.calls == 2


@pytest.mark.parametrize(
    ("options", "arguments"), [({"should_cache": lambda *_: False}, {}), ({}, {"cache": "read-only"})]
)
async def test_inconsistent_stream_that_may_not_be_stored(
    make_model, provider, cache_dir, options, arguments
):
    """What keeps a response out of the cache keeps the events out too."""
    send_next(provider, server_sent(PIECES)).set()
    events = await events_of(make_model(**options), QUESTION, **arguments)
    assert [event.raw for event in events] == PIECES
    assert entry_files(cache_dir) == []
