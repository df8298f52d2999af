"""The memory store: entries live as long as the process."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from spark_cache.stores.base import Address, Stored
from spark_cache.stores.eviction import block_size, victims
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Kept:
    data: bytes
    used_at: float


class MemoryStore:
    """Keeps entries in a dictionary. Holds bytes, not objects, so that no caller can change what another one gets.

    Args:
        clock: The time in seconds since the epoch.
        expired: Whether an entry's bytes say that its lifetime is over at a time.
        on_removed: Told of each entry that is evicted or has expired: where it stood, its length, and ``evict`` or ``expire``.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        expired: Callable[[bytes, float], bool],
        on_removed: Callable[[Address, int, str], None],
    ) -> None:
        self._clock = clock
        self._expired = expired
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

    def write(self, at: Address, data: bytes, *, replace: bool = True) -> bool:
        """Keep bytes at an address; False when they are larger than the store may be, or may not replace what is there."""
        if self._cap is not None and block_size(len(data)) > self._cap:
            return False
        with self._lock:
            if at in self._kept and not replace:
                return False
            self._drop(at)
            self._kept[at] = _Kept(data, self._clock())
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
        if self._next_sweep is not None and now < self._next_sweep:
            return []
        first = self._next_sweep is None
        self._next_sweep = now + (self._interval or 0)
        if first:
            return []
        old = [at for at, kept in self._kept.items() if self._expired(kept.data, now)]
        listed = [(Stored(at, len(self._kept[at].data), self._kept[at].used_at), "expire") for at in old]
        for at in old:
            self._drop(at)
        return listed
