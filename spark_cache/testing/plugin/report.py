"""The lines that the plugin prints at the end of a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from spark_cache.config import CacheConfig
from spark_cache.errors import StoreError
from spark_cache.manager import CacheManager

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from spark_cache.testing.plugin.tally import Tally

__all__ = ["pruned_lines", "summary_line", "unused_lines"]

_DECIMALS = 4
"""The decimal places of a price in dollars."""


def summary_line(tally: Tally, saved: Mapping[str, Any]) -> str:
    """Return the line that summarizes how the suite used its recordings and what they saved.

    Args:
        tally: The counts of the run.
        saved: What the hits saved, as :func:`spark_cache.savings.report.savings` adds it up.
    """
    hits = tally.hits.total()
    parts = [
        _count(hits, "hit", "hits"),
        f"{tally.stored.total():,} recorded",
        _count(tally.misses, "miss", "misses"),
    ]
    if tally.unstored:
        reasons = ", ".join(sorted(tally.unstored))
        parts.append(f"{tally.unstored.total():,} not recorded ({reasons})")
    line = f"spark-cache: {', '.join(parts)}"
    if not hits:
        return line
    calls = _count(hits, "call", "calls")
    return f"{line}; saved {calls}, {saved['seconds_saved']:,.1f} s and {_money(saved)}"


def unused_lines(folder: Path, paths: Sequence[Path], root: Path, doubt: str | None) -> Iterator[str]:
    """List the recordings of a folder that no test used.

    Args:
        folder: The folder of the recordings.
        paths: The files that no test used.
        root: The directory that the shown folder is relative to.
        doubt: Why the recordings may still be needed, or None.
    """
    recordings = _count(len(paths), "recording", "recordings")
    were = "was" if len(paths) == 1 else "were"
    yield f"spark-cache: {recordings} in {os.path.relpath(folder, root)} {were} not used by any test" + (
        "" if doubt is None or not paths else f"; some may still be needed because {doubt}"
    )
    yield from (f"  {path.relative_to(folder)}" for path in paths)


def pruned_lines(folder: Path, paths: Sequence[Path], root: Path) -> Iterator[str]:
    """Delete recordings, and list which were deleted and which could not be.

    Args:
        folder: The folder of the recordings.
        paths: The files to delete.
        root: The directory that the shown folder is relative to.
    """
    cache = CacheManager(CacheConfig(cache_dir=folder))
    deleted, failed = [], []
    for path in paths:
        try:
            cache.remove_entry(path.stem)
        except StoreError as error:
            failed.append(f"  {path.relative_to(folder)}: {error}")
        else:
            deleted.append(f"  {path.relative_to(folder)}")
    recordings = _count(len(deleted), "recording", "recordings")
    yield f"spark-cache: deleted {recordings} in {os.path.relpath(folder, root)} that no test used"
    yield from deleted
    if failed:
        yield f"spark-cache: {len(failed)} could not be deleted"
        yield from failed


def _money(saved: Mapping[str, Any]) -> str:
    if saved["dollars_saved"] is None:
        return "an unknown amount"
    unpriced = saved["unpriced"]
    unknown = f" (price unknown for {_count(unpriced, 'call', 'calls')})" if unpriced else ""
    dollars = saved["dollars_saved"]
    least = 10**-_DECIMALS
    amount = f"${dollars:,.{_DECIMALS}f}" if dollars >= least else f"less than ${least:.{_DECIMALS}f}"
    return f"{amount}{unknown}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
