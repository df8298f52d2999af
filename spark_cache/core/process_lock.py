"""One call per missing key across processes: who asks the provider holds a lease that names the key.

A lease is a lock on one byte of an empty file; which byte, the key's name says. The kernel keeps the locks: taking one costs a system
call, two keys never wait for each other, and the leases of a process end with it however it ends. A forked child inherits none.
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
"""How long a waiter sleeps before it asks again, in seconds; each time half as long again."""


class KeyLocks:
    """The leases of one cache directory. Safe for threads and processes, and in a forked child.

    Within a process a lease is had by all who ask for it: :class:`spark_cache.core.single_flight.SingleFlight` keeps them apart there.

    Args:
        path: The file that carries the locks; made when the first lease is asked for.
        prepare: Makes the folder of the file ready to be written to.
        on_fault: Told why leases cannot be had.
    """

    def __init__(
        self, path: str, *, prepare: Callable[[], None], on_fault: Callable[[OSError | StoreError], None]
    ) -> None:
        self._path = path
        self._prepare = prepare
        self._on_fault = on_fault
        self._lock = Lock()
        self._fd = -1
        self._held: dict[str, int] = {}

    @property
    def held_count(self) -> int:
        """The number of leases that this process holds."""
        return len(self._held)

    @asynccontextmanager
    async def held(self, name: str, *, timeout_seconds: float) -> AsyncIterator[None]:
        """Hold the lease of a key, as far as it can be had.

        The body runs in any case: without the lease, when another process has not given it back in time, or when the directory
        offers no locks.

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
            left = deadline - monotonic()
            if left <= 0:
                return False
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _acquire(self, name: str) -> bool:
        """Take the lease of a key; whether this process has it now."""
        with self._lock:
            holders = self._held.get(name, 0)
            if not holders:
                self._open()
                try:
                    fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(name))
                except (BlockingIOError, PermissionError):
                    # POSIX leaves it to the system which of the two says that another process has it.
                    return False
            self._held[name] = holders + 1
            return True

    def _release(self, name: str) -> None:
        with self._lock:
            holders = self._held.pop(name, 0) - 1
            if holders > 0:
                self._held[name] = holders
            elif holders == 0 and self._fd >= 0:
                try:
                    fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _place(name))
                except OSError as error:
                    self._on_fault(error)

    def _open(self) -> None:
        """Have the file open: anew when it was deleted, since other processes will meet at a new one."""
        if self._fd >= 0:
            if os.fstat(self._fd).st_nlink:
                return
            # Closing it ends what is held on it, which nobody else can see any more.
            os.close(self._fd)
            self._fd = -1
        try:
            self._fd = os.open(self._path, _FLAGS, 0o600)
        except FileNotFoundError:
            self._prepare()
            self._fd = os.open(self._path, _FLAGS, 0o600)

    def forget(self) -> None:
        """Begin anew in a forked child: it inherits the file, and none of the locks."""
        self._lock = Lock()
        self._held = {}
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _place(name: str) -> int:
    """The byte that stands for a key: two keys meet at one by a chance of 1 to 2^56, and then wait for each other."""
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest(), "big")
