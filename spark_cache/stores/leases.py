"""One call per missing key across processes: a process that calls the provider holds a lease for the key.

A lease is a lock on one byte of an empty file. The name of the key's entry determines the byte. The kernel keeps the locks: taking one
costs a system call, and keys do not wait for each other. The leases of a process end when the process ends, for whatever reason. A forked
child inherits none.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import asynccontextmanager
from hashlib import blake2b
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["KeyLocks"]

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW

_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05
"""The pauses between two attempts of a waiter, in seconds. Each pause is half as long again as the one before."""


class KeyLocks:
    """The leases of one cache directory. Safe for threads and processes, and in a forked child.

    Within a process, a lease does not exclude other callers: :class:`spark_cache.core.single_flight.SingleFlight` does that.

    Args:
        path: The file that carries the locks. It is created when the first lease is taken.
        prepare: Creates the folder of the file and makes it writable.
        on_fault: Called with the reason when a lease cannot be taken or released.
    """

    def __init__(
        self, path: str, *, prepare: Callable[[], None], on_fault: Callable[[OSError | StoreError], None]
    ) -> None:
        self._path = path
        self._prepare = prepare
        self._on_fault = on_fault
        self._lock = Lock()
        self._fd = -1
        self._holders: dict[str, int] = {}

    @property
    def held_count(self) -> int:
        """The number of leases that this process holds."""
        return len(self._holders)

    @asynccontextmanager
    async def held(self, name: str, *, timeout_seconds: float) -> AsyncIterator[None]:
        """Hold the lease for a key while the body runs.

        The body runs in any case. It runs without the lease if another process does not release it in time, or if the
        directory does not support locks.

        Args:
            name: The name of the key's entry.
            timeout_seconds: How long to wait for another process, in seconds.
        """
        acquired = await self._acquire_within(name, timeout_seconds)
        try:
            yield
        finally:
            if acquired:
                self._release(name)

    async def _acquire_within(self, name: str, timeout_seconds: float) -> bool:
        deadline = monotonic() + timeout_seconds
        pause = _FIRST_PAUSE
        while True:
            try:
                if self._acquire(name):
                    return True
            except (OSError, StoreError) as error:
                self._on_fault(error)
                return False
            remaining = deadline - monotonic()
            if remaining <= 0:
                return False
            await asyncio.sleep(min(pause, remaining))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _acquire(self, name: str) -> bool:
        """Take the lease for a key and return whether this process now holds it."""
        with self._lock:
            holders = self._holders.get(name, 0)
            if not holders:
                self._open()
                try:
                    fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _lock_offset(name))
                except (BlockingIOError, PermissionError):
                    # Another process holds the lease. POSIX allows either error.
                    return False
            self._holders[name] = holders + 1
            return True

    def _release(self, name: str) -> None:
        with self._lock:
            holders = self._holders.pop(name, 0) - 1
            if holders > 0:
                self._holders[name] = holders
            elif holders == 0 and self._fd >= 0:
                try:
                    fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _lock_offset(name))
                except OSError as error:
                    self._on_fault(error)

    def _open(self) -> None:
        """Open the file, and open it again if it was deleted: other processes will lock a new one."""
        if self._fd >= 0:
            if os.fstat(self._fd).st_nlink:
                return
            # Closing the file releases its locks. No other process can see them any more.
            os.close(self._fd)
            self._fd = -1
        try:
            self._fd = os.open(self._path, _FLAGS, 0o600)
        except FileNotFoundError:
            self._prepare()
            self._fd = os.open(self._path, _FLAGS, 0o600)

    def forget(self) -> None:
        """Start again without leases in a forked child, which inherits the file but none of its locks."""
        self._lock = Lock()
        self._holders = {}
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _lock_offset(name: str) -> int:
    """Return the byte that represents a key. Two keys share a byte with a probability of 1 in 2^56, and then wait for each other."""
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest(), "big")
