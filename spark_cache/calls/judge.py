"""Decide whether a new response may be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from spark_cache.providers.heard import unheard
from spark_cache.providers.stream import Counting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spark_cache.providers.base import Provider
    from spark_cache.providers.response import ModelResponse

__all__ = ["disagreement", "why_not_stored"]

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


def disagreement(provider: Provider, response: ModelResponse, events: Sequence[Any]) -> str | None:
    """Return the place where the whole response of a stream says something else than its events; None if there is none.

    Args:
        provider: The provider.
        response: The whole response.
        events: The provider's events.
    """
    texts: list[str] = []
    calls: dict[int, list[str]] = {}
    counted = Counting()
    for event in events:
        read = counted(provider.read_event(event))
        texts.append(read.text)
        for piece in read.tool_calls:
            call = calls.setdefault(piece.index, ["", "", ""])
            call[0] = call[0] or piece.id
            call[1] = call[1] or piece.name
            call[2] += piece.arguments_text
    if "".join(texts) != response.content:
        return "the text"
    told = [(call.id, call.name, _value(call.arguments_text)) for call in response.tool_calls]
    # Pieces without an announced call belong to a tool that the provider runs itself.
    heard = [(call, name, _value(arguments)) for call, name, arguments in calls.values() if call or name]
    if told != heard:
        return "the tool calls"
    form = provider.stream_form
    return None if form is None else unheard(response.raw, events, form)


def _value(arguments: str) -> object:
    """Return arguments as JSON values: their text may be formatted in another way in the whole response."""
    try:
        return orjson.loads(arguments or "{}")
    except ValueError:
        return arguments
