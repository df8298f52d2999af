"""The page of the documentation that a run writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.calls import ROWS
from benchmarks.contenders import CONTENDERS, UPSERT
from benchmarks.goals import goals
from benchmarks.growth import FIGURES
from benchmarks.report.tables import NONE, number, spread, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.results import Growth, Results, Series

__all__ = ["CALLS_CHART", "GROWTH_CHART", "page"]

CALLS_CHART = "benchmarks.svg"
GROWTH_CHART = "benchmarks-growth.svg"

_MICROSECONDS = 1e6
_MILLISECONDS = 1e3

_HEAD = """# Benchmarks

This page is written by `make bench`, which measures everything on it in one run. A figure is the median of the rounds, with
the least and the greatest in brackets. Times depend on the machine; compare the figures of one run with each other."""

_BOUNDS = """What bounds those that are missed:

- **Hits.** The limit does its few steps in C, one after the other. A hit also asks the file whose it is and when it was last used, reads
  an entry that people can read too, checks its key, age and shape, and counts itself. Most of the time of a small hit goes into
  the Python between these steps, and a long conversation is looked through in Python before it is hashed.
- **Hits by threads.** Around every call to the system a thread hands Python's interpreter lock to another and has to get it back. A hit
  makes four such calls. The limit makes three, and is bound by the same.
- **Puts.** A put reads back what it encoded, to be sure that it comes back equal, and makes a digest of each part of the request.
  It makes sure that no link leads out of the directory. It notes the change under a lock, with the folder's time before and
  after it: that is what lets the index do without looking at files.
- **Puts at the cap.** The slowest are those that wait for the file system while it removes files; the limit removes none."""

_METHOD = """## How it is measured

- Every cache is asked what its user asks: given this request, give me the answer. Making the key is part of it. The requests are
  600 B of text, 100 KB in 60 messages, and 1 MB that is nearly all one image; the answer is 1 KB. What is new is a new
  object each time; the rest is given as the same objects. A miss while hits are timed ends the measurement.
- The hand-written limit makes canonical JSON with orjson, hashes it with SHA-256, opens, reads and closes one file and parses it.
  It checks nothing. Its put writes a file beside and renames it; its clean-up unlinks files whose names it knows. One
  upsert is one row written to a SQLite table in WAL mode.
- Each cache runs in a process of its own with its default settings. The caches take turns in every round, so that whatever slows
  the machine slows them all, and a ratio is taken within each round. No cache forces its writes to the disk, except where its
  defaults do.
- diskcache has no key of its own for a request: it gets the fastest that its users write, SHA-256 of orjson's canonical JSON. DSPy
  answers from memory what its process has asked before, and from disk what an earlier process asked; both are shown.
  LiteLLM does not cache requests of more than four messages by default: that limit is lifted. LangChain is asked as its chat
  models ask it, with the messages serialized for each call. Inspect's cache has no public function: the ones its models call
  are called. joblib remembers a function that is called with the request.
- With several threads or processes, the time is that which passes for each answer, over all of them.
- Puts at the size cap are timed one by one in a cache whose cap is the size that it already has; the limit, which knows no cap,
  shows what the machine does meanwhile."""


def page(
    results: Results, facts: Mapping[str, str], versions: Mapping[str, str], *, charts: str | None = None
) -> str:
    """The whole page, in Markdown.

    Args:
        results: What was measured.
        facts: The machine.
        versions: The packages.
        charts: The folder of the charts, as the page refers to it; None leaves them out.
    """
    return "\n\n".join([*_sections(results, facts, versions, charts), ""]).rstrip("\n") + "\n"


def _sections(
    results: Results, facts: Mapping[str, str], versions: Mapping[str, str], charts: str | None
) -> Iterator[str]:
    yield _HEAD
    yield "## Goals"
    yield _goals(results)
    yield _BOUNDS
    if results.calls:
        yield "## Hits and puts"
        if charts is not None:
            yield f"![The time of a hit and of a put, by cache and request]({charts}/{CALLS_CHART})"
        yield from _calls(results)
    if results.growth:
        yield "## As the cache grows"
        if charts is not None:
            yield f"![Hits, puts, counts and clean-up, by number of entries]({charts}/{GROWTH_CHART})"
        yield from _growth(results.growth)
    if results.imports:
        yield "## Imports"
        yield "Milliseconds that an import adds to the start of Python."
        rows = [(f"`{code}`", spread(series, _MILLISECONDS)) for code, series in results.imports.items()]
        yield table(("import", "ms"), rows)
    if results.missing:
        yield "## Not measured"
        yield table(("what", "why"), list(results.missing.items()))
    yield _METHOD
    yield "## Machine and versions"
    yield table(("machine", ""), list(facts.items()))
    yield table(("package", "version"), list(versions.items()))


def _goals(results: Results) -> str:
    return table(
        ("goal", "bound", "measured", "verdict", "note"),
        [
            (
                goal.name,
                f"{'≥' if goal.at_least else '≤'} {goal.bound:g} {goal.unit}",
                spread(goal.measured),
                goal.verdict,
                goal.note,
            )
            for goal in goals(results)
        ],
    )


def _calls(results: Results) -> Iterator[str]:
    yield f"Microseconds for each call; {results.entries:,} entries in every cache."
    yield _by_contender(results.calls, ("small", "messages", "image", "image again"), ROWS, _MICROSECONDS)
    yield _by_contender(results.calls, ("random", "threads", "processes"), ROWS, _MICROSECONDS)
    yield _by_contender(results.calls, ("put", "put messages"), ROWS, _MICROSECONDS)


def _growth(growth: Mapping[int, Growth]) -> Iterator[str]:
    yield "Microseconds for each, by number of entries. To count, the limit looks at every file."
    for figure, title in FIGURES.items():
        by_size = {f"{size:,}": grown.figures.get(figure, {}) for size, grown in growth.items()}
        yield f"**{title[0].upper()}{title[1:]}**"
        yield _by_contender(
            by_size, tuple(by_size), {size: f"{size} entries" for size in by_size}, _MICROSECONDS
        )
    yield "**Puts at the size cap**, in milliseconds"
    yield table(
        ("cache", "entries", "median", "99.9 %", "slowest", "in use afterwards"),
        [
            (
                CONTENDERS[name],
                f"{size:,}",
                *(number(run.share(part) * _MILLISECONDS) for part in (0.5, 0.999, 1)),
                NONE if run.size_over_cap is None else f"{run.size_over_cap:.1%}",
            )
            for size, grown in growth.items()
            for name, run in grown.caps.items()
        ],
    )


def _by_contender(
    figures: Mapping[str, Mapping[str, Series]],
    columns: Sequence[str],
    titles: Mapping[str, str],
    factor: float,
) -> str:
    """A row for each contender that has one of the figures, a column for each of them."""
    names = {**CONTENDERS, UPSERT: "one SQLite upsert"}
    found = {name for column in columns for name in figures.get(column, {})}
    return table(
        ("cache", *(titles[column] for column in columns)),
        [
            (title, *(spread(figures.get(column, {}).get(name), factor) for column in columns))
            for name, title in names.items()
            if name in found
        ],
    )
