"""The memory store: entries live as long as the process."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from spark_cache.stores.base import Address, Stored, added_up, block_size, victims
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.stores.base import FolderTotals

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Kept:
    data: bytes
    used_at: float
    expires_at: float


class MemoryStore:
    """Keeps entries in a dictionary. Holds bytes, not objects, so that no caller can change what another one gets.

    Args:
        clock: The time in seconds since the epoch.
        sweep: Whether expired entries are removed in passing; else only who asks for a clean-up gets one.
        ends_at: When the life of an entry with these bytes ends, in seconds since the epoch; infinity for never.
        on_removed: Told of each entry that is evicted or has expired: where it stood, its length, and ``evict`` or ``expire``.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        sweep: bool = True,
        ends_at: Callable[[bytes], float],
        on_removed: Callable[[Address, int, str], None],
    ) -> None:
        self._clock = clock
        self._schedule = sweep
        self._ends_at = ends_at
        self._on_removed = on_removed
        self._kept: dict[Address, _Kept] = {}
        self._occupied = 0
        self._cap: float | None = None
        self._interval: float | None = None
        self._next_sweep: float | None = None
        self._lock = Lock()

    def require(self, *, fsync: bool, cap_bytes: float | None, cleanup_interval: float) -> None:  # noqa: ARG002 - nothing to sync
        """Take on what one of the managers that share the store asks for; the strictest holds."""
        if cap_bytes is not None:
            self._cap = cap_bytes if self._cap is None else min(self._cap, cap_bytes)
        self._interval = cleanup_interval if self._interval is None else min(self._interval, cleanup_interval)

    def forget(self) -> None:
        """Begin with a new lock in a forked child: another thread of the parent may have held the old one."""
        self._lock = Lock()

    def read(self, at: Address, *, note_use: bool) -> bytes | MissReason:
        """The bytes at an address, or that there are none."""
        kept = self._kept.get(at)
        if kept is None:
            return MissReason.ABSENT
        if note_use:
            kept.used_at = self._clock()
        return kept.data

    def write(
        self, at: Address, data: bytes, *, replace: bool = True, expires_at: float | None = None
    ) -> bool:
        """Keep bytes at an address; False when they are larger than the store may be, or may not replace what is there."""
        if self._cap is not None and block_size(len(data)) > self._cap:
            return False
        end = self._ends_at(data) if expires_at is None else expires_at
        with self._lock:
            if at in self._kept and not replace:
                return False
            self._drop(at)
            self._kept[at] = _Kept(data, self._clock(), end)
            self._occupied += block_size(len(data))
            removed = [*self._sweep_expired(), *self._evict()]
        for stored, why in removed:
            self._on_removed(stored.address, stored.size_bytes, why)
        return True

    def remove(self, at: Address) -> bool:
        """Remove what stands at an address; whether there was something."""
        with self._lock:
            return self._drop(at)

    def find(self, name: str) -> list[Address]:
        """Every address with this name."""
        with self._lock:
            return [at for at in self._kept if at.name == name]

    def scan(self, provider_folder: str | None = None, model_folder: str | None = None) -> Iterator[Stored]:
        """Every entry, or those of a provider or of one of its models."""
        with self._lock:
            listed = [Stored(at, len(kept.data), kept.used_at) for at, kept in self._kept.items()]
        for stored in listed:
            if provider_folder in (None, stored.address.provider_folder) and model_folder in (
                None,
                stored.address.model_folder,
            ):
                yield stored

    def totals(self, *, write: bool) -> list[FolderTotals]:  # noqa: ARG002 - nothing is put down
        """What the entries of each model add up to."""
        return added_up(self.scan())

    def expire(self, provider_folder: str | None = None) -> int:
        """Remove every entry whose life is over, or those of a provider; how many there were."""
        with self._lock:
            return len(self._drop_expired(self._clock(), provider_folder))

    def clear(self, provider_folder: str | None = None, model_folder: str | None = None) -> int:
        """Remove every entry, or those of a provider or of one of its models; how many there were."""
        return sum([self.remove(stored.address) for stored in self.scan(provider_folder, model_folder)])

    def _drop(self, at: Address) -> bool:
        kept = self._kept.pop(at, None)
        if kept is None:
            return False
        self._occupied -= block_size(len(kept.data))
        return True

    def _evict(self) -> list[tuple[Stored, str]]:
        if self._cap is None or self._occupied <= self._cap:
            return []
        listed = [Stored(at, len(kept.data), kept.used_at) for at, kept in self._kept.items()]
        chosen = victims(listed, int(self._cap))
        for stored in chosen:
            self._drop(stored.address)
        return [(stored, "evict") for stored in chosen]

    def _sweep_expired(self) -> list[tuple[Stored, str]]:
        now = self._clock()
        if not self._schedule or (self._next_sweep is not None and now < self._next_sweep):
            return []
        first = self._next_sweep is None
        self._next_sweep = now + (self._interval or 0)
        return [] if first else [(stored, "expire") for stored in self._drop_expired(now, None)]

    def _drop_expired(self, now: float, provider_folder: str | None) -> list[Stored]:
        over = [
            Stored(at, len(kept.data), kept.used_at)
            for at, kept in self._kept.items()
            if kept.expires_at <= now and provider_folder in (None, at.provider_folder)
        ]
        for stored in over:
            self._drop(stored.address)
        return over
