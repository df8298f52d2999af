"""One call per missing key across processes: a process that calls the provider holds a lease for the key.

A lease is a small file, the record: its name is that of the key's entry, and its content names the holder. As long as a process has
leases it keeps a locked file, the proof that it is alive. The kernel unlocks the file when the process ends, for whatever reason.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from threading import Lock, Timer
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.errors import StoreError
from spark_cache.stores.layout import ORPHAN_AGE
from spark_cache.stores.lease_records import Holder, Record, remove_leftovers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["FileLeases"]

_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05
"""The pauses between two looks of a waiter, in seconds. Each pause is half as long again as the one before."""

_CHECK_SECONDS = 0.5
"""How often a process checks that the event loops of its calls still run."""

_ATTEMPTS = 3
"""How often to try again after the record of a dead process."""


class _Lease(NamedTuple):
    """A lease of this process, and the event loop of the call that has it."""

    record: Record
    loop: asyncio.AbstractEventLoop


class FileLeases:
    """The leases of one cache directory. Safe for threads and processes, and in a forked child.

    Within a process, a lease does not exclude other callers: :class:`spark_cache.core.single_flight.SingleFlight` does that.

    Args:
        folder: The folder of the records.
        prepare: Creates the folder, and refuses it if it belongs to another user.
        clock: Returns the time in seconds since the epoch.
        on_fault: Called with the reason when a lease cannot be taken or released.
    """

    def __init__(
        self,
        folder: str,
        *,
        prepare: Callable[[], None],
        clock: Callable[[], float],
        on_fault: Callable[[OSError | StoreError], None],
    ) -> None:
        self._folder = folder
        self._prepare = prepare
        self._clock = clock
        self._on_fault = on_fault
        self._holder = Holder(folder)
        self._lock = Lock()
        self._held: dict[str, _Lease] = {}
        self._timer: Timer | None = None
        self._is_ready = False

    @property
    def held_count(self) -> int:
        """The number of leases that this process holds."""
        return len(self._held)

    @asynccontextmanager
    async def held(self, name: str, *, timeout_seconds: float) -> AsyncIterator[bool]:
        """Hold the lease for a key while the body runs, or first wait for the process that holds it.

        The body runs in any case. After a wait it runs without the lease, side by side with the others who waited. It also
        runs without one if the directory has no leases.

        Args:
            name: The name of the key's entry.
            timeout_seconds: How long to wait for another process, in seconds.

        Yields:
            Whether it waited.
        """
        taken = self._take(name)
        if isinstance(taken, Record):
            await _until_gone(taken, timeout_seconds)
            yield True
            return
        try:
            yield False
        finally:
            if taken is not None:
                self._release(name, taken)

    def _take(self, name: str) -> _Lease | Record | None:
        """Return a new lease, or the record of the process to wait for; None if there is neither."""
        try:
            for _ in range(_ATTEMPTS):
                taken = self._try_take(name)
                if not isinstance(taken, Record) or not taken.is_gone():
                    return taken
        except (OSError, StoreError) as error:
            self._on_fault(error)
        return None

    def _try_take(self, name: str) -> _Lease | Record | None:
        loop = asyncio.get_running_loop()
        record = Record(self._folder, name)
        with self._lock:
            if name in self._held:
                return None
            if not self._is_ready:
                self._prepare()
                remove_leftovers(self._folder, self._clock() - ORPHAN_AGE)
                self._is_ready = True
            try:
                is_new = record.write(self._holder.sign())
            except FileNotFoundError:
                # The directory was deleted while the program runs.
                self._prepare()
                is_new = record.write(self._holder.sign())
            if not is_new:
                self._retire()
                return record
            lease = self._held[name] = _Lease(record, loop)
            if self._timer is None:
                self._timer = self._start_timer()
            return lease

    def _release(self, name: str, lease: _Lease) -> None:
        with self._lock:
            # A lease whose event loop stopped was released before.
            if self._held.get(name) is lease:
                self._drop(name)

    def _drop(self, name: str) -> None:
        """Release a lease. The caller holds the lock."""
        lease = self._held.pop(name)
        try:
            lease.record.remove()
            self._retire()
        except OSError as error:
            self._on_fault(error)

    def _retire(self) -> None:
        if not self._held:
            self._holder.retire()

    def _start_timer(self) -> Timer | None:
        timer = Timer(_CHECK_SECONDS, self._check)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:
            # The system has no more threads, or the interpreter is shutting down.
            return None
        return timer

    def _check(self) -> None:
        """Release the leases whose event loops have stopped: nothing continues their calls."""
        with self._lock:
            for name in [name for name, lease in self._held.items() if not lease.loop.is_running()]:
                self._drop(name)
            self._timer = self._start_timer() if self._held else None

    def forget(self) -> None:
        """Start again without leases in a forked child."""
        self._lock = Lock()
        self._held = {}
        self._timer = None
        self._holder.disown()


async def _until_gone(record: Record, timeout_seconds: float) -> None:
    deadline = monotonic() + timeout_seconds
    pause = _FIRST_PAUSE
    while (remaining := deadline - monotonic()) > 0:
        await asyncio.sleep(min(pause, remaining))
        if record.is_gone():
            return
        pause = min(pause * 1.5, _LONGEST_PAUSE)
