"""What the plugin says at the end of a run."""

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

__all__ = ["pruned_lines", "summary_line", "unread_lines"]

_PLACES = 4
"""The decimal places of a price in dollars."""


def summary_line(tally: Tally, saved: Mapping[str, Any]) -> str:
    """What the suite did with its recordings, and what they saved.

    Args:
        tally: What was counted.
        saved: What the hits spared, as :func:`spark_cache.savings.report.savings` adds it up.
    """
    hits = tally.hits.total()
    parts = [
        _counted(hits, "hit", "hits"),
        f"{tally.stored.total():,} recorded",
        _counted(tally.misses, "miss", "misses"),
    ]
    if tally.unstored:
        reasons = ", ".join(sorted(tally.unstored))
        parts.append(f"{tally.unstored.total():,} not recorded ({reasons})")
    said = f"spark-cache: {', '.join(parts)}"
    if not hits:
        return said
    calls = _counted(hits, "call", "calls")
    return f"{said}; saved {calls}, {saved['seconds_saved']:,.1f} s and {_money(saved)}"


def unread_lines(folder: Path, names: Sequence[Path], root: Path, doubt: str | None) -> Iterator[str]:
    """The recordings of a folder that no test read.

    Args:
        folder: The folder.
        names: The files.
        root: What paths are shown relative to.
        doubt: Why they may be in use all the same.
    """
    some = _counted(len(names), "recording", "recordings")
    yield f"spark-cache: {some} in {os.path.relpath(folder, root)} {_was(names)} read by no test" + (
        "" if doubt is None or not names else f"; some may be in use, since {doubt}"
    )
    yield from (f"  {path.relative_to(folder)}" for path in names)


def pruned_lines(folder: Path, names: Sequence[Path], root: Path) -> Iterator[str]:
    """Delete recordings, and say which."""
    cache = CacheManager(CacheConfig(cache_dir=folder))
    gone, kept = [], []
    for path in names:
        try:
            cache.remove_entry(path.stem)
        except StoreError as error:
            kept.append(f"  {path.relative_to(folder)}: {error}")
        else:
            gone.append(f"  {path.relative_to(folder)}")
    some = _counted(len(gone), "recording", "recordings")
    place = os.path.relpath(folder, root)
    yield f"spark-cache: deleted {some} in {place} that no test read"
    yield from gone
    if kept:
        yield f"spark-cache: {len(kept)} could not be deleted"
        yield from kept


def _money(saved: Mapping[str, Any]) -> str:
    if saved["dollars_saved"] is None:
        return "an unknown price"
    unknown = f" (for {saved['unpriced']:,} no price is known)" if saved["unpriced"] else ""
    dollars = saved["dollars_saved"]
    least = 10**-_PLACES
    return f"{f'${dollars:,.{_PLACES}f}' if dollars >= least else f'less than ${least:.{_PLACES}f}'}{unknown}"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _was(names: Sequence[Path]) -> str:
    return "was" if len(names) == 1 else "were"
