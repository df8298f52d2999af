"""Which of many entries a request comes nearest to."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import orjson

from spark_cache.explain.changes import UNKNOWN
from spark_cache.explain.compare import differing, part
from spark_cache.explain.excerpts import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_cache.entries import CacheEntry

__all__ = ["Candidate", "nearest"]

_WEIGHTS = {
    "messages": 8.0,
    "system_prompt": 4.0,
    "tool_specs": 4.0,
    "output_schema": 3.0,
    "parameters": 3.0,
    "operation": 3.0,
    "model_id": 2.0,
}
"""How far a part that differs takes two requests apart; one that is not named, by 1."""

_READ = frozenset({"messages", "system_prompt", "tool_specs", "output_schema", "parameters"})
"""Parts that can be a little different: where both texts are at hand, they count by how much they differ."""

_SAYS_SOMETHING = ("messages", "system_prompt", "tool_specs")

_LIKE = 0.5
"""From this likeness of the messages on, one request may be a changed form of the other."""

_LEAST = 0.02
_COMPARED = 50_000

# A character of a script without spaces is a word of its own.
_WORD = re.compile(r"[A-Za-z0-9]+|[^\W_]")


class Candidate(NamedTuple):
    """An entry that may come near.

    Attributes:
        entry: The entry; of an encrypted one, what was inside.
        name: The name of its file.
        encrypted: Whether it is an encrypted one.
    """

    entry: CacheEntry
    name: str
    encrypted: bool


def nearest(asked: CacheEntry, candidates: Iterable[Candidate]) -> Candidate | None:
    """The candidate that a request comes nearest to; of equally near ones the newest. None where none is like it.

    Args:
        asked: The request, as it would be stored; it holds the digests of its parts.
        candidates: Where to look.
    """
    words = _Words(asked)
    best: tuple[float, float, str] | None = None
    found: Candidate | None = None
    for candidate in candidates:
        entry = candidate.entry
        if not entry.digests:
            continue
        parts = differing(entry.digests, asked.digests)
        hard = sum(_WEIGHTS.get(name, 1.0) for name in parts if name not in _READ)
        soft = [name for name in parts if name in _READ]
        floor = hard + sum(_LEAST * _WEIGHTS[name] for name in soft)
        if best is not None and floor > best[0]:
            continue
        likeness = {name: words.likeness(entry, name) for name in soft}
        distance = hard + sum(
            _WEIGHTS[name] * max(_LEAST, 1 - (like or 0.0)) for name, like in likeness.items()
        )
        rank = (distance, -entry.timestamp, candidate.name)
        if (best is None or rank < best) and _is_like(asked, parts, likeness):
            best, found = rank, candidate
    return found


def _is_like(asked: CacheEntry, parts: list[str], likeness: dict[str, float | None]) -> bool:
    """Whether two requests have so much in common that one may be a changed form of the other."""
    if any(name in asked.digests and name not in parts for name in _SAYS_SOMETHING):
        return True
    # Where the messages are not at hand, nothing speaks against it.
    like = likeness.get("messages")
    return like is None or like >= _LIKE


class _Words:
    """How alike parts of one request are to those of others, by the words that they share."""

    def __init__(self, asked: CacheEntry) -> None:
        self._asked = asked
        self._known: dict[str, Counter[str] | None] = {}

    def likeness(self, entry: CacheEntry, name: str) -> float | None:
        """From 0.0 to 1.0; None where one of the two is not stored."""
        if name not in self._known:
            self._known[name] = _counted(self._asked, name)
        own, other = self._known[name], _counted(entry, name)
        if own is None or other is None:
            return None
        together = own.total() + other.total()
        return 2 * (own & other).total() / together if together else 1.0


def _counted(entry: CacheEntry, name: str) -> Counter[str] | None:
    value = part(entry, name)
    if value is UNKNOWN:
        return None
    try:
        text = "" if value is ABSENT else orjson.dumps(value)[:_COMPARED].decode("utf-8", "ignore")
    except TypeError:
        # Nested deeper than any request that has a key: somebody else's file.
        return None
    return Counter(_WORD.findall(text))
