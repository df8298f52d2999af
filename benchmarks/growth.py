"""What a cache costs as it grows: hits, puts, counts, clean-up, and puts at the size cap."""

from __future__ import annotations

import os
from contextlib import ExitStack
from statistics import fmean
from typing import TYPE_CHECKING, Any

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
    "clean-up": "clean up, per expired entry",
}
"""The figures by their name here; what the tables say of them."""

_UNDISTURBED = ("hit", "count", "put")
_DISTURBING = ("clean-up",)
"""Removing many files slows the making of others for a while, so that comes when all puts have been timed."""

_ASKED = {
    "limit": ("hit", "put", "count", "clean-up"),
    UPSERT: ("put",),
    "spark": ("hit", "put", "count", "clean-up"),
    "diskcache": ("hit", "put", "count", "clean-up"),
}
_CAPPED = ("limit", "spark", "diskcache")
_WITHOUT_CAP = "limit"

_PUTS = 200
_PUT_SHARE = 40
"""A round puts at most one entry for every forty, so that the cache stays about as large as it is said to be."""


def measure_growth(plan: Plan, directory: str, results: Results, say: Callable[[str], None]) -> None:
    """Measure caches of each of the plan's sizes, one size after the other.

    Args:
        plan: How long to measure.
        directory: Where the caches are kept.
        results: What was measured is added to it.
        say: Told what happens.
    """
    for entries in sorted({*plan.sizes, *plan.sizes_without_peers}):
        names = [name for name in _ASKED if name != "diskcache" or entries in plan.sizes]
        say(f"growth: {entries:,} entries for each cache")
        _Size(entries, f"{directory}/growth-{entries}", plan, results, say).measure(names)


class _Size:
    """One number of entries. A contender that fails is left out from then on."""

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
                if "hit" in _ASKED[name]:
                    workers[name].ask("remember", self._entries)
            except NotMeasuredError as error:
                self._leave_out(workers, name, error)
        os.sync()  # what was stored so far is not written to the disk while something is timed

    def _time(self, workers: dict[str, Worker]) -> None:
        timed: dict[tuple[str, str], list[float]] = {}
        for figures in (_UNDISTURBED, _DISTURBING):
            for number in range(self._plan.rounds):
                asked = " and ".join(figures)
                self._say(
                    f"growth: {self._entries:,} entries, {asked}, round {number + 1} of {self._plan.rounds}"
                )
                for figure in figures:
                    for name in [name for name in workers if figure in _ASKED[name]]:
                        value = self._ask(workers, name, *self._question(figure))
                        if value is not None:
                            timed.setdefault((figure, name), []).append(
                                fmean(value) if figure == "put" else value
                            )
        for (figure, name), values in timed.items():
            if name in workers:
                self._growth.figures.setdefault(figure, {})[name] = Series(tuple(values))

    def _put_at_cap(self, name: str, workers: dict[str, Worker], cap_bytes: int) -> None:
        """Count a cache that was just opened, and put into it with no room left."""
        first = self._ask(workers, name, "time_count")
        seconds = self._ask(workers, name, "each_put", self._plan.puts_at_cap)
        size = self._ask(workers, name, "size_bytes")
        if size is not None:
            self._growth.first_count[name] = first
            self._growth.caps[name] = CapRun(
                tuple(seconds), None if name == _WITHOUT_CAP else size / cap_bytes
            )

    def _question(self, figure: str) -> tuple[Any, ...]:
        """The method of a session that measures a figure, with its arguments."""
        if figure == "hit":
            return ("time_random", self._plan.seconds)
        if figure == "put":
            return ("each_put", min(_PUTS, self._entries // _PUT_SHARE))
        if figure == "count":
            return ("time_count",)
        return ("time_clean_up", min(self._plan.expired, self._entries // 2))

    def _ask(self, workers: dict[str, Worker], name: str, *question: Any) -> Any:
        """What a worker answers; None, and it is left out, when it fails or was left out before."""
        if name not in workers:
            return None
        try:
            return workers[name].ask(*question)
        except NotMeasuredError as error:
            self._leave_out(workers, name, error)
            return None

    def _leave_out(self, workers: dict[str, Worker], name: str, error: NotMeasuredError) -> None:
        self._missing[f"{CONTENDERS.get(name, name)}, {self._entries:,} entries"] = str(error)
        del workers[name]
