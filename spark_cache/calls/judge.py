"""Decide whether a new response may be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["why_not_stored"]

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
