"""The events of ``converse_stream``: what each adds, and the answer they add up to. Pure: neither the SDK nor a connection.

An event is ``{type: payload}``, with the payload as the service sent it: bytes are base64 text.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from spark_cache.providers.arguments import arguments_in, arguments_text
from spark_cache.providers.json_values import copied
from spark_cache.providers.stream import StreamEvent, ToolCallPiece

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["events_of", "gather", "read_event"]

_PADDING = "p"
"""A field of every event, of random length, that hides how long the text is from who sees the traffic."""

_MARKS = ("contentBlockIndex", _PADDING)


def read_event(raw: Any) -> StreamEvent:
    """Understand one event. A piece of arguments that no call was announced for belongs to a tool that the provider runs itself."""
    match raw:
        case {"contentBlockStart": {"start": {"toolUse": call}, "contentBlockIndex": at}}:
            if call.get("type") != "server_tool_use":
                piece = ToolCallPiece(at, call.get("toolUseId") or "", call.get("name") or "")
                return StreamEvent("tool_call", raw=raw, tool_calls=(piece,))
        case {"contentBlockDelta": {"delta": {"text": text}}}:
            return StreamEvent("text", text=text, raw=raw)
        case {"contentBlockDelta": {"delta": {"reasoningContent": {"text": thought}}}}:
            return StreamEvent("reasoning", raw=raw, reasoning=thought)
        case {"contentBlockDelta": {"delta": {"toolUse": {"input": text}}, "contentBlockIndex": at}}:
            return StreamEvent("tool_call", raw=raw, tool_calls=(ToolCallPiece(at, arguments_text=text),))
        case {"messageStop": _}:
            return StreamEvent("stop", raw=raw)
    return StreamEvent("other", raw=raw)


def gather(events: Sequence[Any]) -> Any | None:
    """The answer that events add up to, as ``converse`` gives it; None unless they end as a whole one does."""
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    ends: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for event in events:
        match event:
            case {"messageStart": started}:
                message = _without_marks(started)
            case {"contentBlockStart": {"start": start, "contentBlockIndex": at}}:
                blocks[at] = {kind: dict(value) for kind, value in start.items()}
            case {"contentBlockDelta": {"delta": delta, "contentBlockIndex": at}}:
                for kind, value in delta.items():
                    _ADDING.get(kind, _add_other)(blocks.setdefault(at, {}), kind, value)
            case {"messageStop": stopped}:
                ends = _without_marks(stopped)
            case {"metadata": metadata}:
                told = _without_marks(metadata)
    # The usage comes last; without it the connection broke off.
    if not message or not ends or not told:
        return None
    message["content"] = [_whole(blocks[at]) for at in sorted(blocks)]
    return {"output": {"message": message}, **ends, **told}


def _without_marks(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in _MARKS}


def _add_text(block: dict[str, Any], kind: str, value: Any) -> None:
    block[kind] = block.get(kind, "") + value


def _add_tool_use(block: dict[str, Any], kind: str, value: Any) -> None:
    call = block.setdefault(kind, {})
    call["input"] = call.get("input", "") + (value.get("input") or "")


def _add_tool_result(block: dict[str, Any], kind: str, value: Any) -> None:
    block.setdefault(kind, {}).setdefault("content", []).extend(copied(value))


def _add_reasoning(block: dict[str, Any], kind: str, value: Any) -> None:
    reasoning = block.setdefault(kind, {})
    for name, piece in value.items():
        if name == "redactedContent":
            together = b64decode(reasoning.get(name, "")) + b64decode(piece)
            reasoning[name] = b64encode(together).decode()
        else:
            said = reasoning.setdefault("reasoningText", {})
            said[name] = said.get(name, "") + piece


def _add_citation(block: dict[str, Any], _kind: str, value: Any) -> None:
    block.setdefault("citationsContent", {}).setdefault("citations", []).append(value)


def _add_other(block: dict[str, Any], kind: str, value: Any) -> None:
    before = block.get(kind)
    block[kind] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value


_ADDING = {
    "text": _add_text,
    "toolUse": _add_tool_use,
    "toolResult": _add_tool_result,
    "reasoningContent": _add_reasoning,
    "citation": _add_citation,
}


def _whole(block: dict[str, Any]) -> dict[str, Any]:
    call = block.get("toolUse")
    if call is not None:
        return {**block, "toolUse": {**call, "input": arguments_in(call.get("input") or "{}")}}
    if "citationsContent" in block and "text" in block:
        # A text with its citations is one block.
        cited = {"content": [{"text": block.pop("text")}], **block["citationsContent"]}
        return {**block, "citationsContent": cited}
    return block


def events_of(raw: Any) -> list[Any]:
    """The events that stand for an answer that was not streamed."""
    message = raw["output"]["message"]
    ends = {name: raw[name] for name in ("stopReason", "additionalModelResponseFields") if name in raw}
    told = {name: value for name, value in raw.items() if name != "output" and name not in ends}
    return [
        {"messageStart": {name: value for name, value in message.items() if name != "content"}},
        *(
            event
            for at, block in enumerate(message.get("content") or ())
            for event in _events_of_block(at, block)
        ),
        {"messageStop": ends},
        {"metadata": told},
    ]


def _events_of_block(at: int, block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    start, deltas = _split(block)
    if start:
        yield {"contentBlockStart": {"start": start, "contentBlockIndex": at}}
    for delta in deltas:
        yield {"contentBlockDelta": {"delta": delta, "contentBlockIndex": at}}
    yield {"contentBlockStop": {"contentBlockIndex": at}}


def _split(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a block's first event says, and what its others add."""
    match block:
        case {"text": text}:
            return {}, [{"text": text}]
        case {"toolUse": {"input": given, **call}}:
            return {"toolUse": call}, [{"toolUse": {"input": arguments_text(given)}}]
        case {"toolResult": {"content": content, **result}}:
            return {"toolResult": result}, [{"toolResult": content}]
        case {"reasoningContent": {"reasoningText": said}}:
            return {}, [{"reasoningContent": {name: piece}} for name, piece in said.items()]
        case {"citationsContent": {"content": texts, "citations": citations}}:
            return {}, [*map(dict, texts), *({"citation": citation} for citation in citations)]
    return {}, [dict(block)]
