"""What everyone who uses a cache directory shares in one process: store, ledger, running calls, known faults."""

from __future__ import annotations

import logging
import os
import stat
from threading import Lock
from typing import TYPE_CHECKING

from spark_cache import events, stores
from spark_cache._lazy import at_fork
from spark_cache.core.entry_format import ENTRY_FORMAT
from spark_cache.core.single_flight import SingleFlight
from spark_cache.savings import Savings
from spark_cache.stores import HIDDEN, Address, FileStore, failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.config import CacheConfig
    from spark_cache.errors import StoreError
    from spark_cache.events import Sink
    from spark_cache.stores import MemoryStore

__all__ = ["Directory", "open_directory"]

_MEGABYTE = 2**20
_FAULTS_REMEMBERED = 1000
_ON_DISK = frozenset({"read", "write"})


class Directory:
    """One cache directory in this process.

    Args:
        path: The real path of the directory.
        config: The first configuration that opens it.
        suspect: Whether other users can change where the path leads, so that it must not be used.
        clock: Returns the time in seconds since the epoch.
        sink: Receives events.
    """

    def __init__(
        self, path: str, config: CacheConfig, *, suspect: bool, clock: Callable[[], float], sink: Sink
    ) -> None:
        self.path = path
        self.clock = clock
        self._sink = sink
        in_memory = config.store == "memory"
        hidden = None if in_memory else f"{path}/{HIDDEN}"
        self.savings = Savings(hidden, clock=clock)
        self.ledger, self.miss_log = self.savings.ledger, self.savings.miss_log
        self.single_flight = SingleFlight()
        self.store: FileStore | MemoryStore
        if in_memory:
            self.store = stores.MemoryStore(
                clock=clock,
                sweep=not config.commit_entries,
                entry_format=ENTRY_FORMAT,
                on_removed=self._removed,
            )
        else:
            self.store = FileStore(
                path,
                clock=clock,
                commit_entries=config.commit_entries,
                suspect=suspect,
                entry_format=ENTRY_FORMAT,
                on_removed=self._removed,
                on_lease_fault=self._no_leases,
            )
        self.faults: dict[tuple[str, str], str] = {}
        self._faults_lock = Lock()
        at_fork(after_in_child=self.forget)

    def adopt(self, config: CacheConfig) -> None:
        """Apply the bounds of one more configuration; the strictest ones hold."""
        cap = config.max_cache_size_mb
        self.store.require(
            fsync=config.fsync,
            hot_entries=config.hot_entries,
            cap_bytes=None if cap is None else cap * _MEGABYTE,
            cleanup_interval=config.cleanup_interval_seconds,
        )

    def forget(self) -> None:
        """Replace the locks in a forked child: another thread of the parent may have held them."""
        self._faults_lock = Lock()
        self.store.forget()

    def warn_once(self, operation: str, error: str, *, profile: str | None, hint: str | None = None) -> None:
        """Warn that an operation failed, once for each cause until the operation works again.

        Args:
            operation: The operation, such as ``read``.
            error: The cause.
            profile: The name of the profile in force.
            hint: The way out.
        """
        # A cause that prevents reading also prevents writing, and one warning is enough.
        subject = "" if operation in _ON_DISK else operation
        if self.is_new_fault(subject, error, operation) and self._sink.wants(logging.WARNING):
            self._sink.emit(
                events.CacheError(
                    operation=operation, error=error, directory=self.path, profile=profile, hint=hint
                )
            )

    def is_new_fault(self, subject: str, cause: str, until: str) -> bool:
        """Whether a fault has not been reported yet. From now on it counts as reported, until :meth:`clear_fault`.

        Args:
            subject: What failed: an operation, or the name of an entry.
            cause: Why it failed.
            until: The operation or entry whose success clears the fault.
        """
        with self._faults_lock:
            if (subject, cause) in self.faults:
                return False
            if len(self.faults) >= _FAULTS_REMEMBERED:
                self.faults.clear()
            self.faults[subject, cause] = until
            return True

    def clear_fault(self, what: str) -> None:
        """Note that an operation, or the entry of this name, works again, so that its next fault is reported."""
        if self.faults:
            with self._faults_lock:
                self.faults = {fault: until for fault, until in self.faults.items() if until != what}

    def _no_leases(self, error: OSError | StoreError) -> None:
        # Reported as a write fault: what prevents leases usually prevents writing entries too.
        fault = failure("write", error) if isinstance(error, OSError) else error
        self.warn_once("write", fault.cause, profile=None)

    def _removed(self, at: Address, size_bytes: int, why: str) -> None:
        self.ledger.record(why, provider=at.provider_folder, model=at.model_folder, profile=None, keep=True)
        self.miss_log.removed(at.name, why)
        if self._sink.wants(logging.INFO):
            kind = events.CacheEvict if why == "evict" else events.CacheExpire
            self._sink.emit(
                kind(
                    provider=at.provider_folder,
                    model=at.model_folder,
                    key=at.name[:12],
                    size_bytes=size_bytes,
                )
            )


def _is_reached_by_others(path: str) -> bool:
    """Whether another user can change a link on the path to a directory, or the folder it leads to."""
    while path != (above := os.path.dirname(path)):
        if os.path.islink(path):
            try:
                foreign = os.lstat(path).st_uid not in (0, os.geteuid())
                # In a world-writable folder anyone can create the target of the link.
                public = os.stat(os.path.dirname(os.path.realpath(path))).st_mode & stat.S_IWOTH
            except OSError:
                return False
            if foreign or public:
                return True
        path = above
    return False


# Kept for the life of the process: counts, and the entries of a memory store, outlive the model that made them.
# Changed without a lock, which a forked child could inherit locked.
_open: dict[tuple[str, str, bool, int], Directory] = {}


def open_directory(path: str, config: CacheConfig, *, clock: Callable[[], float], sink: Sink) -> Directory:
    """Return the shared state of a directory: the same object for every path that leads to it.

    Args:
        path: The directory, absolute. It may not exist yet.
        config: The configuration of one more user.
        clock: Returns the time in seconds since the epoch. Users with different clocks share nothing.
        sink: Receives events.
    """
    real = os.path.realpath(path)
    suspect = _is_reached_by_others(path)
    name = config.store, real, suspect, id(clock)
    directory = _open.get(name)
    if directory is None:
        # Of two threads that come here, one gets the other's directory. Making one does no I/O.
        made = Directory(real, config, suspect=suspect, clock=clock, sink=sink)
        directory = _open.setdefault(name, made)
    directory.adopt(config)
    return directory
