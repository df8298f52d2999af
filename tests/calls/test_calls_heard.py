"""What was heard is what is stored: a stream that adds up wrong is passed on, and never stored."""

from __future__ import annotations

from models_world import QUESTION, entry_files, events_of, send_next, server_sent


async def test_inconsistent_stream(make_model, provider, cache_dir, warned):
    """Events that say something else than they add up to are passed on. There is no end event, and nothing is stored."""
    frame = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    pieces = [
        {**frame, "choices": [{"index": 0, "delta": {}, "message": {"content": "Never said"}}]},
        {**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    send_next(provider, server_sent(pieces)).set()
    events = await events_of(make_model(), QUESTION)
    assert [event.raw for event in events] == pieces
    assert entry_files(cache_dir) == []
    (warning,) = warned()
    assert "the events of openai/gpt-4o say something else than they add up to" in warning
