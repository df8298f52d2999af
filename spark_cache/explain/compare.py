"""Comparison of the requests of two entries: by the digests of the parts, and by path if both requests are available."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.explain.body_fields import CONVERSATION, INSTRUCTIONS
from spark_cache.explain.changes import UNKNOWN, Change, changes
from spark_cache.explain.excerpts import ABSENT, is_secret
from spark_cache.keys import cache_key, keyed_body
from spark_cache.types import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.entries import CacheEntry

__all__ = ["PARTS", "compare", "differing", "part"]

PARTS = ("version", "provider", "model_id", "operation", "endpoint", "namespace", "cache_version", "sample")
"""The parts of every request, in the order in which differences are listed. The fields of its body follow, then the others."""

_CONTENT = (*INSTRUCTIONS, *CONVERSATION)
"""The fields that are listed first among those of a body."""

_UNENCRYPTED_PARTS = frozenset({"provider", "model_id"})
"""The parts that an encrypted entry stores as plain text."""

_OPERATIONS = ("text", "json", "embedding")


def differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return the parts whose digests differ."""
    return sorted((name for name in old.keys() | new.keys() if old.get(name) != new.get(name)), key=_rank)


def _rank(part: str) -> tuple[int, int, str]:
    if part in PARTS:
        return 0, PARTS.index(part), part
    field = part.removeprefix("body.")
    return 1, _CONTENT.index(field) if field in _CONTENT else len(_CONTENT), part


def compare(old: CacheEntry, new: CacheEntry, *, redacted: bool) -> list[Change]:
    """Return the changes from the request of one entry to the request of another.

    Args:
        old: The first entry. Both entries hold the digests of their parts.
        new: The second entry.
        redacted: Whether only the parts may be named, because one of the entries is encrypted or must be encrypted.
    """
    found: list[Change] = []
    for name in differing(old.digests, new.digests):
        is_hidden = redacted and name not in _UNENCRYPTED_PARTS
        if is_hidden or is_secret(name.removeprefix("body.")):
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
        return ABSENT
    if name in ("provider", "model_id", "namespace"):
        return getattr(entry, name)
    if name == "operation":
        return _operation(entry.digests[name])
    return _stored(entry, entry.request, name) if isinstance(entry.request, dict) else UNKNOWN


def _stored(entry: CacheEntry, request: dict[str, Any], name: str) -> Any:
    """Return a part of a stored request, in the form that is keyed."""
    if not name.startswith("body."):
        return request.get(name, UNKNOWN)
    # A program that calls `set` may store the body alone.
    body = request.get("body", request)
    if not isinstance(body, dict):
        return UNKNOWN
    operation = _operation(entry.digests.get("operation", ""))
    asked = Request(entry.provider, entry.model_id, body, "text" if operation is UNKNOWN else operation)
    return keyed_body(asked).get(name.removeprefix("body."), UNKNOWN)


def _operation(digest: str) -> Any:
    """Return the operation with a digest. An entry stores only the digest of its operation."""
    for operation in _OPERATIONS:
        if cache_key(Request("", "", {}, operation=operation)).digests["operation"] == digest:
            return operation
    return UNKNOWN
