"""What all managers of one cache directory share: the store, the figures, the calls under way, and which faults were told."""

from __future__ import annotations

import logging
import os
import stat
from math import inf
from threading import Lock
from typing import TYPE_CHECKING

from spark_cache._lazy import at_fork
from spark_cache.core.process_lock import KeyLocks
from spark_cache.core.single_flight import SingleFlight
from spark_cache.entries import describe
from spark_cache.events import CacheError, CacheEvict, CacheExpire
from spark_cache.savings import Ledger, MissLog
from spark_cache.stores import HIDDEN, Address, FileStore, MemoryStore, failure
from spark_cache.types import EntryMeta

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.config import CacheConfig
    from spark_cache.errors import StoreError
    from spark_cache.events import Sink

__all__ = ["Directory", "open_directory"]

_MEGABYTE = 2**20
_FAULTS_REMEMBERED = 1000
_ON_DISK = frozenset({"read", "write"})


class Directory:
    """One cache directory in this process.

    Args:
        path: The real path of the directory.
        config: The configuration it is first opened with.
        suspect: Whether others may have a hand in where it lies, so that it is not used.
        clock: The time in seconds since the epoch.
        sink: Where events go.
    """

    def __init__(
        self, path: str, config: CacheConfig, *, suspect: bool, clock: Callable[[], float], sink: Sink
    ) -> None:
        self.path = path
        self.clock = clock
        self._sink = sink
        in_memory = config.store == "memory"
        hidden = None if in_memory else f"{path}/{HIDDEN}"
        self.ledger = Ledger(hidden, clock=clock)
        self.miss_log = MissLog(hidden, clock=clock)
        self.single_flight = SingleFlight()
        self.store: FileStore | MemoryStore
        if in_memory:
            self.store = MemoryStore(
                clock=clock, sweep=not config.commit_entries, ends_at=_end_of_life, on_removed=self._removed
            )
        else:
            self.store = FileStore(
                path,
                clock=clock,
                commit_entries=config.commit_entries,
                suspect=suspect,
                ends_at=_end_of_life,
                on_removed=self._removed,
            )
        self.key_locks = (
            None
            if isinstance(self.store, MemoryStore)
            else KeyLocks(f"{path}/{HIDDEN}/leases", prepare=self.store.prepare, on_fault=self._no_key_locks)
        )
        self._told: dict[tuple[str, str], str] = {}
        self._told_lock = Lock()
        at_fork(after_in_child=self.forget)

    def adopt(self, config: CacheConfig) -> None:
        """Take on the bounds that one more configuration asks for."""
        cap = config.max_cache_size_mb
        self.store.require(
            fsync=config.fsync,
            cap_bytes=None if cap is None else cap * _MEGABYTE,
            cleanup_interval=config.cleanup_interval_seconds,
        )

    def forget(self) -> None:
        """Begin with new locks in a forked child: another thread of the parent may have held the old ones."""
        global _open_lock  # noqa: PLW0603 - the lock of the registry below is one of them
        _open_lock = Lock()
        self._told_lock = Lock()
        self.store.forget()
        if self.key_locks is not None:
            self.key_locks.forget()

    def tell(self, operation: str, error: str, *, profile: str | None, hint: str | None = None) -> None:
        """Warn of a fault: once for each cause, until the operation that met it works again."""
        # What keeps a directory from being read keeps it from being written, and need not be said twice.
        subject = "" if operation in _ON_DISK else operation
        if self.is_new_fault(subject, error, operation) and self._sink.wants(logging.WARNING):
            self._sink.emit(
                CacheError(operation=operation, error=error, directory=self.path, profile=profile, hint=hint)
            )

    def is_new_fault(self, subject: str, cause: str, until: str) -> bool:
        """Whether a cause was not yet told of a subject; it counts as told until an operation, or an entry, recovers."""
        with self._told_lock:
            if (subject, cause) in self._told:
                return False
            if len(self._told) >= _FAULTS_REMEMBERED:
                self._told.clear()
            self._told[subject, cause] = until
            return True

    def clear_fault(self, what: str) -> None:
        """Note that an operation worked, or that an entry of this name is whole, so that its next fault is told again."""
        if self._told:
            with self._told_lock:
                self._told = {told: until for told, until in self._told.items() if until != what}

    def _no_key_locks(self, error: OSError | StoreError) -> None:
        # As a fault of writing: what keeps leases away keeps entries away too, most of the time.
        told = failure("write", error) if isinstance(error, OSError) else error
        self.tell("write", told.cause, profile=None)

    def _removed(self, at: Address, size_bytes: int, why: str) -> None:
        self.ledger.record(why, provider=at.provider_folder, model=at.model_folder, profile=None, keep=True)
        self.miss_log.removed(at.name, why)
        if self._sink.wants(logging.INFO):
            kind = CacheEvict if why == "evict" else CacheExpire
            self._sink.emit(
                kind(
                    provider=at.provider_folder,
                    model=at.model_folder,
                    key=at.name[:12],
                    size_bytes=size_bytes,
                )
            )


def _is_reached_by_others(path: str) -> bool:
    """Whether somebody else has a hand in a link on the way to a directory, or in what that link leads to."""
    while path != (above := os.path.dirname(path)):
        if os.path.islink(path):
            try:
                foreign = os.lstat(path).st_uid not in (0, os.geteuid())
                # Every user of the machine may make something there, such as what the link leads to.
                public = os.stat(os.path.dirname(os.path.realpath(path))).st_mode & stat.S_IWOTH
            except OSError:
                return False
            if foreign or public:
                return True
        path = above
    return False


def _end_of_life(data: bytes) -> float:
    """When an entry's own lifetime is over, in seconds since the epoch; never, for what is no entry."""
    described = describe(data, "")
    if not isinstance(described, EntryMeta) or described.ttl is None:
        return inf
    return described.timestamp + described.ttl


# Kept as long as the process: its figures, and the entries of a memory store, outlive the model that made them.
_open: dict[tuple[str, str, bool, int], Directory] = {}
_open_lock = Lock()


def open_directory(path: str, config: CacheConfig, *, clock: Callable[[], float], sink: Sink) -> Directory:
    """The shared state of a directory: the same object for everybody who names the same real directory.

    Args:
        path: The directory, absolute; it need not exist.
        config: What one more manager asks for.
        clock: The time in seconds since the epoch; managers with different clocks share nothing.
        sink: Where events go.
    """
    real = os.path.realpath(path)
    suspect = _is_reached_by_others(path)
    name = config.store, real, suspect, id(clock)
    with _open_lock:
        directory = _open.get(name)
        if directory is None:
            directory = _open[name] = Directory(real, config, suspect=suspect, clock=clock, sink=sink)
    directory.adopt(config)
    return directory
