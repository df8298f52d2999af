"""The numbers of a stream's tool calls if the provider does not number them."""

from __future__ import annotations

from models_world import QUESTION, events_of, send_next, server_sent

from spark_cache.models import StreamEvent, ToolCallPiece
from spark_cache.providers.stream import UNCOUNTED, Counting


def test_counting_continues_after_provider_numbers():
    """A call without a number never gets the number of another call."""
    counted = Counting()
    given = [(ToolCallPiece(2, "a"),), (ToolCallPiece(UNCOUNTED, "b"), ToolCallPiece(2, "a")), ()]
    events = [counted(StreamEvent("tool_call", tool_calls=pieces)) for pieces in given]
    assert [[(piece.index, piece.id) for piece in event.tool_calls] for event in events] == [
        [(2, "a")],
        [(3, "b"), (2, "a")],
        [],
    ]


async def test_calls_without_numbers(make_model, provider):
    """Tool calls without numbers, as some compatible services send them, arrive whole and are numbered."""
    calls = [{"id": f"c{at}", "function": {"name": "f", "arguments": f'{{"n":{at}}}'}} for at in range(3)]
    chunks = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": calls[:2]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": calls[2:]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ]
    send_next(provider, server_sent(chunks) + b"data: [DONE]\n\n").set()
    events = await events_of(make_model(), QUESTION)
    pieces = [piece for event in events for piece in event.tool_calls]
    assert [(piece.index, piece.id) for piece in pieces] == [(0, "c0"), (1, "c1"), (2, "c2")]
    assert [call.id for call in events[-1].response.tool_calls] == ["c0", "c1", "c2"]
