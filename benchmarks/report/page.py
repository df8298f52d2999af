"""The documentation page that a run writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.calls import ROWS
from benchmarks.contenders import CONTENDERS, EMBEDDERS, UPSERT
from benchmarks.embeddings import EMBEDDING_ROWS
from benchmarks.goals import goals
from benchmarks.growth import FIGURES
from benchmarks.report.tables import NONE, number, spread, table
from benchmarks.workload import DIMENSIONS, TEXT_CHARACTERS, TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.results import Growth, Results, Series

__all__ = ["CALLS_CHART", "GROWTH_CHART", "page"]

CALLS_CHART = "benchmarks.svg"
GROWTH_CHART = "benchmarks-growth.svg"

_NAMES = {**CONTENDERS, UPSERT: "one SQLite upsert"}

_MICROSECONDS = 1e6
_MILLISECONDS = 1e3

_HEAD = """# Benchmarks

`make bench` writes this page and measures everything on it in one run. Each figure is the median of the rounds, with the
minimum and the maximum in parentheses. Times depend on the machine, so compare only figures of the same run. In the
table of goals, *vs.* stands for the ratio of two times or two rates."""

_BOUNDS = """Why some goals are missed:

- **Hits.** The limit performs a few steps in C, one after another. More than half of a small hit is its key: the cache builds
  the body that the provider would get, so that equal requests share an entry however they were written. DSPy and
  diskcache hash what the caller passes. The rest is the lookup, which also checks the key, age and structure of the entry
  and counts the hit. For a long conversation, Python code examines all messages before they are hashed.
- **Hits by threads.** Around every system call, a thread releases Python's global interpreter lock (GIL) and has to
  acquire it again. A hit of a recent small entry makes one such call, any other hit four.
- **Puts.** A put decodes what it encoded to verify that the result is equal, and computes a digest of each part of the
  request. It verifies that no symbolic link leads out of the directory, and that what it replaces is an entry. It changes
  the index in a transaction, under a lock between processes. The size limit holds at every moment because room is made,
  and the file put in place, in this transaction.
- **Puts at the cap.** The slowest puts wait for the file system while it removes files. The limit removes none.
- **Embeddings.** The limit makes the numbers from the bytes of a file. Before it does the same, a hit computes the key of the
  text, parses JSON, verifies a checksum and decodes base64. A miss does for each text what a put does, but changes the
  index once for many texts. DSPy stores a batch of 200 texts as one entry: it writes fewer files, and a batch with one
  new text misses as a whole."""

_METHOD = """## How it is measured

- Every cache does what its users need: given a request, it returns the response. The time includes computing the key.
  The requests are 600 B of text, 100 KB in 60 messages, and 1 MB that is nearly all one image. The response is 1 KB.
  Requests marked as new are passed as new objects each time, and all others as the same objects. A miss during the
  measurement of hits aborts the measurement.
- The hand-written limit serializes the request to canonical JSON with orjson, hashes it with SHA-256, opens, reads and
  closes one file, and parses it. It checks nothing. Its put writes a temporary file and renames it. Its cleanup unlinks
  files whose names it already knows. One upsert writes one row to a SQLite table in WAL mode.
- Each cache runs in a separate process with its default settings. The caches take turns in every round, so that anything
  that slows the machine slows all of them, and each ratio is computed within a round. No cache forces its writes to disk,
  except where its defaults do.
- diskcache does not compute keys for requests. It uses the fastest key that its users write: SHA-256 of orjson's
  canonical JSON. DSPy answers from memory what its process has requested before, and from disk what an earlier process
  has requested; both are shown. LangChain is called as its chat models call it, with the messages serialized for each
  call. Inspect's cache has no public functions, so those that its models call are used. joblib caches a function that is
  called with the request. LiteLLM is not measured: it no longer has a disk cache.
- Embeddings are hits of texts that are stored on disk, and misses of new texts. The provider is a function in the same
  process that returns prepared lists of numbers; its time is subtracted. spark-cache is called through `embed` of a model.
  The limit hashes each text with SHA-256 and reads one file of 32-bit floats; for a new text, it writes a temporary file
  and renames it. LangChain's `CacheBackedEmbeddings` stores one file of JSON per text; for the array, numpy converts its
  lists. DSPy's `Embedder` caches by batch: its 500 texts are three entries, its hits are the same batches again, and its
  results are always arrays. The vectors that each cache returns are compared with the prepared ones once.
- With several threads or processes, the figure is the elapsed time divided by the number of responses of all of them.
- Puts at the size cap are timed individually, in a cache whose cap equals its current size. The limit, which has no cap,
  shows what the machine does meanwhile."""


def page(
    results: Results, facts: Mapping[str, str], versions: Mapping[str, str], *, charts: str | None = None
) -> str:
    """Return the page, in Markdown.

    Args:
        results: The results of the run.
        facts: The description of the machine.
        versions: The versions of the packages.
        charts: The folder of the charts, relative to the page; None for a page without charts.
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
            yield f"![Time of hits and puts, by cache and request]({charts}/{CALLS_CHART})"
        yield from _calls(results)
    if results.embeddings:
        yield "## Embeddings"
        yield (
            f"Microseconds per text, for a call with {TEXTS} texts of {TEXT_CHARACTERS} characters. "
            f"A vector has {DIMENSIONS:,} 32-bit floats."
        )
        yield _by_contender(
            results.embeddings, tuple(EMBEDDING_ROWS), EMBEDDING_ROWS, _MICROSECONDS, EMBEDDERS
        )
    if results.growth:
        yield "## As the cache grows"
        if charts is not None:
            yield f"![Hits, puts, counts and cleanup, by number of entries]({charts}/{GROWTH_CHART})"
        yield from _growth(results.growth)
    if results.imports:
        yield "## Imports"
        yield "Milliseconds that each import adds to the startup time of Python."
        rows = [(f"`{code}`", spread(series, _MILLISECONDS)) for code, series in results.imports.items()]
        yield table(("import", "ms"), rows)
    if results.missing:
        yield "## Not measured"
        yield table(("measurement", "reason"), list(results.missing.items()))
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
    yield f"Microseconds per call, with {results.entries:,} entries in every cache."
    yield _by_contender(results.calls, ("small", "messages", "image", "image again"), ROWS, _MICROSECONDS)
    yield _by_contender(
        results.calls, ("random", "recent", "threads", "recent threads", "processes"), ROWS, _MICROSECONDS
    )
    yield _by_contender(results.calls, ("put", "put messages"), ROWS, _MICROSECONDS)


def _growth(growth: Mapping[int, Growth]) -> Iterator[str]:
    yield "Microseconds per operation, by number of entries. The limit examines every file to count its entries."
    for figure, title in FIGURES.items():
        by_size = {f"{size:,}": grown.figures.get(figure, {}) for size, grown in growth.items()}
        yield f"**{title[0].upper()}{title[1:]}**"
        yield _by_contender(
            by_size, tuple(by_size), {size: f"{size} entries" for size in by_size}, _MICROSECONDS
        )
    yield "**Puts at the size cap**, in milliseconds"
    yield table(
        ("cache", "entries", "median", "99.9 %", "slowest", "cap used at the end"),
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
    names: Mapping[str, str] = _NAMES,
) -> str:
    """Return a table with a row for each contender that has any of the figures, and a column for each figure."""
    found = {name for column in columns for name in figures.get(column, {})}
    return table(
        ("cache", *(titles[column] for column in columns)),
        [
            (title, *(spread(figures.get(column, {}).get(name), factor) for column in columns))
            for name, title in names.items()
            if name in found
        ],
    )
