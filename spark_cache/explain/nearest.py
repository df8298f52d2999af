"""The search for the entry that is most similar to a request."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import orjson

from spark_cache.explain.body_fields import CONVERSATION, INSTRUCTIONS, SCHEMAS, TOOLS
from spark_cache.explain.changes import UNKNOWN
from spark_cache.explain.compare import differing, part
from spark_cache.explain.excerpts import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_cache.entries import CacheEntry

__all__ = ["Candidate", "nearest"]

_CONVERSATION, _INSTRUCTIONS, _TOOLS, _SCHEMAS = (
    tuple(f"body.{name}" for name in names) for names in (CONVERSATION, INSTRUCTIONS, TOOLS, SCHEMAS)
)

_WEIGHTS = {
    **dict.fromkeys(_CONVERSATION, 8.0),
    **dict.fromkeys((*_INSTRUCTIONS, *_TOOLS), 4.0),
    **dict.fromkeys(_SCHEMAS, 3.0),
    "operation": 3.0,
    "model_id": 2.0,
}
"""How much a part that differs adds to the distance between two requests. Other parts add 1."""

_TEXT_PARTS = frozenset({*_CONVERSATION, *_INSTRUCTIONS, *_TOOLS, *_SCHEMAS})
"""Parts that can differ partially. If both values are available, they count in proportion to the difference."""

_CONTENT_PARTS = (*_CONVERSATION, *_INSTRUCTIONS, *_TOOLS)

_SIMILAR = 0.5
"""The similarity of the messages from which one request may be a changed version of the other."""

_MIN_SHARE = 0.02
_COMPARED_BYTES = 50_000

# In scripts without spaces, each character counts as a word.
_WORD = re.compile(r"[A-Za-z0-9]+|[^\W_]")


class Candidate(NamedTuple):
    """An entry to compare with a request.

    Attributes:
        entry: The entry, decrypted if it is encrypted.
        name: The name of the entry.
        encrypted: Whether the entry is stored encrypted.
    """

    entry: CacheEntry
    name: str
    encrypted: bool


def nearest(target: CacheEntry, candidates: Iterable[Candidate]) -> Candidate | None:
    """Return the candidate nearest to a request, or None if no candidate is similar. Among equals, the newest wins.

    Args:
        target: The request in its stored form, with the digests of its parts.
        candidates: The entries to compare.
    """
    words = _Words(target)
    best: tuple[float, float, str] | None = None
    found: Candidate | None = None
    for candidate in candidates:
        entry = candidate.entry
        if not entry.digests:
            continue
        parts = differing(entry.digests, target.digests)
        hard = sum(_WEIGHTS.get(name, 1.0) for name in parts if name not in _TEXT_PARTS)
        soft = [name for name in parts if name in _TEXT_PARTS]
        floor = hard + sum(_MIN_SHARE * _WEIGHTS[name] for name in soft)
        if best is not None and floor > best[0]:
            continue
        similarities = {name: words.similarity(entry, name) for name in soft}
        distance = hard + sum(
            _WEIGHTS[name] * max(_MIN_SHARE, 1 - (similarity or 0.0))
            for name, similarity in similarities.items()
        )
        rank = (distance, -entry.timestamp, candidate.name)
        if (best is None or rank < best) and _is_similar(target, parts, similarities):
            best, found = rank, candidate
    return found


def _is_similar(target: CacheEntry, parts: list[str], similarities: dict[str, float | None]) -> bool:
    """Return whether one request may be a changed version of the other."""
    if any(name in target.digests and name not in parts for name in _CONTENT_PARTS):
        return True
    # If the messages are not available, they are assumed to be similar.
    known = [similarities[name] for name in _CONVERSATION if similarities.get(name) is not None]
    return all(similarity is not None and similarity >= _SIMILAR for similarity in known)


class _Words:
    """The similarity between parts of one request and parts of entries, measured by shared words."""

    def __init__(self, target: CacheEntry) -> None:
        self._target = target
        self._counts: dict[str, Counter[str] | None] = {}

    def similarity(self, entry: CacheEntry, name: str) -> float | None:
        """Return the similarity of a part, from 0.0 to 1.0, or None if one of the two values is not stored."""
        if name not in self._counts:
            self._counts[name] = _counted(self._target, name)
        own, other = self._counts[name], _counted(entry, name)
        if own is None or other is None:
            return None
        total = own.total() + other.total()
        return 2 * (own & other).total() / total if total else 1.0


def _counted(entry: CacheEntry, name: str) -> Counter[str] | None:
    value = part(entry, name)
    if value is UNKNOWN:
        return None
    try:
        text = "" if value is ABSENT else orjson.dumps(value)[:_COMPARED_BYTES].decode("utf-8", "ignore")
    except TypeError:
        # Nested deeper than any request with a key, so this library did not write the file.
        return None
    return Counter(_WORD.findall(text))
