"""The search of the cache for the entry nearest to a request."""

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

    from spark_cache.core.lookup import Lookup
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.explain.difference import Explanation
    from spark_cache.stores import Stored

__all__ = ["Target", "with_nearest"]

_MAX_COMPARED = 10_000
"""The most entries that are compared, those of the same model first. This takes a second or two."""


@dataclass(frozen=True, slots=True)
class Target:
    """The known parts of a request.

    Attributes:
        entry: The entry that would store the request, without a response.
        redacted: Whether the request must be encrypted, so that only the names of its parts may be shown.
        before: A time in seconds since the epoch. Entries that were stored later are ignored.
    """

    entry: CacheEntry
    redacted: bool
    before: float | None = None


def with_nearest(
    explanation: Explanation, target: Target, lookup: Lookup, ring: KeyRing | None
) -> Explanation:
    """Return an explanation with the nearest entry, its differences, and notes on what could not be compared.

    Args:
        explanation: The explanation without the nearest entry.
        target: The request.
        lookup: The entries.
        ring: The encryption keys, or None without encryption.
    """
    search = _Search(lookup, ring)
    found = nearest(target.entry, search.candidates(target))
    notes = list(search.notes)
    if search.undecryptable:
        notes.append(
            f"{search.undecryptable:,} encrypted entries could not be compared: no available encryption key decrypts them "
            "(SPARK_CACHE_ENCRYPTION_KEY, SPARK_CACHE_ENCRYPTION_KEY_FILE)."
        )
    if found is None:
        if search.compared:
            notes.append(f"none of the {search.compared:,} compared entries is similar.")
        else:
            notes.append(f"the cache has no entries for {target.entry.provider}.")
        return replace(explanation, notes=tuple(notes))
    redacted = target.redacted or found.encrypted
    ignored = lookup.config.policy(target.entry.provider, target.entry.model_id).ignore
    changes = [
        change
        for change in compare(found.entry, target.entry, redacted=redacted)
        if not any(f"{change.path}.".startswith(f"{path}.") for path in ignored)
    ]
    if redacted:
        notes.append(
            "one of the two requests is encrypted, so only the names of the parts that differ are shown."
        )
    elif any(change.old is UNKNOWN for change in changes):
        notes.append(_why_unknown(found.entry, target.entry))
    return replace(
        explanation,
        nearest=Neighbour(found.name, found.entry.provider, found.entry.model_id, found.entry.timestamp),
        differences=tuple(difference(change) for change in changes),
        hints=hints(changes),
        notes=tuple(notes),
    )


class _Search:
    """The entries that may be near a request, and a record of those that could not be compared."""

    def __init__(self, lookup: Lookup, ring: KeyRing | None) -> None:
        self._lookup = lookup
        self._ring = ring
        self.compared = 0
        self.undecryptable = 0
        self.notes: list[str] = []

    def candidates(self, target: Target) -> Iterator[Candidate]:
        """Yield every other entry of the same provider, those of the same model first."""
        try:
            for stored in self._listed(target.entry):
                if self.compared == _MAX_COMPARED:
                    self.notes.append(f"only the first {_MAX_COMPARED:,} entries were compared.")
                    return
                self.compared += 1
                candidate = self._opened(stored)
                if candidate is not None and _is_eligible(candidate.entry, target):
                    yield candidate
        except StoreError as error:
            self.notes.append(f"not every entry could be compared: {error}.")

    def _listed(self, target: CacheEntry) -> Iterator[Stored]:
        own = folder_name(target.model_id)
        others = (
            stored for stored in self._lookup.scan(target.provider) if stored.address.model_folder != own
        )
        return chain(self._lookup.scan(target.provider, target.model_id), others)

    def _opened(self, stored: Stored) -> Candidate | None:
        data = self._lookup.directory.store.read(stored.address, note_use=False)
        if isinstance(data, MissReason):
            return None
        entry = decode(data, ring=self._ring)
        if isinstance(entry, CacheEntry):
            encrypted = stored.address.name != entry_name(entry.key)
            return Candidate(entry, stored.address.name, encrypted)
        self.undecryptable += entry is MissReason.UNDECRYPTABLE
        return None


def _why_unknown(old: CacheEntry, new: CacheEntry) -> str:
    if old.request is None or new.request is None:
        return "at least one of the two requests is not stored, so only the parts that differ are known (SPARK_CACHE_STORE_REQUESTS)."
    return "the stored form of a request does not contain the value that differs."


def _is_eligible(entry: CacheEntry, target: Target) -> bool:
    """Return whether an entry can be the nearest: it is not the request's own entry, and it is not too new."""
    return entry.key != target.entry.key and (target.before is None or entry.timestamp <= target.before)
