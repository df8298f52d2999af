"""The events of streams of OpenAI's Responses API, and the response they add up to. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.providers.heard import StreamForm
from spark_cache.providers.stream import StreamEvent, ToolCallPiece

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


__all__ = ["FORM", "event_of", "events_of", "gather"]

_ENDS = frozenset({"response.completed", "response.failed", "response.incomplete"})
"""The types of the last event of a stream, which holds the whole response."""

_REASONING = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})

_ARGUMENTS = frozenset({"response.custom_tool_call_input.delta", "response.function_call_arguments.delta"})

_CALLS = frozenset({"custom_tool_call", "function_call"})


_DELTAS = {
    "response.code_interpreter_call_code.delta": "code",
    "response.custom_tool_call_input.delta": "input",
    "response.function_call_arguments.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
    "response.output_text.delta": "text",
    "response.reasoning_summary_text.delta": "text",
    "response.reasoning_text.delta": "text",
    "response.refusal.delta": "refusal",
}
"""The events that add to a text, and the field that they add to."""


def _pieces(event: Any) -> Iterator[Any]:
    field = _DELTAS.get(event.get("type"))
    if field is not None:
        yield {field: event.get("delta")}


def _grown(response: Any) -> Iterator[Any]:
    for item in response.get("output") or ():
        if item.get("type") in ("message", "reasoning"):
            yield item.get("content")
            yield item.get("summary")
        else:
            yield {name: item[name] for name in ("arguments", "code", "input") if name in item}


FORM = StreamForm(_pieces, _grown, growing={field: field for field in _DELTAS.values()})


def event_of(raw_event: Any) -> StreamEvent:
    """Read an event.

    Args:
        raw_event: The provider's event.
    """
    kind = raw_event.get("type")
    if kind == "response.output_text.delta":
        return StreamEvent("text", raw_event["delta"], raw_event)
    if kind in _REASONING:
        return StreamEvent("reasoning", raw=raw_event, reasoning=raw_event["delta"])
    if kind in _ARGUMENTS:
        piece = ToolCallPiece(raw_event["output_index"], arguments_text=raw_event["delta"])
        return StreamEvent("tool_call", raw=raw_event, tool_calls=(piece,))
    if kind == "response.output_item.added" and raw_event["item"].get("type") in _CALLS:
        item = raw_event["item"]
        piece = ToolCallPiece(raw_event["output_index"], item.get("call_id") or "", item.get("name") or "")
        return StreamEvent("tool_call", raw=raw_event, tool_calls=(piece,))
    return StreamEvent("stop" if kind in _ENDS else "other", raw=raw_event)


def gather(events: Sequence[Any]) -> Any | None:
    """Return the response that the last event holds. None if no event ends the stream.

    Args:
        events: All events of the stream.
    """
    response = next((event.get("response") for event in reversed(events) if event.get("type") in _ENDS), None)
    if not isinstance(response, dict) or response.get("output"):
        return response
    # Some services leave the output of the last event empty. The items came before it.
    done = {
        event["output_index"]: event["item"]
        for event in events
        if event.get("type") == "response.output_item.done"
    }
    return {**response, "output": [done[at] for at in sorted(done)]} if done else response


def events_of(raw: Any) -> list[dict[str, Any]]:
    """Return events for a response: those of each item from start to end, and then the whole response.

    Args:
        raw: The provider's JSON.
    """
    started = {**raw, "status": "in_progress", "output": [], "usage": None}
    events = [{"type": "response.created", "response": started}]
    for at, item in enumerate(raw.get("output") or ()):
        events += _events_of_item(item, at)
    status = "incomplete" if raw.get("status") == "incomplete" else "completed"
    events.append({"type": f"response.{status}", "response": raw})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _events_of_item(item: Mapping[str, Any], at: int) -> Iterator[dict[str, Any]]:
    place = {"item_id": item.get("id"), "output_index": at}
    kind = item.get("type")
    started = {**item, **_EMPTY.get(str(kind), {})}
    yield {"type": "response.output_item.added", "output_index": at, "item": started}
    for index, part in enumerate(item.get("content") or ()):
        where = {**place, "content_index": index}
        if part.get("type") == "output_text":
            yield {
                "type": "response.content_part.added",
                **where,
                "part": {**part, "text": "", "annotations": []},
            }
            yield {"type": "response.output_text.delta", **where, "delta": part["text"], "logprobs": []}
            yield {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []}
            yield {"type": "response.content_part.done", **where, "part": part}
        elif part.get("type") == "reasoning_text":
            yield {"type": "response.reasoning_text.delta", **where, "delta": part["text"]}
            yield {"type": "response.reasoning_text.done", **where, "text": part["text"]}
    for index, part in enumerate(item.get("summary") or ()):
        where = {**place, "summary_index": index}
        yield {"type": "response.reasoning_summary_text.delta", **where, "delta": part["text"]}
        yield {"type": "response.reasoning_summary_text.done", **where, "text": part["text"]}
    if kind == "function_call":
        arguments = item["arguments"]
        yield {"type": "response.function_call_arguments.delta", **place, "delta": arguments}
        yield {"type": "response.function_call_arguments.done", **place, "arguments": arguments}
    elif kind == "custom_tool_call":
        yield {"type": "response.custom_tool_call_input.delta", **place, "delta": item["input"]}
        yield {"type": "response.custom_tool_call_input.done", **place, "input": item["input"]}
    yield {"type": "response.output_item.done", "output_index": at, "item": item}


_EMPTY: dict[str, dict[str, Any]] = {
    "custom_tool_call": {"input": ""},
    "function_call": {"arguments": ""},
    "message": {"content": []},
    "reasoning": {"summary": []},
}
"""The fields that are empty in the first event of an item, by the type of the item."""
