"""The chunks of streamed chat completions, and the completion they add up to. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.providers.openai import chat
from spark_cache.providers.stream import UNCOUNTED, StreamEvent, ToolCallPiece

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_cache.types import Request

__all__ = ["body_of", "event_of", "events_of", "gather"]

_REASONING = ("reasoning_content", "reasoning")
"""The fields in which compatible services send reasoning."""

_SENT_ONCE = frozenset({"id", "index", "name", "role", "type"})
"""Strings that are never appended to, because some services repeat them in every chunk."""

_NOT_OF_THE_ANSWER = frozenset({"choices", "object", "obfuscation", "usage"})


def body_of(request: Request) -> dict[str, Any]:
    """Return the arguments of ``chat.completions.create`` for a stream. It includes the usage, unless stream options are given.

    Args:
        request: The request.
    """
    options = request.parameters.get("stream_options", {"include_usage": True})
    body = chat.body_of(request)
    return body if options is None else {**body, "stream_options": options}


def event_of(raw_event: Any) -> StreamEvent:
    """Read a chunk. Only its first choice is read.

    Args:
        raw_event: The chunk.
    """
    choices = raw_event.get("choices") or ()
    choice = next((one for one in choices if not one.get("index")), None)
    if choice is None:
        return StreamEvent("other", raw=raw_event)
    delta = choice.get("delta") or {}
    text = chat.text_of(delta.get("content"))
    reasoning = next((delta[name] for name in _REASONING if isinstance(delta.get(name), str)), "")
    pieces = tuple(map(_piece, delta.get("tool_calls") or ()))
    if pieces:
        return StreamEvent("tool_call", text, raw_event, pieces, reasoning=reasoning)
    if text:
        return StreamEvent("text", text, raw_event, reasoning=reasoning)
    if reasoning:
        return StreamEvent("reasoning", raw=raw_event, reasoning=reasoning)
    return StreamEvent("other" if choice.get("finish_reason") is None else "stop", raw=raw_event)


def _piece(call: Mapping[str, Any]) -> ToolCallPiece:
    at = call.get("index")
    custom = call.get("custom")
    named = custom or call.get("function") or {}
    written = named.get("input" if custom else "arguments")
    return ToolCallPiece(
        # Services that do not number calls send each call in one piece.
        UNCOUNTED if at is None else at,
        call.get("id") or "",
        named.get("name") or "",
        written if isinstance(written, str) else "",
    )


def gather(events: Sequence[Any]) -> dict[str, Any] | None:
    """Return the completion that the chunks add up to. None if one of its choices is incomplete.

    Args:
        events: All chunks of the stream.
    """
    completion: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    usage = None
    for chunk in events:
        completion |= {
            name: value
            for name, value in chunk.items()
            if name not in _NOT_OF_THE_ANSWER and (value is not None or name not in completion)
        }
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or ():
            _add_choice(choices.setdefault(choice.get("index") or 0, {}), choice)
    if not choices or any(choice.get("finish_reason") is None for choice in choices.values()):
        return None
    listed = [_without_indexes({**choices[index], "index": index}) for index in sorted(choices)]
    return {**completion, "object": "chat.completion", "choices": listed, "usage": usage}


def _add_choice(choice: dict[str, Any], chunk: Mapping[str, Any]) -> None:
    """Add the part of a choice that a chunk contains."""
    for name, value in chunk.items():
        whole = "message" if name == "delta" else name
        if isinstance(value, dict):
            if choice.get(whole) is None:
                choice[whole] = {}
            _add(choice[whole], value)
        elif value is not None or whole not in choice:
            choice[whole] = value


def _without_indexes(choice: dict[str, Any]) -> dict[str, Any]:
    """Remove the indexes of tool calls, which only streams have."""
    for call in (choice.get("message") or {}).get("tool_calls") or ():
        call.pop("index", None)
    return choice


def _add(whole: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Merge a piece into a whole: strings and lists grow, and list elements with an index are merged by it."""
    for name, value in piece.items():
        current = whole.get(name)
        if current is None:
            whole[name] = _copy(value)
        elif isinstance(value, str) and isinstance(current, str):
            whole[name] = (current or value) if name in _SENT_ONCE else current + value
        elif isinstance(value, dict) and isinstance(current, dict):
            _add(current, value)
        elif isinstance(value, list) and isinstance(current, list):
            _add_items(current, value)
        elif value is not None:
            whole[name] = value


def _copy(value: Any) -> Any:
    """Copy a value, so that later pieces can be added to it."""
    if isinstance(value, dict):
        copy: dict[str, Any] = {}
        _add(copy, value)
        return copy
    if isinstance(value, list):
        items: list[Any] = []
        _add_items(items, value)
        return items
    return value


def _add_items(whole: list[Any], pieces: Sequence[Any]) -> None:
    for piece in pieces:
        at = piece.get("index") if isinstance(piece, dict) else None
        current = next((one for one in whole if isinstance(one, dict) and one.get("index") == at), None)
        if at is None or current is None:
            whole.append(_copy(piece))
        else:
            _add(current, piece)


def events_of(raw: Any) -> list[dict[str, Any]]:
    """Return chunks for a completion: one for each message, one for each tool call, and one with the stop reason.

    Args:
        raw: The provider's JSON.
    """
    frame = {name: value for name, value in raw.items() if name not in _NOT_OF_THE_ANSWER}
    frame["object"] = "chat.completion.chunk"
    chunks = [
        {**frame, "choices": [part]} for choice in raw.get("choices") or () for part in _parts_of(choice)
    ]
    return [*chunks, {**frame, "choices": [], "usage": raw.get("usage")}]


def _parts_of(choice: Mapping[str, Any]) -> list[dict[str, Any]]:
    message = choice.get("message") or {}
    index = choice.get("index") or 0
    deltas = [{name: value for name, value in message.items() if name != "tool_calls"}]
    for at, call in enumerate(message.get("tool_calls") or ()):
        deltas.append({"tool_calls": [{**call, "index": at}]})
    parts = [{"index": index, "delta": delta, "finish_reason": None} for delta in deltas]
    rest = {name: value for name, value in choice.items() if name not in ("index", "message")}
    return [*parts, {**rest, "index": index, "delta": {}}]
