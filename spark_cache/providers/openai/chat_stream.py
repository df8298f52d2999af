"""OpenAI's chat completions as streams: what a chunk says, and what all of them add up to. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.providers.openai import chat
from spark_cache.providers.stream import UNCOUNTED, StreamEvent, ToolCallPiece

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_cache.types import Request

__all__ = ["body_of", "event_of", "events_of", "gather"]

_REASONING = ("reasoning_content", "reasoning")
"""What compatible services call the reasoning that they show."""

_SAID_ONCE = frozenset({"id", "index", "name", "role", "type"})
"""Texts that name something: some services repeat them in every chunk."""

_NOT_OF_THE_ANSWER = frozenset({"choices", "object", "obfuscation", "usage"})


def body_of(request: Request) -> dict[str, Any]:
    """The arguments of ``chat.completions.create`` for a stream: one that tells its usage, unless its options are given."""
    options = request.parameters.get("stream_options", {"include_usage": True})
    body = chat.body_of(request)
    return body if options is None else {**body, "stream_options": options}


def event_of(raw_event: Any) -> StreamEvent:
    """What a chunk adds to the first of the choices, which is the one that is read."""
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
        # Services that do not count calls send each of them whole.
        UNCOUNTED if at is None else at,
        call.get("id") or "",
        named.get("name") or "",
        written if isinstance(written, str) else "",
    )


def gather(events: Sequence[Any]) -> dict[str, Any] | None:
    """The completion that the chunks add up to; None when one of its choices did not come to its end."""
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
            _take(choices.setdefault(choice.get("index") or 0, {}), choice)
    if not choices or any(choice.get("finish_reason") is None for choice in choices.values()):
        return None
    listed = [_finished({**choices[index], "index": index}) for index in sorted(choices)]
    return {**completion, "object": "chat.completion", "choices": listed, "usage": usage}


def _take(choice: dict[str, Any], chunk: Mapping[str, Any]) -> None:
    """Add to a choice what a chunk brings of it."""
    for name, value in chunk.items():
        whole = "message" if name == "delta" else name
        if isinstance(value, dict):
            if choice.get(whole) is None:
                choice[whole] = {}
            _add(choice[whole], value)
        elif value is not None or whole not in choice:
            choice[whole] = value


def _finished(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice without the numbers by which the pieces of its tool calls met."""
    for call in (choice.get("message") or {}).get("tool_calls") or ():
        call.pop("index", None)
    return choice


def _add(whole: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Add a piece to a whole: texts and lists grow, the elements of lists that are numbered meet at their number."""
    for name, value in piece.items():
        known = whole.get(name)
        if known is None:
            whole[name] = _begun(value)
        elif isinstance(value, str) and isinstance(known, str):
            whole[name] = (known or value) if name in _SAID_ONCE else known + value
        elif isinstance(value, dict) and isinstance(known, dict):
            _add(known, value)
        elif isinstance(value, list) and isinstance(known, list):
            _add_items(known, value)
        elif value is not None:
            whole[name] = value


def _begun(value: Any) -> Any:
    """A value of its own to add to."""
    if isinstance(value, dict):
        begun: dict[str, Any] = {}
        _add(begun, value)
        return begun
    if isinstance(value, list):
        items: list[Any] = []
        _add_items(items, value)
        return items
    return value


def _add_items(whole: list[Any], pieces: Sequence[Any]) -> None:
    for piece in pieces:
        at = piece.get("index") if isinstance(piece, dict) else None
        known = next((one for one in whole if isinstance(one, dict) and one.get("index") == at), None)
        if at is None or known is None:
            whole.append(_begun(piece))
        else:
            _add(known, piece)


def events_of(raw: Any) -> list[dict[str, Any]]:
    """Chunks that stand for a completion: each message in one, each of its tool calls in one, then why it stopped."""
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
