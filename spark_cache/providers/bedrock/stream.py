"""The events of ``converse_stream``, and the response they add up to. Pure functions, without the SDK or a connection.

An event is ``{type: payload}``, with the payload as the service sent it: bytes are base64 strings.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from spark_cache.providers.arguments import arguments_in, arguments_text
from spark_cache.providers.heard import StreamForm
from spark_cache.providers.json_values import copied
from spark_cache.providers.stream import StreamEvent, ToolCallPiece

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["FORM", "events_of", "gather", "read_event"]

_PADDING = "p"
"""A field of random length in every event. It hides the length of the text from observers of the traffic."""

_FRAMING_FIELDS = ("contentBlockIndex", _PADDING)


def _pieces(event: Any) -> Iterator[Any]:
    yield event.get("contentBlockDelta", {}).get("delta")
    yield event.get("contentBlockStart", {}).get("start")


FORM = StreamForm(
    _pieces,
    lambda raw: raw["output"]["message"]["content"],
    growing={"signature": "signature", "text": "text"},
    assembled=frozenset({"input"}),
    encoded=frozenset({"redactedContent"}),
)


def read_event(raw: Any) -> StreamEvent:
    """Read one event. A piece of arguments without an announced call belongs to a tool that the provider runs itself.

    Args:
        raw: The provider's event.
    """
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
    """Return the response that events add up to, in the form of ``converse``. None if it is incomplete.

    Args:
        events: All events of the stream.
    """
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    stop: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for event in events:
        match event:
            case {"messageStart": payload}:
                message = _without_framing(payload)
            case {"contentBlockStart": {"start": start, "contentBlockIndex": at}}:
                blocks[at] = {kind: dict(value) for kind, value in start.items()}
            case {"contentBlockDelta": {"delta": delta, "contentBlockIndex": at}}:
                for kind, value in delta.items():
                    _ADDING.get(kind, _add_other)(blocks.setdefault(at, {}), kind, value)
            case {"messageStop": payload}:
                stop = _without_framing(payload)
            case {"metadata": payload}:
                metadata = _without_framing(payload)
    # The usage comes last. If it is missing, the connection was lost.
    if not message or not stop or not metadata:
        return None
    message["content"] = [_whole(blocks[at]) for at in sorted(blocks)]
    return {"output": {"message": message}, **stop, **metadata}


def _without_framing(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in _FRAMING_FIELDS}


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
            text = reasoning.setdefault("reasoningText", {})
            text[name] = text.get(name, "") + piece


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
        # A text and its citations are one block.
        cited = {"content": [{"text": block.pop("text")}], **block["citationsContent"]}
        return {**block, "citationsContent": cited}
    return block


def events_of(raw: Any) -> list[Any]:
    """Return events for a response that was not streamed.

    Args:
        raw: The provider's JSON.
    """
    message = raw["output"]["message"]
    stop = {name: raw[name] for name in ("stopReason", "additionalModelResponseFields") if name in raw}
    metadata = {name: value for name, value in raw.items() if name != "output" and name not in stop}
    return [
        {"messageStart": {name: value for name, value in message.items() if name != "content"}},
        *(
            event
            for at, block in enumerate(message.get("content") or ())
            for event in _events_of_block(at, block)
        ),
        {"messageStop": stop},
        {"metadata": metadata},
    ]


def _events_of_block(at: int, block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    start, deltas = _split(block)
    if start:
        yield {"contentBlockStart": {"start": start, "contentBlockIndex": at}}
    for delta in deltas:
        yield {"contentBlockDelta": {"delta": delta, "contentBlockIndex": at}}
    yield {"contentBlockStop": {"contentBlockIndex": at}}


def _split(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the content of a block's first event, and those of its other events."""
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
