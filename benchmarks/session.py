"""The operations that are timed inside the process of a contender."""

from __future__ import annotations

import random
import time
from itertools import count
from threading import Barrier, Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import make
from benchmarks.contenders.base import Keeper, MissError
from benchmarks.workload import SHAPES, answer, numbered, shaped

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Session"]

_CHUNKS = {"small": 50, "messages": 10, "image": 4}
"""How many calls are timed together; requests are prepared between chunks and not timed."""

_PER_THREAD = 50
_FIRST_NEW = 10**8
_LAST_NEW = 10**12
"""The range from which a session draws the first number of its new requests, so that sessions do not collide."""


class Session:
    """A contender with its directory and its stored requests.

    Args:
        name: The name of the contender.
        directory: The directory of its entries.
        cap_bytes: The size cap, in bytes; None for no cap.
    """

    def __init__(self, name: str, directory: str, cap_bytes: int | None = None) -> None:
        self._contender = make(name, directory, cap_bytes)
        self._random = random.Random(1)
        self._new = count(random.SystemRandom().randrange(_FIRST_NEW, _LAST_NEW))
        self._stored: list[Any] = []
        self._shaped = {shape: self._contender.prepare(shaped(shape)) for shape in SHAPES}

    # -- entries ----------------------------------------------------------------------------------

    def fill(self, entries: int) -> None:
        """Store numbered requests.

        Args:
            entries: How many.
        """
        self._contender.fill(map(numbered, range(entries)))

    def remember(self, entries: int) -> None:
        """Prepare a sample of the stored requests, and check that they are hits.

        Args:
            entries: The number of stored requests.
        """
        chosen = self._random.sample(range(entries), min(entries, 20_000))
        self._stored = [self._contender.prepare(numbered(number)) for number in chosen]
        for prepared in self._stored[:100]:
            self._check(prepared)

    def store_shapes(self) -> None:
        """Store one request of each shape, and check that it is a hit."""
        for prepared in self._shaped.values():
            self._contender.put(prepared)
            self._check(prepared)

    def _check(self, prepared: Any) -> None:
        found = self._contender.get(prepared)
        if found is None or self._contender.text(found) != answer()["content"]:
            raise MissError("it does not return what was stored")

    # -- sequential calls: seconds per call -------------------------------------------------------

    def time_repeated(self, shape: str, seconds: float) -> float:
        """Measure hits of the same request, passed as the same objects.

        Args:
            shape: The shape of the request.
            seconds: The duration of the measurement.
        """
        prepared = self._shaped[shape]
        return self._time_gets(lambda: [prepared] * _CHUNKS[shape], seconds)

    def time_fresh(self, shape: str, seconds: float) -> float:
        """Measure hits of an equal request, passed as new objects each time.

        Args:
            shape: The shape of the request.
            seconds: The duration of the measurement.
        """
        prepare = self._contender.prepare
        return self._time_gets(lambda: [prepare(shaped(shape)) for _ in range(_CHUNKS[shape])], seconds)

    def time_random(self, among: int, seconds: float) -> float:
        """Measure hits of random stored requests.

        Args:
            among: The number of requests from which they are chosen.
            seconds: The duration of the measurement.
        """
        stored = self._stored[:among]
        return self._time_gets(lambda: self._random.choices(stored, k=_CHUNKS["small"]), seconds)

    def time_puts(self, shape: str, seconds: float) -> float:
        """Measure puts of new requests.

        Args:
            shape: The shape of the requests.
            seconds: The duration of the measurement.
        """
        spent, calls = 0.0, 0
        while spent < seconds:
            chunk = [self._new_request(shape) for _ in range(_CHUNKS[shape])]
            started = perf_counter()
            for prepared in chunk:
                self._contender.put(prepared)
            spent += perf_counter() - started
            calls += len(chunk)
        return spent / calls

    def _time_gets(self, requests: Callable[[], list[Any]], seconds: float) -> float:
        spent, calls = 0.0, 0
        while spent < seconds:
            chunk = requests()
            spent += self._contender.time_gets(chunk)
            calls += len(chunk)
        return spent / calls

    def _new_request(self, shape: str) -> Any:
        request = numbered(next(self._new))
        if shape != "small":
            request["messages"] = [*request["messages"], *shaped(shape)["messages"]]
        return self._contender.prepare(request)

    # -- many threads -----------------------------------------------------------------------------

    def time_threads(self, threads: int, among: int, seconds: float) -> float:
        """Measure hits of random stored requests by several threads, and return the elapsed time per hit of all threads.

        Args:
            threads: The number of threads.
            among: The number of requests from which they are chosen.
            seconds: The duration of the measurement.
        """
        stored = self._stored[:among]
        calls = [0] * threads
        failures: list[BaseException] = []
        start = Barrier(threads + 1)

        def run(index: int) -> None:
            chosen = random.Random(index)
            start.wait()
            deadline = perf_counter() + seconds
            try:
                while perf_counter() < deadline:
                    self._contender.time_gets(chosen.choices(stored, k=_PER_THREAD))
                    calls[index] += _PER_THREAD
            except Exception as error:  # noqa: BLE001 - raised again in the calling thread
                failures.append(error)

        running = [Thread(target=run, args=(index,)) for index in range(threads)]
        for thread in running:
            thread.start()
        start.wait()
        started = perf_counter()
        for thread in running:
            thread.join()
        spent = perf_counter() - started
        if failures:
            raise failures[0]
        return spent / sum(calls)

    # -- as the cache grows -----------------------------------------------------------------------

    def time_count(self) -> float:
        """Return the time of one count of all entries, in seconds."""
        started = perf_counter()
        self._keeper.count()
        return perf_counter() - started

    def time_clean_up(self, entries: int) -> float:
        """Return the time of removing expired entries from among the others, in seconds per entry.

        Args:
            entries: The number of expired entries.
        """
        for _ in range(entries):
            self._keeper.put_expiring(self._new_request("small"))
        time.sleep(0.02)
        started = perf_counter()
        removed = self._keeper.clean_up()
        spent = perf_counter() - started
        if removed != entries:
            raise RuntimeError(f"it removed {removed} entries, but {entries} had expired")
        return spent / entries

    def each_put(self, puts: int) -> list[float]:
        """Return the time of each of several puts, in seconds.

        Args:
            puts: The number of puts.
        """
        spent = []
        for _ in range(puts):
            prepared = self._new_request("small")
            started = perf_counter()
            self._contender.put(prepared)
            spent.append(perf_counter() - started)
        return spent

    def size_bytes(self) -> int:
        """Return the size of the cache by its own account, in bytes."""
        return self._keeper.size_bytes()

    @property
    def _keeper(self) -> Keeper:
        if not isinstance(self._contender, Keeper):
            raise TypeError("it does not count or expire entries")
        return self._contender
