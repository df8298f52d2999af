"""What is timed inside a contender's process."""

from __future__ import annotations

import random
import time
from itertools import count
from threading import Barrier, Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import make
from benchmarks.contenders.base import Keeper, MissError
from benchmarks.workload import SECRET_PATTERNS, answer, numbered, shaped

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Session"]

_CHUNKS = {"small": 50, "messages": 10, "image": 4}
"""How many calls are timed together; requests are made ready between chunks, off the clock."""

_PER_THREAD = 50
_FIRST_NEW = 10**8
_LAST_NEW = 10**12
"""Between these a session begins to number the requests that nobody has stored yet, each session somewhere else."""


class Session:
    """A contender with its directory, and the requests it has stored.

    Args:
        name: The contender's name.
        directory: Where it keeps its entries.
        cap_bytes: How large it may grow; None is without limit.
    """

    def __init__(self, name: str, directory: str, cap_bytes: int | None) -> None:
        self._contender = make(name, directory, cap_bytes)
        self._random = random.Random(1)
        self._new = count(random.SystemRandom().randrange(_FIRST_NEW, _LAST_NEW))
        self._stored: list[Any] = []
        self._shaped = {shape: self._contender.prepare(shaped(shape)) for shape in SECRET_PATTERNS}

    # -- entries ----------------------------------------------------------------------------------

    def fill(self, entries: int) -> None:
        """Store that many numbered requests."""
        self._contender.fill(map(numbered, range(entries)))

    def remember(self, entries: int) -> None:
        """Make ready a sample of the numbered requests that are stored, and check that they are answered."""
        chosen = self._random.sample(range(entries), min(entries, 20_000))
        self._stored = [self._contender.prepare(numbered(number)) for number in chosen]
        for prepared in self._stored[:100]:
            self._check(prepared)

    def store_shapes(self) -> None:
        """Store one request of each shape, and check that it is answered."""
        for prepared in self._shaped.values():
            self._contender.put(prepared)
            self._check(prepared)

    def _check(self, prepared: Any) -> None:
        found = self._contender.get(prepared)
        if found is None or self._contender.text(found) != answer()["content"]:
            raise MissError("it does not answer what was stored")

    # -- one call after another: seconds for each -------------------------------------------------

    def time_repeated(self, shape: str, seconds: float) -> float:
        """Hits of the same request, given as the same objects."""
        prepared = self._shaped[shape]
        return self._time_gets(lambda: [prepared] * _CHUNKS[shape], seconds)

    def time_fresh(self, shape: str, seconds: float) -> float:
        """Hits of an equal request, given as new objects each time."""
        prepare = self._contender.prepare
        return self._time_gets(lambda: [prepare(shaped(shape)) for _ in range(_CHUNKS[shape])], seconds)

    def time_random(self, seconds: float) -> float:
        """Hits of stored requests at random."""
        return self._time_gets(lambda: self._random.choices(self._stored, k=_CHUNKS["small"]), seconds)

    def time_puts(self, shape: str, seconds: float) -> float:
        """Stores of requests that were not stored before."""
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

    def time_threads(self, threads: int, seconds: float) -> float:
        """Hits of stored requests at random by several threads: the time that passes for each, over all of them."""
        calls = [0] * threads
        failures: list[BaseException] = []
        start = Barrier(threads + 1)

        def run(place: int) -> None:
            chosen = random.Random(place)
            start.wait()
            deadline = perf_counter() + seconds
            try:
                while perf_counter() < deadline:
                    self._contender.time_gets(chosen.choices(self._stored, k=_PER_THREAD))
                    calls[place] += _PER_THREAD
            except Exception as error:  # noqa: BLE001 - raised again in the thread that asked
                failures.append(error)

        running = [Thread(target=run, args=(place,)) for place in range(threads)]
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
        """One count of all entries, in seconds."""
        started = perf_counter()
        self._keeper.count()
        return perf_counter() - started

    def time_clean_up(self, entries: int) -> float:
        """Removing that many expired entries from among the rest, in seconds for each."""
        for _ in range(entries):
            self._keeper.put_expiring(self._new_request("small"))
        time.sleep(0.02)
        started = perf_counter()
        removed = self._keeper.clean_up()
        spent = perf_counter() - started
        if removed != entries:
            raise RuntimeError(f"it removed {removed} entries, and {entries} had expired")
        return spent / entries

    def each_put(self, puts: int) -> list[float]:
        """The time of every single one of that many puts, in seconds."""
        spent = []
        for _ in range(puts):
            prepared = self._new_request("small")
            started = perf_counter()
            self._contender.put(prepared)
            spent.append(perf_counter() - started)
        return spent

    def size_bytes(self) -> int:
        """How large the cache takes itself to be."""
        return self._keeper.size_bytes()

    @property
    def _keeper(self) -> Keeper:
        if not isinstance(self._contender, Keeper):
            raise TypeError("it neither counts nor expires")
        return self._contender
