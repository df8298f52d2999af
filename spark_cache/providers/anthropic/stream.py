"""The events of Anthropic's streams, and the message they add up to. Pure functions, without the SDK or a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.providers.arguments import arguments_in, arguments_text
from spark_cache.providers.heard import StreamForm
from spark_cache.providers.json_values import copied
from spark_cache.providers.stream import StreamEvent, ToolCallPiece

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["FORM", "events_of", "gather", "read_event"]

_PIECES = {"text": ("text",), "thinking": ("thinking", "signature")}
"""The fields of a block that arrive in pieces, by the type of the block."""


def _pieces(event: Any) -> Iterator[Any]:
    yield event.get("delta")
    yield event.get("content_block")


FORM = StreamForm(
    _pieces,
    lambda message: message["content"],
    growing={name: name for name in ("signature", "text", "thinking")},
    assembled=frozenset({"input"}),
    unsaid=frozenset({"partial_json", "type"}),
)


def read_event(raw: Any) -> StreamEvent:
    """Read one event. A piece of arguments without an announced call belongs to a tool that the provider runs itself.

    Args:
        raw: The provider's event.
    """
    match raw:
        case {"type": "content_block_start", "content_block": {"type": "text", "text": str(text)}} if text:
            return StreamEvent("text", text=text, raw=raw)
        case {"type": "content_block_start", "content_block": {"type": "tool_use", "id": call, "name": name}}:
            # Some services send the whole input at once.
            given = raw["content_block"].get("input")
            piece = ToolCallPiece(raw["index"], call, name, arguments_text(given) if given else "")
            return StreamEvent("tool_call", raw=raw, tool_calls=(piece,))
        case {"type": "content_block_delta", "delta": delta}:
            return _read_delta(raw, delta)
        case {"type": "message_delta", "delta": {"stop_reason": str()}}:
            return StreamEvent("stop", raw=raw)
    return StreamEvent("other", raw=raw)


def _read_delta(raw: Mapping[str, Any], delta: Mapping[str, Any]) -> StreamEvent:
    match delta:
        case {"type": "text_delta", "text": text}:
            return StreamEvent("text", text=text, raw=raw)
        case {"type": "thinking_delta", "thinking": thought}:
            return StreamEvent("reasoning", raw=raw, reasoning=thought)
        case {"type": "input_json_delta", "partial_json": text}:
            piece = ToolCallPiece(raw["index"], arguments_text=text)
            return StreamEvent("tool_call", raw=raw, tool_calls=(piece,))
    return StreamEvent("other", raw=raw)


def gather(events: Sequence[Any]) -> Any | None:
    """Return the message that events add up to. None if it is incomplete.

    Args:
        events: All events of the stream.
    """
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    arguments: dict[int, str] = {}
    ended = False
    for event in events:
        match event:
            case {"type": "message_start", "message": started}:
                message = dict(started)
            case {"type": "message_delta"}:
                _update_message(message, event)
            case {"type": "message_stop"}:
                ended = True
            case {"index": at}:
                _update_block(event, blocks.setdefault(at, {}), arguments)
    if not ended or message.get("stop_reason") is None:
        return None
    for at, text in arguments.items():
        blocks[at]["input"] = arguments_in(text)
    return {**message, "content": [blocks[at] for at in sorted(blocks)]}


def _update_message(message: dict[str, Any], event: Mapping[str, Any]) -> None:
    """Apply a ``message_delta`` event to the message."""
    usage = message.get("usage") or {}
    message |= {name: value for name, value in event.items() if name not in ("type", "delta")}
    message |= _without_empty(event["delta"], message)
    message["usage"] = usage | _without_empty(event.get("usage") or {}, usage)


def _update_block(event: Mapping[str, Any], block: dict[str, Any], arguments: dict[int, str]) -> None:
    """Add one event to its block. The text of a tool's arguments is collected, because it is valid JSON only when complete."""
    delta = event.get("delta") or {}
    if delta.get("type") != "input_json_delta":
        block |= copied(event.get("content_block") or {})
        _add(block, delta)
    elif delta["partial_json"]:
        at = event["index"]
        arguments[at] = arguments.get(at, "") + delta["partial_json"]


def _add(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name, value in delta.items():
        if name == "citation":
            block["citations"] = [*(block.get("citations") or ()), value]
        elif name != "type":
            before = block.get(name)
            block[name] = before + value if isinstance(before, str) and isinstance(value, str) else value


def _without_empty(change: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return a change without the nulls that would replace an earlier value."""
    return {name: value for name, value in change.items() if value is not None or name not in before}


def events_of(raw: Any) -> list[Any]:
    """Return events for a message that was not streamed.

    Args:
        raw: The provider's JSON.
    """
    start = {**raw, "content": [], "stop_reason": None, "stop_sequence": None}
    ends = {name: raw.get(name) for name in ("stop_reason", "stop_sequence")}
    return [
        {"type": "message_start", "message": start},
        *(
            event
            for at, block in enumerate(raw.get("content") or ())
            for event in _events_of_block(at, block)
        ),
        {"type": "message_delta", "delta": ends, "usage": raw.get("usage") or {}},
        {"type": "message_stop"},
    ]


def _events_of_block(at: int, block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    kind = block.get("type")
    pieces = {name: block[name] for name in _PIECES.get(kind or "", ()) if name in block}
    emptied: dict[str, Any] = dict.fromkeys(pieces, "")
    deltas: list[dict[str, Any]] = [{"type": f"{name}_delta", name: text} for name, text in pieces.items()]
    if isinstance(block.get("input"), dict | str):
        emptied["input"] = {}
        deltas.append({"type": "input_json_delta", "partial_json": arguments_text(block["input"])})
    yield {"type": "content_block_start", "index": at, "content_block": {**block, **emptied}}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": at, "delta": delta}
    yield {"type": "content_block_stop", "index": at}
