"""Measure hits, puts, counts, cleanup and puts at the size cap as a cache grows."""

from __future__ import annotations

import os
from contextlib import ExitStack
from statistics import fmean
from typing import TYPE_CHECKING, Any

from benchmarks.calls import ALL
from benchmarks.contenders import CONTENDERS, UPSERT
from benchmarks.results import CapRun, Growth, Series
from benchmarks.worker import NotMeasuredError, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.plan import Plan
    from benchmarks.results import Results

__all__ = ["FIGURES", "measure_growth"]

FIGURES = {
    "hit": "hit, random",
    "put": "put",
    "count": "count all entries",
    "clean-up": "cleanup, per expired entry",
}
"""The names of the figures, and their titles in the tables."""

_UNDISTURBED = ("hit", "count", "put")
_DISTURBING = ("clean-up",)
"""Measured after all puts, because removing many files slows the creation of others for a while."""

_MEASURED = {
    "limit": ("hit", "put", "count", "clean-up"),
    UPSERT: ("put",),
    "spark": ("hit", "put", "count", "clean-up"),
    "diskcache": ("hit", "put", "count", "clean-up"),
}
_CAPPED = ("limit", "spark", "diskcache")
_WITHOUT_CAP = "limit"

_PUTS = 200
_PUT_SHARE = 40
"""A round puts at most one entry for every forty stored, so that the size of the cache stays about the same."""


def measure_growth(plan: Plan, directory: str, results: Results, say: Callable[[str], None]) -> None:
    """Measure the caches at each size of the plan, one size after another.

    Args:
        plan: The plan of the run.
        directory: The directory of the caches.
        results: The results to add to.
        say: Called with progress messages.
    """
    for entries in sorted({*plan.sizes, *plan.sizes_without_peers}):
        names = [name for name in _MEASURED if name != "diskcache" or entries in plan.sizes]
        say(f"growth: storing {entries:,} entries in each cache")
        _Size(entries, f"{directory}/growth-{entries}", plan, results, say).measure(names)


class _Size:
    """The measurements at one number of entries; a contender that fails is skipped from then on."""

    def __init__(
        self, entries: int, directory: str, plan: Plan, results: Results, say: Callable[[str], None]
    ) -> None:
        self._entries = entries
        self._directory = directory
        self._plan = plan
        self._missing = results.missing
        self._growth = results.growth[entries] = Growth()
        self._say = say

    def measure(self, names: Iterable[str]) -> None:
        with ExitStack() as stack:
            workers = {name: stack.enter_context(Worker(name, f"{self._directory}/{name}")) for name in names}
            self._fill(workers)
            self._time(workers)
            sizes = {
                name: size
                for name in _CAPPED
                if name in workers and (size := self._ask(workers, name, "size_bytes")) is not None
            }
        for name, size in sizes.items():
            self._say(f"growth: {self._entries:,} entries, puts at the cap of {CONTENDERS[name]}")
            with Worker(name, f"{self._directory}/{name}", size) as worker:
                self._put_at_cap(name, {name: worker}, size)

    def _fill(self, workers: dict[str, Worker]) -> None:
        for worker in workers.values():
            worker.begin("fill", self._entries)
        for name in list(workers):
            try:
                workers[name].result()
                if "hit" in _MEASURED[name]:
                    workers[name].ask("remember", self._entries)
            except NotMeasuredError as error:
                self._skip(workers, name, error)
        os.sync()  # so that the disk is idle during the measurements

    def _time(self, workers: dict[str, Worker]) -> None:
        timed: dict[tuple[str, str], list[float]] = {}
        for figures in (_UNDISTURBED, _DISTURBING):
            for number in range(self._plan.rounds):
                measured = " and ".join(figures)
                self._say(
                    f"growth: {self._entries:,} entries, {measured}, round {number + 1} of {self._plan.rounds}"
                )
                for figure in figures:
                    for name in [name for name in workers if figure in _MEASURED[name]]:
                        value = self._ask(workers, name, *self._method(figure))
                        if value is not None:
                            timed.setdefault((figure, name), []).append(
                                fmean(value) if figure == "put" else value
                            )
        for (figure, name), values in timed.items():
            if name in workers:
                self._growth.figures.setdefault(figure, {})[name] = Series(tuple(values))

    def _put_at_cap(self, name: str, workers: dict[str, Worker], cap_bytes: int) -> None:
        """Count the entries of a newly opened cache, then put entries while it is at its cap."""
        first = self._ask(workers, name, "time_count")
        seconds = self._ask(workers, name, "each_put", self._plan.puts_at_cap)
        size = self._ask(workers, name, "size_bytes")
        if size is not None:
            self._growth.first_count[name] = first
            self._growth.caps[name] = CapRun(
                tuple(seconds), None if name == _WITHOUT_CAP else size / cap_bytes
            )

    def _method(self, figure: str) -> tuple[Any, ...]:
        """Return the session method that measures a figure, and its arguments."""
        if figure == "hit":
            return ("time_random", ALL, self._plan.seconds)
        if figure == "put":
            return ("each_put", min(_PUTS, self._entries // _PUT_SHARE))
        if figure == "count":
            return ("time_count",)
        return ("time_clean_up", min(self._plan.expired, self._entries // 2))

    def _ask(self, workers: dict[str, Worker], name: str, *method: Any) -> Any:
        """Return the result of a worker; None if it was skipped before, or fails and is skipped from now on."""
        if name not in workers:
            return None
        try:
            return workers[name].ask(*method)
        except NotMeasuredError as error:
            self._skip(workers, name, error)
            return None

    def _skip(self, workers: dict[str, Worker], name: str, error: NotMeasuredError) -> None:
        self._missing[f"{CONTENDERS.get(name, name)}, {self._entries:,} entries"] = str(error)
        del workers[name]
