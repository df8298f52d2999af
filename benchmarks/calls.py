"""Measure hits and puts of every contender, in turns, over several rounds."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import CONTENDERS, UPSERT
from benchmarks.results import Series
from benchmarks.worker import NotMeasuredError, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.plan import Plan
    from benchmarks.results import Results

__all__ = ["ALL", "RECENT", "ROWS", "THREADS", "measure_calls"]

THREADS = 8

RECENT = 1000
"""The number of requests that a program asks again and again."""

ALL = 10**9
"""More requests than any cache has."""

ROWS = {
    "small": "600 B, repeated",
    "messages": "100 KB, repeated",
    "image": "1 MB image, new",
    "image again": "1 MB image, same object",
    "random": "600 B, random",
    "recent": f"600 B, among {RECENT:,}",
    "threads": f"random, {THREADS} threads",
    "recent threads": f"among {RECENT:,}, {THREADS} threads",
    "processes": "random, 2 processes",
    "put": "put 600 B",
    "put messages": "put 100 KB",
}
"""The names of the rows, and their titles in the tables."""

_TIMED: dict[str, tuple[Any, ...]] = {
    "small": ("time_repeated", "small"),
    "messages": ("time_repeated", "messages"),
    "image": ("time_fresh", "image"),
    "image again": ("time_repeated", "image"),
    "random": ("time_random", ALL),
    "recent": ("time_random", RECENT),
    "threads": ("time_threads", THREADS, ALL),
    "recent threads": ("time_threads", THREADS, RECENT),
    "put": ("time_puts", "small"),
    "put messages": ("time_puts", "messages"),
}
"""The rows that one process measures: the session method of each, and its arguments except the duration."""

_PAIRED = ("limit", "spark", "diskcache")
"""The contenders that are also measured with two processes at once."""

_PAIR_TIMES = 4
"""How many times longer two processes are measured, so that the gap between their starts does not matter."""

_NOT_BY_A_MODEL = ("threads", "recent threads", "put", "put messages")
"""Rows without a model: an event loop belongs to one thread, and a model stores only what a provider returns."""


def measure_calls(plan: Plan, directory: str, results: Results, say: Callable[[str], None]) -> None:
    """Fill the cache of every contender, then measure all rows.

    Args:
        plan: The plan of the run.
        directory: The directory of the caches.
        results: The results to add to.
        say: Called with progress messages.
    """
    timed: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        workers = _filled(plan, directory, results, say, stack)
        partners = _partners(workers, plan, directory, stack)
        for number in range(plan.rounds):
            say(f"calls: round {number + 1} of {plan.rounds}")
            for row in ROWS:
                for name, worker in workers.items():
                    if not _is_measured(name, row) or _label(name, row) in results.missing:
                        continue
                    try:
                        value = (
                            _time_pair(worker, partners[name], plan.seconds * _PAIR_TIMES)
                            if row == "processes"
                            else worker.ask(*_TIMED[row], plan.seconds)
                        )
                    except NotMeasuredError as error:
                        results.missing[_label(name, row)] = str(error)
                    else:
                        timed.setdefault((row, name), []).append(value)
    for (row, name), values in timed.items():
        if _label(name, row) not in results.missing:
            results.calls.setdefault(row, {})[name] = Series(tuple(values))


def _filled(
    plan: Plan, directory: str, results: Results, say: Callable[[str], None], stack: ExitStack
) -> dict[str, Worker]:
    """Return a worker for each contender that can be loaded, with its entries stored."""
    say(f"calls: storing {plan.entries:,} entries in each cache")
    workers = {}
    for name in (*CONTENDERS, UPSERT):
        workers[name] = stack.enter_context(Worker(name, f"{directory}/calls-{name}"))
        workers[name].begin("fill", plan.entries)
    for name, worker in list(workers.items()):
        try:
            worker.result()
            if name != UPSERT:
                worker.ask("remember", plan.entries)
                worker.ask("store_shapes")
        except NotMeasuredError as error:
            results.missing[CONTENDERS.get(name, name)] = str(error)
            del workers[name]
    os.sync()  # so that the disk is idle during the measurements
    return workers


def _partners(workers: dict[str, Worker], plan: Plan, directory: str, stack: ExitStack) -> dict[str, Worker]:
    """Start a second process for each contender that is measured with two."""
    partners = {}
    for name in _PAIRED:
        if name in workers:
            partners[name] = stack.enter_context(Worker(name, f"{directory}/calls-{name}"))
            partners[name].ask("remember", plan.entries)
    return partners


def _is_measured(name: str, row: str) -> bool:
    if name == UPSERT:
        return row == "put"
    if row == "processes":
        return name in _PAIRED
    return not (name == "spark-model" and row in _NOT_BY_A_MODEL)


def _time_pair(first: Worker, second: Worker, seconds: float) -> float:
    """Measure hits of two processes at once, and return the elapsed time per hit of both together."""
    for worker in (first, second):
        worker.begin("time_random", ALL, seconds)
    return float(1 / sum([1 / worker.result() for worker in (first, second)]))


def _label(name: str, row: str) -> str:
    return f"{CONTENDERS.get(name, name)}, {ROWS[row]}"
