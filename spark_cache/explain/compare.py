"""Two entries -> in what their requests differ: by the digests of the parts, and by path where both requests are at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.explain.changes import UNKNOWN, Change, changes
from spark_cache.explain.excerpts import ABSENT
from spark_cache.keys import cache_key, normalise_message
from spark_cache.types import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.entries import CacheEntry

__all__ = ["PARTS", "compare", "differing", "part"]

PARTS = (
    "version",
    "provider",
    "model_id",
    "operation",
    "endpoint",
    "namespace",
    "cache_version",
    "sample",
    "system_prompt",
    "messages",
    "tool_specs",
    "tool_choice",
    "output_schema",
    "parameters",
)
"""The parts of a request, in the order in which differences are listed."""

_IN_THE_OPEN = frozenset({"provider", "model_id"})
"""What also an encrypted entry shows."""

_OPERATIONS = ("text", "json", "embedding")


def differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The parts whose digests differ."""
    return [name for name in PARTS if old.get(name) != new.get(name)]


def compare(old: CacheEntry, new: CacheEntry, *, redacted: bool) -> list[Change]:
    """What changed from the request of one entry to that of another.

    Args:
        old: The one; both hold the digests of their parts.
        new: The other.
        redacted: Whether only the parts may be named, because one of them is encrypted, or is to be.
    """
    found: list[Change] = []
    for name in differing(old.digests, new.digests):
        if redacted and name not in _IN_THE_OPEN:
            found.append(Change(name, UNKNOWN, UNKNOWN))
            continue
        left, right = part(old, name), part(new, name)
        known = left is not UNKNOWN and right is not UNKNOWN
        # The stored form of a request says less than its key: a date and its text are one there.
        found += (changes(left, right, name) if known else []) or [Change(name, UNKNOWN, UNKNOWN)]
    return found


def part(entry: CacheEntry, name: str) -> Any:
    """A part of an entry's request as JSON; :data:`ABSENT` where it has none, :data:`UNKNOWN` where that is not stored."""
    if name not in entry.digests:
        return {} if name == "parameters" and isinstance(entry.request, dict) else ABSENT
    if name in ("provider", "model_id", "namespace"):
        return getattr(entry, name)
    if name == "operation":
        return _operation(entry.digests[name])
    return _stored(entry.request, name) if isinstance(entry.request, dict) else UNKNOWN


def _stored(request: dict[str, Any], name: str) -> Any:
    """A part of a request that is stored."""
    if name == "parameters" and name not in request:
        # Stored by code of its own, side by side with the rest.
        return {other: value for other, value in request.items() if other not in PARTS}
    value = request.get(name, UNKNOWN)
    if name == "messages" and isinstance(value, list):
        return [normalise_message(message) for message in value]
    return value


def _operation(digest: str) -> Any:
    """The operation that has a digest: an entry keeps no other trace of it."""
    for operation in _OPERATIONS:
        if cache_key(Request("", "", [], operation=operation)).digests["operation"] == digest:
            return operation
    return UNKNOWN
