"""Responses of Gemini's ``generateContent``, whole or streamed. Pure functions, without the SDK or a connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spark_cache.providers.heard import StreamForm
from spark_cache.providers.response import ModelResponse, ToolCall, Usage
from spark_cache.providers.stream import UNCOUNTED, StreamEvent, ToolCallPiece

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["FORM", "events_of", "gather", "is_empty", "read_answer", "read_event", "stop_reasons", "turn_of"]

_STOP_REASONS = {
    "STOP": "end_turn",
    "MAX_TOKENS": "max_tokens",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
"""The stop reasons with a common name. All others report a fault of the model and are kept unchanged."""


def read_answer(raw: Any) -> ModelResponse:
    """Read the JSON of a response. Only its first candidate is read.

    Args:
        raw: The provider's JSON.
    """
    first = next(iter(_candidates(raw)), {})
    parts = _parts(first)
    blocked = None if first else _blocked(raw)
    return ModelResponse(
        content="".join(_visible_text(part) for part in parts),
        stop_reason="content_filter" if blocked else _stop_reason(first),
        usage=_usage(raw.get("usageMetadata") if isinstance(raw, dict) else None),
        tool_calls=tuple(_tool_call(part["functionCall"]) for part in parts if part.get("functionCall")),
        raw=raw,
        provider_stop_reason=first.get("finishReason") or blocked,
    )


def is_empty(raw: Any) -> bool:
    """Return whether no candidate has any part besides empty text.

    Args:
        raw: The provider's JSON.
    """
    parts = (part for candidate in _candidates(raw) for part in _parts(candidate))
    return not any(part.get("text") or part.keys() - _NO_CONTENT for part in parts)


_NO_CONTENT = frozenset({"text", "thought", "thoughtSignature"})


def turn_of(raw: Any) -> list[Any] | None:
    """Return the content of the first candidate in a form that the API accepts, with all its parts, including signed ones.

    Args:
        raw: The provider's JSON.
    """
    candidates = _candidates(raw)
    if not candidates:
        return None
    parts = _parts(candidates[0])
    return [{"role": "model", **candidates[0]["content"]}] if parts else []


def stop_reasons(raw: Any) -> Sequence[str | None]:
    """Return why the model stopped, for each candidate.

    Args:
        raw: The provider's JSON.
    """
    return [_stop_reason(candidate) for candidate in _candidates(raw)]


def _candidates(raw: Any) -> Sequence[Mapping[str, Any]]:
    return (raw.get("candidates") or ()) if isinstance(raw, dict) else ()


def _parts(candidate: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (candidate.get("content") or {}).get("parts") or ()


def _visible_text(part: Mapping[str, Any]) -> str:
    text = part.get("text")
    return text if isinstance(text, str) and not part.get("thought") else ""


def _blocked(raw: Any) -> Any:
    """Return why the provider blocked the prompt; None if it did not."""
    return (raw.get("promptFeedback") or {}).get("blockReason") if isinstance(raw, dict) else None


def _stop_reason(candidate: Mapping[str, Any]) -> str | None:
    reason = candidate.get("finishReason")
    if reason == "STOP" and any(part.get("functionCall") for part in _parts(candidate)):
        return "tool_use"
    return _STOP_REASONS.get(reason, reason) if reason is not None else None


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    name = call.get("name") or ""
    # Some services give calls no ID. The tool result then contains the name.
    return ToolCall.from_text(
        call.get("id") or name, name, json.dumps(call.get("args") or {}, ensure_ascii=False)
    )


def _usage(usage: Any) -> Usage | None:
    if not usage:
        return None
    thought = usage.get("thoughtsTokenCount")
    return Usage(
        # The output of the provider's own tools counts as input, like the prompt.
        input_tokens=(usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0),
        output_tokens=(usage.get("candidatesTokenCount") or 0) + (thought or 0),
        total_tokens=usage.get("totalTokenCount") or 0,
        cached_tokens=usage.get("cachedContentTokenCount"),
        reasoning_tokens=thought,
    )


# -- streams ------------------------------------------------------------------------------------------------


def _pieces(event: Any) -> Iterator[Any]:
    for candidate in _candidates(event):
        yield candidate.get("content")


FORM = StreamForm(_pieces, _pieces, growing={"text": "text"})


def read_event(raw: Any) -> StreamEvent:
    """Read one event. A tool call arrives in one piece, and the provider does not number the calls.

    Args:
        raw: The provider's event.
    """
    first = next(iter(_candidates(raw)), {})
    parts = _parts(first)
    text = "".join(map(_visible_text, parts))
    reasoning = "".join(
        part["text"] for part in parts if part.get("thought") and isinstance(part.get("text"), str)
    )
    calls = [_tool_call(part["functionCall"]) for part in parts if part.get("functionCall")]
    pieces = tuple(ToolCallPiece(UNCOUNTED, call.id, call.name, call.arguments_text) for call in calls)
    if pieces:
        return StreamEvent("tool_call", text, raw, pieces, reasoning=reasoning)
    if text or reasoning:
        return StreamEvent("text" if text else "reasoning", text, raw, reasoning=reasoning)
    stopped = first.get("finishReason") or _blocked(raw)
    return StreamEvent("stop" if stopped else "other", raw=raw)


def gather(events: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the response that the events of a stream add up to. None if it is incomplete.

    A stream with function arguments in pieces (``streamFunctionCallArguments``) counts as incomplete: the pieces are not joined.

    Args:
        events: All events of the stream.
    """
    whole: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    for event in events:
        for candidate in _candidates(event):
            _add(candidates.setdefault(candidate.get("index") or 0, {}), candidate)
        whole |= {name: value for name, value in event.items() if name != "candidates"}
    if candidates:
        whole = {"candidates": [candidates[index] for index in sorted(candidates)], **whole}
    ended = [candidate.get("finishReason") for candidate in candidates.values()] or [_blocked(whole)]
    return whole if all(ended) and not any(map(_in_pieces, candidates.values())) else None


def events_of(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return events for a response that was not streamed: one for each part, and one for all the rest.

    Args:
        raw: The provider's JSON.
    """
    events: list[dict[str, Any]] = []
    rest = []
    for candidate in _candidates(raw):
        content = candidate.get("content") or {}
        place = {name: candidate[name] for name in ("index",) if name in candidate}
        events += [
            {"candidates": [{"content": {**content, "parts": [part]}, **place}]} for part in _parts(candidate)
        ]
        rest.append({name: value for name, value in candidate.items() if name != "content"})
    shared = {name: value for name, value in raw.items() if name != "candidates"}
    return [*events, {"candidates": rest, **shared} if rest else shared]


def _in_pieces(candidate: Mapping[str, Any]) -> bool:
    calls = (part.get("functionCall") or {} for part in _parts(candidate))
    return any("partialArgs" in call or call.get("willContinue") for call in calls)


def _add(whole: dict[str, Any], candidate: Mapping[str, Any]) -> None:
    """Add one event to a candidate: its parts are appended, and every other field replaces the earlier value."""
    for name, value in candidate.items():
        if name != "content":
            whole[name] = value if value != {} else whole.get(name, value)
            continue
        content = whole.setdefault("content", {"parts": []})
        for part in (value or {}).get("parts") or ():
            _add_part(content["parts"], part)
        content |= {name: inner for name, inner in (value or {}).items() if name != "parts"}


def _add_part(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """Add a part. Plain text is appended to plain text. Everything else, including signed text, stays a separate part."""
    if part == {"text": ""}:
        return
    if parts and _is_plain(parts[-1]) and _is_plain(part) and parts[-1].get("thought") == part.get("thought"):
        parts[-1] = {**parts[-1], "text": parts[-1]["text"] + part["text"]}
    else:
        parts.append(part)


def _is_plain(part: Mapping[str, Any]) -> bool:
    return isinstance(part.get("text"), str) and not part.keys() - {"text", "thought"}
