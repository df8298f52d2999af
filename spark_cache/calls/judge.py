"""Decide whether a new response may be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from spark_cache.providers.stream import Counting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spark_cache.providers.response import ModelResponse
    from spark_cache.providers.stream import StreamEvent

__all__ = ["is_as_heard", "why_not_stored"]

_COMPLETE = frozenset({"end_turn", "tool_use", "stop_sequence"})
"""Stop reasons after which a response is complete."""

_WORDS = {"max_tokens": "truncated", "refusal": "refused", "content_filter": "refused"}


def why_not_stored(stop_reasons: Sequence[str | None], *, store_truncated: bool) -> str | None:
    """Return why a response is not stored; None if it may be.

    Args:
        stop_reasons: Why the model stopped, for every candidate in the response.
        store_truncated: Whether responses that were cut at the token limit are stored.
    """
    accepted = _COMPLETE | {"max_tokens"} if store_truncated else _COMPLETE
    for reason in stop_reasons:
        if reason not in accepted:
            return _WORDS.get(reason or "", "incomplete")
    return None if stop_reasons else "incomplete"


def is_as_heard(response: ModelResponse, events: Iterable[StreamEvent]) -> bool:
    """Return whether the whole response of a stream says what its events said: the same text, and the same tool calls.

    A service may send chunks that add up in a way that no one has seen yet. Such a response is not stored.

    Args:
        response: The response that the events were added up to.
        events: The events, in order.
    """
    texts: list[str] = []
    calls: dict[int, list[str]] = {}
    counted = Counting()
    for event in map(counted, events):
        texts.append(event.text)
        for piece in event.tool_calls:
            call = calls.setdefault(piece.index, ["", "", ""])
            call[0] = call[0] or piece.id
            call[1] = call[1] or piece.name
            call[2] += piece.arguments_text
    told = [(call.id, call.name, _value(call.arguments_text)) for call in response.tool_calls]
    # Pieces without an announced call belong to a tool that the provider runs itself.
    heard = [(call, name, _value(arguments)) for call, name, arguments in calls.values() if call or name]
    return "".join(texts) == response.content and told == heard


def _value(arguments: str) -> object:
    """Return arguments as JSON values: their text may be formatted in another way in the whole response."""
    try:
        return orjson.loads(arguments or "{}")
    except ValueError:
        return arguments
