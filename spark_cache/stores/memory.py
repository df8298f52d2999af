"""The memory store: entries exist as long as the process."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from spark_cache.stores.base import (
    Address,
    NewEntry,
    Stored,
    Totals,
    added_up,
    block_size,
    victims,
)
from spark_cache.types import CLOCK_SKEW, MissReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spark_cache.stores.base import EntryFormat

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Kept:
    data: bytes
    written_at: float
    used_at: float
    expires_at: float


class MemoryStore:
    """Keeps entries in a dictionary. Holds bytes, not objects, so that no caller can change what another one gets.

    Args:
        clock: Returns the time in seconds since the epoch.
        sweep: Whether expired entries are removed in passing. Otherwise they are removed on demand only.
        entry_format: What the store has to know of the content of entries.
        on_removed: Called with each entry that upkeep removes: its address, its size, and ``evict`` or ``expire``.

    Attributes:
        leases: None, because no other process can use the store.
    """

    leases = None

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        sweep: bool = True,
        entry_format: EntryFormat,
        on_removed: Callable[[Address, int, str], None],
    ) -> None:
        self._clock = clock
        self._sweeps = sweep
        self._format = entry_format
        self._on_removed = on_removed
        self._kept: dict[Address, _Kept] = {}
        self._occupied = 0
        self._cap: float | None = None
        self._interval: float | None = None
        self._next_sweep: float | None = None
        self._lock = Lock()

    def require(
        self,
        *,
        fsync: bool,  # noqa: ARG002 - nothing to sync
        cap_bytes: float | None,
        cleanup_interval: float,
        hot_entries: bool = True,  # noqa: ARG002 - every entry is in memory
    ) -> None:
        """Take on what one of the managers that share the store asks for. The strictest requirement holds."""
        if cap_bytes is not None:
            self._cap = cap_bytes if self._cap is None else min(self._cap, cap_bytes)
        self._interval = cleanup_interval if self._interval is None else min(self._interval, cleanup_interval)

    def forget(self) -> None:
        """Use a new lock in a forked child: another thread of the parent may have held the old one."""
        self._lock = Lock()

    def has(self, at: Address) -> bool:
        """Return whether there is an entry at an address."""
        return at in self._kept

    def read(self, at: Address, *, note_use: bool, remember: bool = False) -> bytes | MissReason:  # noqa: ARG002 - it is in memory
        """Return the bytes at an address, or that there are none."""
        kept = self._kept.get(at)
        if kept is None:
            return MissReason.ABSENT
        if note_use:
            kept.used_at = self._clock()
        return kept.data

    def read_many(self, addresses: Sequence[Address], *, note_use: bool) -> list[bytes | MissReason]:
        """Return what :meth:`read` returns for each address, in their order."""
        return [self.read(at, note_use=note_use) for at in addresses]

    def write(
        self,
        at: Address,
        data: bytes,
        *,
        replace: bool = True,
        expires_at: float | None = None,
        deadline: float | None = None,
    ) -> bool:
        """Store bytes at an address; False if they are larger than the store may be, or may not replace what is there."""
        return self.write_many([NewEntry(at, data, expires_at)], replace=replace, deadline=deadline)[0]

    def write_many(
        self,
        entries: Sequence[NewEntry],
        *,
        replace: bool = True,
        deadline: float | None = None,  # noqa: ARG002 - nothing to wait for
    ) -> list[bool]:
        """Store entries, each of them as :meth:`write` does."""
        removed: list[tuple[Stored, str]] = []
        with self._lock:
            written = [self._put(entry, removed, replace=replace) for entry in entries]
            if any(written):
                removed += self._sweep_expired()
        for stored, why in removed:
            self._on_removed(stored.address, stored.size_bytes, why)
        return written

    def remove(self, at: Address, *, deadline: float | None = None) -> bool:  # noqa: ARG002 - nothing to wait for
        """Remove the entry at an address, and return whether there was one."""
        with self._lock:
            return self._drop(at)

    def find(self, name: str) -> list[Address]:
        """Return every address with this name."""
        with self._lock:
            return [at for at in self._kept if at.name == name]

    def scan(
        self, provider_folder: str | None = None, model_folder: str | None = None, *, after: str = ""
    ) -> Iterator[Stored]:
        """Yield every entry, or those of a provider or of one of its models, ordered by address."""
        last = Address._make(after.split("/")) if after else None
        with self._lock:
            listed = sorted(self._stored())
        for stored in listed:
            at = stored.address
            if (
                provider_folder in (None, at.provider_folder)
                and model_folder in (None, at.model_folder)
                and (last is None or at > last)
            ):
                yield stored

    def totals(self, *, write: bool) -> Totals:  # noqa: ARG002 - nothing is saved
        """Return the totals of the entries of each model."""
        return Totals(added_up(self.scan()))

    def expire(self, provider_folder: str | None = None) -> int:
        """Remove every expired entry, or those of a provider, and return how many there were."""
        with self._lock:
            return len(self._drop_expired(self._clock(), provider_folder))

    def clear(self, provider_folder: str | None = None, model_folder: str | None = None) -> int:
        """Remove every entry, or those of a provider or of one of its models, and return how many there were."""
        return sum([self.remove(stored.address) for stored in self.scan(provider_folder, model_folder)])

    def _put(self, entry: NewEntry, removed: list[tuple[Stored, str]], *, replace: bool) -> bool:
        at, data, expires_at = entry
        if (self._cap is not None and block_size(len(data)) > self._cap) or (
            at in self._kept and not replace
        ):
            return False
        end = self._format.lifetime(data)[1] if expires_at is None else expires_at
        self._drop(at)
        now = self._clock()
        self._kept[at] = _Kept(data, now, now, end)
        self._occupied += block_size(len(data))
        removed += self._evict()
        return True

    def _drop(self, at: Address) -> bool:
        kept = self._kept.pop(at, None)
        if kept is None:
            return False
        self._occupied -= block_size(len(kept.data))
        return True

    def _stored(self) -> list[Stored]:
        return [Stored(at, len(kept.data), kept.used_at, "/".join(at)) for at, kept in self._kept.items()]

    def _evict(self) -> list[tuple[Stored, str]]:
        if self._cap is None or self._occupied <= self._cap:
            return []
        latest = self._clock() + CLOCK_SKEW
        # What is dated in the future goes first: it is not used until then.
        listed = [
            stored._replace(used_at=0.0) if self._kept[stored.address].written_at > latest else stored
            for stored in self._stored()
        ]
        chosen = victims(listed, int(self._cap))
        for stored in chosen:
            self._drop(stored.address)
        return [(stored, "evict") for stored in chosen]

    def _sweep_expired(self) -> list[tuple[Stored, str]]:
        now = self._clock()
        if not self._sweeps or (self._next_sweep is not None and now < self._next_sweep):
            return []
        first = self._next_sweep is None
        self._next_sweep = now + (self._interval or 0)
        return [] if first else [(stored, "expire") for stored in self._drop_expired(now, None)]

    def _drop_expired(self, now: float, provider_folder: str | None) -> list[Stored]:
        over = [
            stored
            for stored in self._stored()
            if self._kept[stored.address].expires_at <= now
            and provider_folder in (None, stored.address.provider_folder)
        ]
        for stored in over:
            self._drop(stored.address)
        return over
