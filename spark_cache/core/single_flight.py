"""One call per missing key: equal requests that arrive at the same time share one call to the provider."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from spark_cache._lazy import at_fork

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

__all__ = ["Flight", "SingleFlight"]

Key = TypeVar("Key", bound="Hashable")
Result = TypeVar("Result")

_CHECK_SECONDS = 0.05
"""How often a waiter checks that the event loop of a call still runs."""


class _Waiter(NamedTuple):
    """A caller that waits for a call: its client and its event loop."""

    client: object
    loop: asyncio.AbstractEventLoop


class Flight:
    """A running call for some keys, made by a client in an event loop.

    Attributes:
        needs_lease: Whether other processes should wait for it. A caller that waited in vain makes its own call at once.
    """

    __slots__ = (
        "client",
        "error",
        "joined",
        "keys",
        "loop",
        "needs_lease",
        "results",
        "started_at",
        "task",
        "waiters",
    )

    def __init__(
        self,
        keys: list[Any],
        client: object,
        loop: asyncio.AbstractEventLoop,
        *,
        needs_lease: bool,
    ) -> None:
        self.keys = keys
        self.client = client
        self.loop = loop
        self.needs_lease = needs_lease
        self.task: asyncio.Task[Any] | None = None
        self.waiters: dict[asyncio.Future[None], _Waiter] = {}
        self.joined = 0
        self.started_at: float | None = None
        self.results: Mapping[Any, Any] | None = None
        self.error: BaseException | None = None

    @property
    def is_dead(self) -> bool:
        """Whether nothing continues the call, because its event loop was stopped or closed."""
        return not self.loop.is_running()

    def mark_started(self) -> None:
        """Note that the request is sent now, after any wait for another process."""
        self.started_at = monotonic()

    def remaining(self, arrived_at: float, timeout_seconds: float) -> float:
        """Return how long a caller still waits for the call, in seconds."""
        # The call may first wait just as long for another process. Do not give up before it does.
        deadline = (
            arrived_at + 2 * timeout_seconds
            if self.started_at is None
            else max(arrived_at, self.started_at) + timeout_seconds
        )
        return deadline - monotonic()


class SingleFlight:
    """The running calls, by key. Safe for tasks and threads. A forked child starts with none."""

    def __init__(self) -> None:
        self._lock = Lock()
        # A call for all clients has no client in its name. The calls of one client, after a shared one failed, have.
        self._flights: dict[tuple[Hashable, object], Flight] = {}
        at_fork(after_in_child=self.forget)

    @property
    def running_count(self) -> int:
        """The number of keys for which a call is running."""
        return len(self._flights)

    async def share(
        self,
        keys: Sequence[Key],
        call: Callable[[Flight, Sequence[Key]], Awaitable[Mapping[Key, Result]]],
        *,
        client: object,
        timeout_seconds: float,
    ) -> tuple[dict[Key, Result], bool]:
        """Make a call for some keys, except for those for which an equal call is running: wait for its results.

        Cancelling a waiter does not cancel a call while others wait for it; cancelling the last waiter does. An exception is
        raised for every waiter of the client that made the call. The other clients make their own calls then, side by side.

        Args:
            keys: The keys, without duplicates.
            call: Makes the call for some of the keys, and returns a result for each of them.
            client: The client that makes the call.
            timeout_seconds: How long to wait for another caller's call, in seconds, before making a separate call. The limit is
                twice as long for a call that is not marked as started.

        Returns:
            A result for each key, and whether other callers got some of them too.
        """
        return await self._share(keys, call, client, timeout_seconds, None)

    async def _share(
        self,
        keys: Sequence[Key],
        call: Callable[[Flight, Sequence[Key]], Awaitable[Mapping[Key, Result]]],
        client: object,
        timeout_seconds: float,
        owner: object,
    ) -> tuple[dict[Key, Result], bool]:
        """Do what :meth:`share` does, among all clients (None) or those of one owner."""
        loop = asyncio.get_running_loop()
        arrived_at = monotonic()
        own, joined = self._join(keys, _Waiter(client, loop), owner)
        results: dict[Key, Result] = {}
        late: list[Key] = []
        lost: list[Key] = []
        is_shared = False
        try:
            if own is not None:
                # Not under the lock: an eager task starts to run here.
                own.task = loop.create_task(_run(call, own))
                # A callback, because a task that is cancelled before its first step runs none of its code.
                own.task.add_done_callback(partial(self._finish, own, owner))
            for flight, (finished, wanted) in joined.items():
                if flight is own:
                    await finished
                else:
                    await _wait(finished, flight, arrived_at, timeout_seconds)
                if not finished.done():
                    # Later callers must not wait for this call as well.
                    self._remove(flight, owner)
                    (lost if flight.is_dead else late).extend(wanted)
                elif flight.results is not None:
                    results |= {key: flight.results[key] for key in wanted}
                    is_shared = is_shared or flight.joined > 1
                elif flight is own or (flight.client is client and isinstance(flight.error, Exception)):
                    raise flight.error or asyncio.CancelledError
                else:
                    lost += wanted
        finally:
            for flight, (finished, _) in joined.items():
                self._leave(flight, finished)
        if late:
            results |= await call(Flight(late, client, loop, needs_lease=False), late)
        if lost:
            more, also_shared = await self._share(lost, call, client, timeout_seconds, client)
            return results | more, is_shared or also_shared
        return results, is_shared

    def release_others(self, flight: Flight) -> None:
        """Let the waiters of other clients make their own calls: another process, for which all of them waited, has failed.

        Args:
            flight: The call that they wait for.
        """
        with self._lock:
            others = [
                (finished, waiter.loop)
                for finished, waiter in flight.waiters.items()
                if waiter.client is not flight.client
            ]
        _wake_all(others, flight.loop)

    def _join(
        self, keys: Sequence[Key], waiter: _Waiter, owner: object
    ) -> tuple[Flight | None, dict[Flight, tuple[asyncio.Future[None], list[Key]]]]:
        """Wait for the running calls for some keys, and register a new one for the others.

        Returns:
            The new call, if there is one; and for each call a future that ends with it and the keys to wait for.
        """
        own: Flight | None = None
        joined: dict[Flight, tuple[asyncio.Future[None], list[Key]]] = {}
        with self._lock:
            for key in keys:
                flight = self._flights.get((key, owner))
                if flight is None or flight.is_dead:
                    if own is None:
                        own = Flight([], waiter.client, waiter.loop, needs_lease=owner is None)
                    own.keys.append(key)
                    flight = self._flights[key, owner] = own
                if flight not in joined:
                    finished: asyncio.Future[None] = waiter.loop.create_future()
                    flight.waiters[finished] = waiter
                    flight.joined += 1
                    joined[flight] = finished, []
                joined[flight][1].append(key)
        return own, joined

    def _finish(self, flight: Flight, owner: object, task: asyncio.Task[Mapping[Any, Any]]) -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        # Removed before its waiters wake up: a caller that arrives now finds the response in the cache.
        self._remove(flight, owner)
        with self._lock:
            flight.error = error
            flight.results = None if error is not None else task.result()
            waiters = [(finished, waiter.loop) for finished, waiter in flight.waiters.items()]
        _wake_all(waiters, flight.loop)

    def _remove(self, flight: Flight, owner: object) -> None:
        with self._lock:
            for key in flight.keys:
                if self._flights.get((key, owner)) is flight:
                    del self._flights[key, owner]

    def _leave(self, flight: Flight, finished: asyncio.Future[None]) -> None:
        """Remove a waiter, and cancel the call if no waiter is left."""
        with self._lock:
            del flight.waiters[finished]
            is_running = flight.results is None and flight.error is None
            abandoned = is_running and not flight.waiters
        if abandoned and flight.task is not None:
            # The loop is closed if the call has ended with it.
            with suppress(RuntimeError):
                flight.loop.call_soon_threadsafe(flight.task.cancel)

    def forget(self) -> None:
        """Start again in a forked child: the running calls belong to the parent, and its lock may have been held."""
        self._lock = Lock()
        self._flights = {}


async def _run(
    call: Callable[[Flight, Sequence[Key]], Awaitable[Mapping[Key, Result]]], flight: Flight
) -> Mapping[Key, Result]:
    return await call(flight, flight.keys)


async def _wait(
    finished: asyncio.Future[None], flight: Flight, arrived_at: float, timeout_seconds: float
) -> None:
    """Wait until a call of another caller has finished or released this one, is dead, or takes too long."""
    while not finished.done() and not flight.is_dead:
        remaining = flight.remaining(arrived_at, timeout_seconds)
        if remaining <= 0:
            return
        is_foreign = flight.loop is not finished.get_loop()
        await asyncio.wait((finished,), timeout=min(remaining, _CHECK_SECONDS) if is_foreign else remaining)


def _wake_all(
    waiters: Sequence[tuple[asyncio.Future[None], asyncio.AbstractEventLoop]],
    running: asyncio.AbstractEventLoop,
) -> None:
    for finished, loop in waiters:
        if loop is running:
            _wake(finished)
            continue
        # The loop is closed if its waiter no longer exists.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_wake, finished)


def _wake(finished: asyncio.Future[None]) -> None:
    if not finished.done():
        finished.set_result(None)
