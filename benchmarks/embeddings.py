"""Measure hits and misses of embeddings in every contender, in turns, over several rounds."""

from __future__ import annotations

import os
from contextlib import ExitStack
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import EMBEDDERS, make_embedder
from benchmarks.contenders.base import MissError
from benchmarks.results import Series
from benchmarks.worker import NotMeasuredError, Worker
from benchmarks.workload import TEXTS, text_to_embed, vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.plan import Plan
    from benchmarks.results import Results
    from benchmarks.workload import Vectors

__all__ = ["EMBEDDING_ROWS", "EmbeddingSession", "measure_embeddings"]

EMBEDDING_ROWS = {
    "embed": "embed, hits",
    "embed_as_array": "embed, hits as an array",
    "embed new": "embed, misses",
}
"""The names of the rows, and their titles in the table. A row of hits is named after the method of an ``Embedder``."""

_HITS = ("embed", "embed_as_array")

_ONLY_ARRAYS = ("dspy", "dspy-disk")
"""The contenders that return no lists."""


class EmbeddingSession:
    """The operations that are timed inside the process of a contender. The provider returns prepared vectors.

    Args:
        name: The name of the contender.
        directory: The directory of its entries.
    """

    def __init__(self, name: str, directory: str) -> None:
        self._embedder = make_embedder(name, directory, self._provide)
        self._vectors = vectors()
        self._numbers = count()
        self._stored = self._new_texts()
        self._prepared: dict[str, list[float]] = {}
        self._provider_seconds = 0.0

    def fill(self) -> None:
        """Embed the texts of the hits for the first time, and check the result."""
        self._prepare(self._stored)
        self._check(self._embedder.embed(self._stored))
        self._prepare(())

    def check(self, row: str) -> None:
        """Check that the stored texts are hits, and the result.

        Args:
            row: The row of hits.
        """
        self._check(getattr(self._embedder, row)(self._stored))

    def time_hits(self, row: str, seconds: float) -> float:
        """Measure hits, and return the time per text.

        Args:
            row: The row of hits.
            seconds: The duration of the measurement.
        """
        spent, calls = 0.0, 0
        while spent < seconds:
            spent += self._time(getattr(self._embedder, row), self._stored)
            calls += 1
        return spent / calls / TEXTS

    def time_misses(self, seconds: float) -> float:
        """Measure misses, and return the time per text without that of the provider.

        Args:
            seconds: The duration of the measurement.
        """
        spent, calls = 0.0, 0
        while spent < seconds:
            texts = self._new_texts()
            self._prepare(texts)
            spent += self._time(self._embedder.embed, texts)
            calls += 1
        self._prepare(())
        return spent / calls / TEXTS

    def _time(self, embed: Callable[[list[str]], Any], texts: list[str]) -> float:
        before = self._provider_seconds
        started = perf_counter()
        found = embed(texts)
        # Freeing the vectors is not part of the call.
        spent = perf_counter() - started
        if len(found) != len(texts):
            raise RuntimeError(f"it returned {len(found)} vectors for {len(texts)} texts")
        return spent - (self._provider_seconds - before)

    def _check(self, found: Any) -> None:
        if (found if isinstance(found, list) else found.tolist()) != self._vectors:
            raise RuntimeError("it does not return the vectors of the provider")

    def _new_texts(self) -> list[str]:
        return [text_to_embed(next(self._numbers)) for _ in range(TEXTS)]

    def _prepare(self, texts: Sequence[str]) -> None:
        """Set the only texts that may miss from now on."""
        self._prepared = dict(zip(texts, self._vectors, strict=False))

    def _provide(self, texts: Sequence[str]) -> Vectors:
        started = perf_counter()
        try:
            return [self._prepared[text] for text in texts]
        except KeyError:
            raise MissError("a stored text missed") from None
        finally:
            self._provider_seconds += perf_counter() - started


def measure_embeddings(plan: Plan, directory: str, results: Results, say: Callable[[str], None]) -> None:
    """Fill the cache of every contender, then measure all rows.

    Args:
        plan: The plan of the run.
        directory: The directory of the caches.
        results: The results to add to.
        say: Called with progress messages.
    """
    timed: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        say(f"embeddings: storing {TEXTS} vectors in each cache")
        workers = _filled(directory, results, stack)
        for number in range(plan.rounds):
            say(f"embeddings: round {number + 1} of {plan.rounds}")
            for row in EMBEDDING_ROWS:
                method = ("time_hits", row) if row in _HITS else ("time_misses",)
                for name, worker in _measured(workers, row, results):
                    try:
                        value = worker.ask(*method, plan.seconds)
                    except NotMeasuredError as error:
                        results.missing[_label(name, row)] = str(error)
                    else:
                        timed.setdefault((row, name), []).append(value)
    for (row, name), values in timed.items():
        if _label(name, row) not in results.missing:
            results.embeddings.setdefault(row, {})[name] = Series(tuple(values))


def _filled(directory: str, results: Results, stack: ExitStack) -> dict[str, Worker]:
    """Return a worker for each contender that can be loaded, with its vectors stored."""
    workers = {
        name: stack.enter_context(Worker(name, f"{directory}/embeddings-{name}", session=EmbeddingSession))
        for name in EMBEDDERS
    }
    for worker in workers.values():
        worker.begin("fill")
    for name, worker in list(workers.items()):
        try:
            worker.result()
        except NotMeasuredError as error:
            results.missing[f"{EMBEDDERS[name]}, embed"] = str(error)
            del workers[name]
    for row in _HITS:
        for name, worker in _measured(workers, row, results):
            try:
                worker.ask("check", row)
            except NotMeasuredError as error:
                results.missing[_label(name, row)] = str(error)
    os.sync()  # so that the disk is idle during the measurements
    return workers


def _measured(workers: dict[str, Worker], row: str, results: Results) -> Iterator[tuple[str, Worker]]:
    """Yield the contenders that have a row, without those that failed in it."""
    for name, worker in workers.items():
        if not (row == "embed" and name in _ONLY_ARRAYS) and _label(name, row) not in results.missing:
            yield name, worker


def _label(name: str, row: str) -> str:
    return f"{EMBEDDERS[name]}, {EMBEDDING_ROWS[row]}"
