"""Comparison of the requests of two entries: by the digests of the parts, and by path if both requests are available."""

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

_UNENCRYPTED_PARTS = frozenset({"provider", "model_id"})
"""The parts that an encrypted entry stores as plain text."""

_OPERATIONS = ("text", "json", "embedding")


def differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return the parts whose digests differ."""
    return [name for name in PARTS if old.get(name) != new.get(name)]


def compare(old: CacheEntry, new: CacheEntry, *, redacted: bool) -> list[Change]:
    """Return the changes from the request of one entry to the request of another.

    Args:
        old: The first entry. Both entries hold the digests of their parts.
        new: The second entry.
        redacted: Whether only the parts may be named, because one of the entries is encrypted or must be encrypted.
    """
    found: list[Change] = []
    for name in differing(old.digests, new.digests):
        if redacted and name not in _UNENCRYPTED_PARTS:
            found.append(Change(name, UNKNOWN, UNKNOWN))
            continue
        left, right = part(old, name), part(new, name)
        is_known = left is not UNKNOWN and right is not UNKNOWN
        # Two requests with different keys can have the same stored form. For example, a date is stored as a string.
        found += (changes(left, right, name) if is_known else []) or [Change(name, UNKNOWN, UNKNOWN)]
    return found


def part(entry: CacheEntry, name: str) -> Any:
    """Return a part of an entry's request as JSON: :data:`ABSENT` if it has none, :data:`UNKNOWN` if it is not stored."""
    if name not in entry.digests:
        return {} if name == "parameters" and isinstance(entry.request, dict) else ABSENT
    if name in ("provider", "model_id", "namespace"):
        return getattr(entry, name)
    if name == "operation":
        return _operation(entry.digests[name])
    return _stored(entry.request, name) if isinstance(entry.request, dict) else UNKNOWN


def _stored(request: dict[str, Any], name: str) -> Any:
    """Return a part of a stored request."""
    if name == "parameters" and name not in request:
        # Stored with `set`, which puts parameters next to the other parts.
        return {other: value for other, value in request.items() if other not in PARTS}
    value = request.get(name, UNKNOWN)
    if name == "messages" and isinstance(value, list):
        return [normalise_message(message) for message in value]
    return value


def _operation(digest: str) -> Any:
    """Return the operation with a digest. An entry stores only the digest of its operation."""
    for operation in _OPERATIONS:
        if cache_key(Request("", "", [], operation=operation)).digests["operation"] == digest:
            return operation
    return UNKNOWN
