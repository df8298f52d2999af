"""The performance goals of the cache, and whether they are met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.calls import ROWS, THREADS
from benchmarks.contenders import CONTENDERS, EMBEDDERS, LLM_CACHES, UPSERT
from benchmarks.embeddings import EMBEDDING_ROWS
from benchmarks.results import Series

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.results import CapRun, Growth, Results

__all__ = ["Goal", "goals"]

TIMES = "\N{MULTIPLICATION SIGN}"

Figures = dict[str, Series]

_MODEL_ROWS = ("small", "messages", "image", "image again", "random")

_EMBEDDING_BOUNDS = (
    ("embed", "langchain", 0.5),
    ("embed", "limit", 2),
    ("embed_as_array", "dspy", 0.5),
    ("embed new", "langchain", 0.5),
    ("embed new", "limit", 2.5),
)
"""The rows of embeddings, and the bounds of their ratios to other contenders."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal and its measurement.

    Attributes:
        name: The comparison.
        bound: The maximum, or the minimum if ``at_least`` is true.
        measured: The ratio, or the time in milliseconds; None if one of its values was not measured.
        unit: The unit after the number.
        at_least: Whether the bound is a minimum.
        note: Additional information.
    """

    name: str
    bound: float
    measured: Series | None
    unit: str = TIMES
    at_least: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        """``met``, or ``missed`` and by how much, according to the median."""
        if self.measured is None:
            return "not measured"
        value = self.measured.median
        if value >= self.bound if self.at_least else value <= self.bound:
            return "met"
        if not self.at_least and value >= 2 * self.bound:
            return f"missed: {value / self.bound:,.1f} times the bound"
        return f"missed by {abs(value / self.bound - 1):.0%}"


def goals(results: Results) -> list[Goal]:
    """Return all goals, in the order of the page.

    Args:
        results: The results of the run.
    """
    return [
        *_hit_goals(results.calls),
        _fastest("every row, vs. each LLM cache", results.calls, ROWS, CONTENDERS),
        _put_goal(results.calls),
        *_parallel_goals(results.calls),
        *_embedding_goals(results.embeddings),
        *(goal for entries, growth in results.growth.items() for goal in _growth_goals(entries, growth)),
    ]


def _hit_goals(calls: dict[str, Figures]) -> Iterator[Goal]:
    def ratio(row: str, mine: str, theirs: str) -> Series | None:
        return _over(calls.get(row, {}), mine, theirs)

    yield Goal("hit, 600 B, vs. diskcache", 1.2, ratio("small", "spark", "diskcache"))
    yield Goal("hit, 600 B, vs. a hit of DSPy from memory", 0.55, ratio("small", "spark", "dspy"))
    yield Goal("hit, 100 KB, vs. the limit", 1.4, ratio("messages", "spark", "limit"))
    yield Goal("hit, 1 MB image, new, vs. the limit", 1.1, ratio("image", "spark", "limit"))
    yield Goal("hit, 1 MB image, same object, vs. the limit", 0.1, ratio("image again", "spark", "limit"))
    for row in _MODEL_ROWS:
        yield Goal(f"`get_text`, {ROWS[row]}, vs. a hit of DSPy", 0.8, ratio(row, "spark-model", "dspy"))


def _fastest(
    name: str, rows: dict[str, Figures], titles: Mapping[str, str], peers: Mapping[str, str]
) -> Goal:
    """Return the comparison with an LLM cache in which spark-cache does worst."""
    compared = [
        (ratio, f"worst: {titles[row]}, vs. {peers[peer]}")
        for row, figures in rows.items()
        for peer in LLM_CACHES
        if (ratio := _over(figures, "spark", peer)) is not None
    ]
    worst, note = max(compared, key=lambda comparison: comparison[0].median, default=(None, ""))
    return Goal(name, 1, worst, note=note)


def _put_goal(calls: dict[str, Figures]) -> Goal:
    return Goal("put, 600 B, vs. the limit plus one upsert", 1, _put_over(calls.get("put", {}), upserts=1))


def _parallel_goals(calls: dict[str, Figures]) -> Iterator[Goal]:
    def gain(name: str) -> Series | None:
        one, two = calls.get("random", {}).get(name), calls.get("processes", {}).get(name)
        return one.over(two) if one is not None and two is not None else None

    machine = gain("limit")
    yield Goal(
        "hits per second, 2 processes, vs. 1 process",
        1.7,
        gain("spark"),
        at_least=True,
        note="" if machine is None else f"the limit: {machine.median:.2f} {TIMES}",
    )
    one, many = (calls.get(row, {}).get("spark") for row in ("recent", "recent threads"))
    yield Goal(
        f"hits per second, {THREADS} threads, vs. 1 thread",
        0.7,
        one.over(many) if one is not None and many is not None else None,
        at_least=True,
    )


def _embedding_goals(rows: dict[str, Figures]) -> Iterator[Goal]:
    for row, peer, bound in _EMBEDDING_BOUNDS:
        figures = rows.get(row, {})
        mine = figures.get("spark")
        yield Goal(
            f"{EMBEDDING_ROWS[row]}, vs. {'the limit' if peer == 'limit' else EMBEDDERS[peer]}",
            bound,
            _over(figures, "spark", peer),
            note="" if mine is None else f"{mine.median * 1e6:.0f} µs per text",
        )
    yield _fastest("every row of embeddings, vs. each LLM cache", rows, EMBEDDING_ROWS, EMBEDDERS)


def _growth_goals(entries: int, growth: Growth) -> Iterator[Goal]:
    figures, at = growth.figures, f"{entries:,} entries"
    count = figures.get("count", {}).get("spark")
    cap = growth.caps.get("spark")
    bare = growth.caps.get("limit")
    yield Goal(f"{at}, hit, vs. the limit", 2.5, _over(figures.get("hit", {}), "spark", "limit"))
    yield Goal(f"{at}, put, vs. the limit plus two upserts", 1, _put_over(figures.get("put", {}), upserts=2))
    first = growth.first_count.get("spark")
    yield Goal(
        f"{at}, `get_stats()`",
        10,
        None if count is None else count.scaled(1000),
        unit="ms",
        note="" if first is None else f"first call in a process: {first * 1000:.1f} ms",
    )
    yield Goal(f"{at}, cleanup, vs. plain unlinks", 1.5, _over(figures.get("clean-up", {}), "spark", "limit"))
    yield Goal(
        f"{at}, put at the cap, 99.9th percentile",
        20,
        _slowest_puts(cap),
        unit="ms",
        note=_cap_note(cap, bare),
    )


def _over(figures: Figures, mine: str, theirs: str) -> Series | None:
    if mine not in figures or theirs not in figures:
        return None
    return figures[mine].over(figures[theirs])


def _put_over(figures: Figures, *, upserts: int) -> Series | None:
    if not {"spark", "limit", UPSERT} <= figures.keys():
        return None
    return figures["spark"].over(figures["limit"].plus(figures[UPSERT], upserts))


def _slowest_puts(cap: CapRun | None) -> Series | None:
    return None if cap is None else Series((cap.share(0.999) * 1000,))


def _cap_note(cap: CapRun | None, bare: CapRun | None) -> str:
    """Return the time of the slowest put at the cap and the 99.9th percentile of the limit, which has no cap."""
    if cap is None or bare is None:
        return ""
    return f"slowest: {cap.share(1) * 1000:.1f} ms; the limit: {bare.share(0.999) * 1000:.1f} ms"
