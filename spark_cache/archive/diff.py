"""Compare two caches: the requests that were added, removed or changed, and the responses that changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.entries import CacheEntry, decode
from spark_cache.explain import Candidate, Change, Difference, changes, compare, difference, nearest
from spark_cache.stores import entry_name
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import Address, FileStore

__all__ = ["CacheDiff", "ChangedEntry", "EntryRef", "diff_caches"]

_MAX_PAIRS = 40_000
"""The maximum number of pairs of removed and added requests to compare. Beyond it, requests are not paired."""

_VOLATILE_FIELDS = frozenset(
    {
        "ResponseMetadata",
        "completed_at",
        "created",
        "created_at",
        "createTime",
        "id",
        "metrics",
        "requestId",
        "request_id",
        "responseId",
        "response_id",
        "system_fingerprint",
    }
)
"""Fields that differ in every response of a provider, even if its content is the same."""


@dataclass(frozen=True, slots=True, order=True)
class EntryRef:
    """An entry in one of the two caches.

    Attributes:
        provider: The provider.
        model_id: The model.
        name: The name of the file.
    """

    provider: str
    model_id: str
    name: str

    def __str__(self) -> str:
        """Return the model and the beginning of the name."""
        return f"{self.provider}/{self.model_id} {self.name[:12]}"


@dataclass(frozen=True, slots=True)
class ChangedEntry:
    """An entry that differs between the two caches.

    Attributes:
        item: The entry in the second cache.
        differences: The changes, by path. For encrypted entries, only the names of the changed parts.
        instead_of: The most similar entry of the first cache if the request changed, or None if only the response
            changed.
    """

    item: EntryRef
    differences: tuple[Difference, ...]
    instead_of: EntryRef | None = None


@dataclass(slots=True)
class CacheDiff:
    """The differences between two caches.

    Attributes:
        added: Entries that only the second cache contains.
        removed: Entries that only the first cache contains.
        answers: Entries of both caches whose responses differ.
        requests: Entries of the second cache whose requests are changed versions of requests in the first.
        same: The number of entries that have the same response in both caches.
        renewed: The number of those that were recorded at different times, or whose bytes differ for another reason.
        unreadable: The number of files in both caches that could not be read as entries, by reason.
    """

    added: list[EntryRef] = field(default_factory=list)
    removed: list[EntryRef] = field(default_factory=list)
    answers: list[ChangedEntry] = field(default_factory=list)
    requests: list[ChangedEntry] = field(default_factory=list)
    same: int = 0
    renewed: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)


class _Side(NamedTuple):
    """One of the two caches. Its entries are found by their folders and by the name that a plain entry would have."""

    store: FileStore
    found: dict[tuple[str, str, str], Address]


def diff_caches(
    first: FileStore, second: FileStore, *, ring: KeyRing | None, step: Callable[[], None]
) -> CacheDiff:
    """Compare two caches entry by entry.

    Args:
        first: The store of the first cache.
        second: The store of the second cache.
        ring: The configured encryption keys. Entries under other keys are counted as unreadable.
        step: Called after each entry that is read.

    Raises:
        StoreError: One of the stores could not be read.
    """
    diff = CacheDiff()
    left, right = (_side(store, ring, diff.unreadable, step) for store in (first, second))
    for name in sorted(left.found.keys() & right.found.keys()):
        _compare_responses(left, right, name, ring, diff)
        step()
    removed = [_read(left, name, ring) for name in sorted(left.found.keys() - right.found.keys())]
    added = [_read(right, name, ring) for name in sorted(right.found.keys() - left.found.keys())]
    _pair_requests(
        {_ref(candidate): candidate for candidate in removed if candidate is not None},
        {_ref(candidate): candidate for candidate in added if candidate is not None},
        diff,
    )
    return diff


def _side(
    store: FileStore, ring: KeyRing | None, unreadable: Counter[str], step: Callable[[], None]
) -> _Side:
    found: dict[tuple[str, str, str], Address] = {}
    for at, entry in _entries(store, ring):
        step()
        if isinstance(entry, CacheEntry):
            found[at.provider_folder, at.model_folder, entry_name(entry.key)] = at
        else:
            unreadable[entry.value] += 1
    return _Side(store, found)


def _entries(store: FileStore, ring: KeyRing | None) -> Iterator[tuple[Address, CacheEntry | MissReason]]:
    for stored in store.scan():
        data = store.read(stored.address, note_use=False)
        if data is not MissReason.ABSENT:
            yield stored.address, decode(data, ring=ring) if isinstance(data, bytes) else data


def _read(side: _Side, name: tuple[str, str, str], ring: KeyRing | None) -> Candidate | None:
    """Read an entry again, or return None if it was removed or damaged meanwhile."""
    at = side.found[name]
    data = side.store.read(at, note_use=False)
    entry = decode(data, ring=ring) if isinstance(data, bytes) else data
    return Candidate(entry, at.name, at.name != name[2]) if isinstance(entry, CacheEntry) else None


def _compare_responses(
    left: _Side, right: _Side, name: tuple[str, str, str], ring: KeyRing | None, diff: CacheDiff
) -> None:
    at, other = left.found[name], right.found[name]
    if at == other and left.store.read(at, note_use=False) == right.store.read(other, note_use=False):
        diff.same += 1
        return
    old, new = _read(left, name, ring), _read(right, name, ring)
    if old is None or new is None:
        return
    found = _response_changes(old.entry.response, new.entry.response)
    if not found:
        diff.same += 1
        diff.renewed += 1
        return
    redacted = old.encrypted or new.encrypted
    parts = dict.fromkeys(change.path.split(".")[0].split("[")[0] for change in found)
    shown = (
        [Difference(part, "differs") for part in parts]
        if redacted
        else [difference(change) for change in found]
    )
    diff.answers.append(ChangedEntry(_ref(new), tuple(shown)))


def _response_changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Return the changes between two responses. The provider's own JSON is compared only if the rest is equal."""
    details = ("raw", "events", "latency_seconds")
    plain = [
        {name: value for name, value in response.items() if name not in details} for response in (old, new)
    ]
    left, right = (_without_volatile(response) for response in plain)
    found = changes(left, right, "") or changes(
        _without_volatile(old.get("raw")), _without_volatile(new.get("raw")), ".raw"
    )
    return [change._replace(path=change.path.removeprefix(".")) for change in found]


def _without_volatile(value: Any) -> Any:
    """Return a response without the fields that differ in every response, such as its ID and its time."""
    if isinstance(value, dict):
        return {name: _without_volatile(item) for name, item in value.items() if name not in _VOLATILE_FIELDS}
    return [_without_volatile(item) for item in value] if isinstance(value, list) else value


def _pair_requests(
    removed: dict[EntryRef, Candidate], added: dict[EntryRef, Candidate], diff: CacheDiff
) -> None:
    """Separate added requests from those that are changed versions of a removed request."""
    left = dict(removed)
    comparable = len(removed) * len(added) <= _MAX_PAIRS
    for item, new in added.items():
        near = nearest(new.entry, left.values()) if comparable else None
        if near is None:
            diff.added.append(item)
            continue
        old = _ref(near)
        del left[old]
        found = compare(near.entry, new.entry, redacted=near.encrypted or new.encrypted)
        diff.requests.append(ChangedEntry(item, tuple(difference(change) for change in found), old))
    diff.removed += left


def _ref(candidate: Candidate) -> EntryRef:
    return EntryRef(candidate.entry.provider, candidate.entry.model_id, candidate.name)
