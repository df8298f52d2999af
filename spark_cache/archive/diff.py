"""Two caches -> what a reviewer of new recordings wants to know: which requests came and went, and which answers changed."""

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

__all__ = ["Changed", "Item", "Review", "review"]

_PAIRED = 40_000
"""How many pairs of a request that went and one that came are compared at the most."""

_OF_THE_MOMENT = frozenset(
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
"""What providers put into every answer anew, whatever it says."""


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """An entry in one of the two caches.

    Attributes:
        provider: Its provider.
        model_id: Its model.
        name: The name of its file.
    """

    provider: str
    model_id: str
    name: str

    def __str__(self) -> str:
        """Its model, and the beginning of its name."""
        return f"{self.provider}/{self.model_id} {self.name[:12]}"


@dataclass(frozen=True, slots=True)
class Changed:
    """An entry that is another in the second cache.

    Attributes:
        item: The entry in the second cache.
        differences: What changed, by path; of encrypted entries only which parts.
        instead_of: The entry of the first cache whose request comes nearest, where the request changed and not the answer alone.
    """

    item: Item
    differences: tuple[Difference, ...]
    instead_of: Item | None = None


@dataclass(slots=True)
class Review:
    """In what two caches differ.

    Attributes:
        added: Entries of the second alone.
        removed: Entries of the first alone.
        answers: Entries of both with other answers.
        requests: Entries of the second alone that take the place of one of the first: their requests are alike.
        same: How many entries are in both with the same answer.
        renewed: How many of these were recorded at different times, or are otherwise not the same bytes.
        unreadable: How many files of the two could not be read as entries, by reason.
    """

    added: list[Item] = field(default_factory=list)
    removed: list[Item] = field(default_factory=list)
    answers: list[Changed] = field(default_factory=list)
    requests: list[Changed] = field(default_factory=list)
    same: int = 0
    renewed: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)


class _Side(NamedTuple):
    """One of the two caches: where its entries stand, by the name that their keys have as plain text."""

    store: FileStore
    found: dict[tuple[str, str, str], Address]


def review(first: FileStore, second: FileStore, *, ring: KeyRing | None, step: Callable[[], None]) -> Review:
    """Compare two caches entry by entry.

    Args:
        first: The one.
        second: The other.
        ring: The keys at hand; entries under others count as unreadable.
        step: Called after each entry that was read.

    Raises:
        StoreError: One of them could not be read.
    """
    done = Review()
    left, right = (_side(store, ring, done.unreadable, step) for store in (first, second))
    for place in sorted(left.found.keys() & right.found.keys()):
        _compare_answers(left, right, place, ring, done)
        step()
    removed = {place: _read(left, place, ring) for place in sorted(left.found.keys() - right.found.keys())}
    added = {place: _read(right, place, ring) for place in sorted(right.found.keys() - left.found.keys())}
    _pair(
        {_item(found): found for found in removed.values() if found is not None},
        {_item(found): found for found in added.values() if found is not None},
        done,
    )
    return done


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


def _read(side: _Side, place: tuple[str, str, str], ring: KeyRing | None) -> Candidate | None:
    """An entry that was there a moment ago."""
    at = side.found[place]
    data = side.store.read(at, note_use=False)
    entry = decode(data, ring=ring) if isinstance(data, bytes) else data
    return Candidate(entry, at.name, at.name != place[2]) if isinstance(entry, CacheEntry) else None


def _compare_answers(
    left: _Side, right: _Side, place: tuple[str, str, str], ring: KeyRing | None, done: Review
) -> None:
    at, other = left.found[place], right.found[place]
    if at == other and left.store.read(at, note_use=False) == right.store.read(other, note_use=False):
        done.same += 1
        return
    old, new = _read(left, place, ring), _read(right, place, ring)
    if old is None or new is None:
        return
    found = _answer_changes(old.entry.response, new.entry.response)
    if not found:
        done.same += 1
        done.renewed += 1
        return
    redacted = old.encrypted or new.encrypted
    parts = dict.fromkeys(change.path.split(".")[0].split("[")[0] for change in found)
    shown = (
        [Difference(part, "differs") for part in parts]
        if redacted
        else [difference(change) for change in found]
    )
    done.answers.append(Changed(_item(new), tuple(shown)))


def _answer_changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """What changed between two answers; the provider's own JSON only where the rest says nothing."""
    details = ("raw", "events", "latency_seconds")
    plain = [{name: value for name, value in answer.items() if name not in details} for answer in (old, new)]
    left, right = (_lasting(answer) for answer in plain)
    found = changes(left, right, "") or changes(_lasting(old.get("raw")), _lasting(new.get("raw")), ".raw")
    return [change._replace(path=change.path.removeprefix(".")) for change in found]


def _lasting(value: Any) -> Any:
    """An answer without what is new in each, such as its number and its time."""
    if isinstance(value, dict):
        return {name: _lasting(item) for name, item in value.items() if name not in _OF_THE_MOMENT}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


def _pair(removed: dict[Item, Candidate], added: dict[Item, Candidate], done: Review) -> None:
    """Tell new requests from those that are an old one with a change."""
    left = dict(removed)
    comparable = len(removed) * len(added) <= _PAIRED
    for item, new in added.items():
        near = nearest(new.entry, left.values()) if comparable else None
        if near is None:
            done.added.append(item)
            continue
        old = _item(near)
        del left[old]
        found = compare(near.entry, new.entry, redacted=near.encrypted or new.encrypted)
        done.requests.append(Changed(item, tuple(difference(change) for change in found), old))
    done.removed += left


def _item(found: Candidate) -> Item:
    return Item(found.entry.provider, found.entry.model_id, found.name)
