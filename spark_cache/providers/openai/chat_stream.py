"""The chunks of streamed chat completions, and the completion they add up to. Pure functions."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from spark_cache.providers.heard import StreamForm
from spark_cache.providers.openai import chat
from spark_cache.providers.stream import UNCOUNTED, StreamEvent, ToolCallPiece, is_another_call

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["FORM", "event_of", "events_of", "gather"]

_REASONING = ("reasoning_content", "reasoning")
"""The fields in which compatible services send reasoning."""

_GROWING = frozenset(
    {
        "arguments",
        "content",
        "input",
        "reasoning",
        "reasoning_content",
        "refusal",
        "summary",
        "text",
        "thinking",
        "transcript",
    }
)
"""The strings that arrive in pieces. Every other string is whole each time, and some services repeat it in every chunk."""

_OF_THE_FIRST_CHUNK = frozenset({"created", "id", "model"})
"""Fields whose first value counts: a chunk with filter results may leave them empty."""

_NOT_OF_THE_ANSWER = frozenset({"choices", "object", "obfuscation", "usage"})


def _pieces(chunk: Any) -> Iterator[Any]:
    for choice in chunk.get("choices") or ():
        yield choice.get("delta")


def _messages(raw: Any) -> Iterator[Any]:
    for choice in raw.get("choices") or ():
        yield choice.get("message")


FORM = StreamForm(
    _pieces,
    _messages,
    # A text that follows parts becomes a part, and its content a text.
    growing={**{field: field for field in _GROWING}, "content": "text"},
    encoded=frozenset({"data"}),
    # Some services change the ID of a call within it.
    unsaid=frozenset({"id", "type"}),
    # A stream of sound ends without a stop reason.
    own=frozenset({"chat.completion", "stop", "text"}),
)


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
        for name, value in chunk.items():
            if name in _NOT_OF_THE_ANSWER or (value is None and name in completion):
                continue
            if name not in _OF_THE_FIRST_CHUNK or not completion.get(name):
                completion[name] = value
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or ():
            _add_choice(choices.setdefault(choice.get("index") or 0, {}), choice)
    whole = [_completed({**choices[index], "index": index}) for index in sorted(choices)]
    if not whole or any(choice.get("finish_reason") is None for choice in whole):
        return None
    return {**completion, "object": "chat.completion", "choices": whole, "usage": usage}


def _add_choice(choice: dict[str, Any], chunk: Mapping[str, Any]) -> None:
    """Add the part of a choice that a chunk contains."""
    for name, value in chunk.items():
        if name == "message":
            # Some services send the message so far, or the whole one at the end, in addition to the deltas.
            choice["whole"] = value or choice.get("whole")
        elif isinstance(value, dict):
            place = "message" if name == "delta" else name
            if choice.get(place) is None:
                choice[place] = {}
            _add(choice[place], value)
        elif value is not None or name not in choice:
            choice["message" if name == "delta" else name] = value


def _completed(choice: dict[str, Any]) -> dict[str, Any]:
    """Return a choice as in a response that was not streamed: without indexes of tool calls, and with a stop reason."""
    whole = choice.pop("whole", None)
    message = choice.get("message") or {}
    if whole:
        message = {**whole, **{name: value for name, value in message.items() if value or name not in whole}}
        choice["message"] = message
    for call in message.get("tool_calls") or ():
        call.pop("index", None)
    if choice.get("finish_reason") is None and (message.get("audio") or {}).get("expires_at"):
        # A stream of sound ends without a stop reason.
        choice["finish_reason"] = "stop"
    return choice


def _add(whole: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Merge a piece into a whole: some strings grow, and so do lists, whose elements with an index are merged by it."""
    for name, value in piece.items():
        current = whole.get(name)
        if current is None:
            whole[name] = _copy(value)
        elif name == "content" and type(current) is not type(value) and value is not None:
            whole[name] = [*_parts(current), *_parts(value)]
        elif isinstance(value, str) and isinstance(current, str):
            whole[name] = _joined(name, current, value)
        elif isinstance(value, dict) and isinstance(current, dict):
            _add(current, value)
        elif isinstance(value, list) and isinstance(current, list):
            _add_items(current, value)
        elif value is not None:
            whole[name] = value


def _joined(name: str, current: str, value: str) -> str:
    if name in _GROWING:
        return current + value
    if name == "data":
        return b64encode(
            b64decode(current) + b64decode(value)
        ).decode()  # sound, each piece in its own base64
    return current or value


def _parts(content: Any) -> list[Any]:
    """Return content as a list of parts: some services send text after parts."""
    return content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []


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
        current = next(
            (one for one in reversed(whole) if isinstance(one, dict) and one.get("index") == at), None
        )
        if at is None or current is None or _is_another_call(current, piece):
            whole.append(_copy(piece))
        else:
            _add(current, piece)


def _is_another_call(call: Mapping[str, Any], piece: Mapping[str, Any]) -> bool:
    """Return whether a piece begins another tool call with the same index: some services give every call the index 0."""
    named = piece.get("custom") or piece.get("function") or {}
    return is_another_call(call.get("id") or "", piece.get("id") or "", named.get("name") or "")


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
