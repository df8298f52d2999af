"""Looking through the entries for the one that a request comes nearest to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from spark_cache.entries import CacheEntry, decode
from spark_cache.errors import StoreError
from spark_cache.explain.changes import UNKNOWN, difference
from spark_cache.explain.compare import compare
from spark_cache.explain.difference import Neighbour
from spark_cache.explain.hints import hints
from spark_cache.explain.nearest import Candidate, nearest
from spark_cache.stores import entry_name, folder_name
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cache.core.write import EntryStore
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.explain.difference import Explanation
    from spark_cache.stores import Stored

__all__ = ["Question", "with_nearest"]

_LOOKED_AT = 10_000
"""How many entries are compared at the most, the model's own first: a second or two."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request as far as it is known.

    Attributes:
        asked: The entry that it would be stored as, without an answer.
        redacted: Whether it is to be encrypted, so that only its parts may be named.
        before: What was stored later, in seconds since the epoch, does not count.
    """

    asked: CacheEntry
    redacted: bool
    before: float | None = None


def with_nearest(
    explanation: Explanation, question: Question, place: EntryStore, ring: KeyRing | None
) -> Explanation:
    """An explanation with the entry that comes nearest, in what it differs, and what could not be looked at.

    Args:
        explanation: What is known without it.
        question: The request.
        place: The entries.
        ring: The keys at hand.
    """
    looking = _Looking(place, ring)
    found = nearest(question.asked, looking.candidates(question))
    notes = list(looking.notes)
    if looking.locked:
        notes.append(
            f"{looking.locked:,} encrypted entries could not be looked at: no key at hand opens them."
        )
    if found is None:
        if looking.seen:
            notes.append(f"none of the {looking.seen:,} entries that were looked at is like it.")
        else:
            notes.append(f"the cache holds no entry of {question.asked.provider}.")
        return replace(explanation, notes=tuple(notes))
    redacted = question.redacted or found.encrypted
    changes = compare(found.entry, question.asked, redacted=redacted)
    if redacted:
        notes.append("one of the two is encrypted, so only the parts that differ are named.")
    elif any(change.old is UNKNOWN for change in changes):
        notes.append(_why_unknown(found.entry, question.asked))
    return replace(
        explanation,
        nearest=Neighbour(found.name, found.entry.provider, found.entry.model_id, found.entry.timestamp),
        differences=tuple(difference(change) for change in changes),
        hints=hints(changes),
        notes=tuple(notes),
    )


class _Looking:
    """The entries that may come near a request, and what of them could not be looked at."""

    def __init__(self, place: EntryStore, ring: KeyRing | None) -> None:
        self._place = place
        self._ring = ring
        self.seen = 0
        self.locked = 0
        self.notes: list[str] = []

    def candidates(self, question: Question) -> Iterator[Candidate]:
        """Every entry of the provider but the request's own, those of its model first."""
        try:
            for stored in self._listed(question.asked):
                if self.seen == _LOOKED_AT:
                    self.notes.append(f"only the first {_LOOKED_AT:,} entries were looked at.")
                    return
                self.seen += 1
                candidate = self._opened(stored)
                if candidate is not None and _may_be(candidate.entry, question):
                    yield candidate
        except StoreError as error:
            self.notes.append(f"not every entry could be looked at: {error}.")

    def _listed(self, asked: CacheEntry) -> Iterator[Stored]:
        own = folder_name(asked.model_id)
        others = (stored for stored in self._place.scan(asked.provider) if stored.address.model_folder != own)
        return chain(self._place.scan(asked.provider, asked.model_id), others)

    def _opened(self, stored: Stored) -> Candidate | None:
        data = self._place.directory.store.read(stored.address, note_use=False)
        if isinstance(data, MissReason):
            return None
        entry = decode(data, ring=self._ring)
        if isinstance(entry, CacheEntry):
            encrypted = stored.address.name != entry_name(entry.key)
            return Candidate(entry, stored.address.name, encrypted)
        self.locked += entry is MissReason.UNDECRYPTABLE
        return None


def _why_unknown(old: CacheEntry, new: CacheEntry) -> str:
    if old.request is None or new.request is None:
        return "requests are not stored for both, so only the parts that differ are known (SPARK_CACHE_STORE_REQUESTS)."
    return "what differs there is not in the stored form of a request."


def _may_be(entry: CacheEntry, question: Question) -> bool:
    """Whether an entry can be the nearest: not the request's own, and no later than the time it is compared at."""
    return entry.key != question.asked.key and (question.before is None or entry.timestamp <= question.before)
