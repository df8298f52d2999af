"""Split a chat completion into the chunks of a stream, with one token of text or arguments in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["chunks"]

_CHARACTERS_PER_CHUNK = 4


def chunks(completion: dict[str, Any], *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """Split a completion into chunks that add up to it.

    Args:
        completion: The complete, unstreamed completion.
        include_usage: Whether to add a last chunk that holds the usage and no choices.

    Yields:
        The chunks, in the order in which they are sent.
    """
    shared = {name: completion[name] for name in ("id", "created", "model", "system_fingerprint")}
    frame: dict[str, Any] = {**shared, "object": "chat.completion.chunk"}
    if include_usage:
        frame["usage"] = None
    for choice in completion["choices"]:
        for delta in _deltas(choice["message"]):
            yield {**frame, "choices": [_choice(choice["index"], delta, None)]}
        yield {**frame, "choices": [_choice(choice["index"], {}, choice["finish_reason"])]}
    if include_usage:
        yield {**frame, "choices": [], "usage": completion["usage"]}


def _choice(index: int, delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content = message["content"]
    yield {"role": "assistant", "content": None if content is None else "", "refusal": None}
    for piece in _pieces(content or ""):
        yield {"content": piece}
    for piece in _pieces(message["refusal"] or ""):
        yield {"refusal": piece}
    for index, call in enumerate(message.get("tool_calls") or []):
        function = {"name": call["function"]["name"], "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": call["id"], "type": call["type"], "function": function}]}
        for piece in _pieces(call["function"]["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), _CHARACTERS_PER_CHUNK):
        yield text[start : start + _CHARACTERS_PER_CHUNK]
