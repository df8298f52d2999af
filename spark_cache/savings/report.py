"""What the cache saved: the lines of the ledger added up, and priced by the price table of the day they were counted on."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from spark_cache.config.values import duration
from spark_cache.savings import UNKNOWN_SIZE, Sums
from spark_cache.savings.prices import price, price_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.savings import Line

__all__ = ["GROUPINGS", "first_day", "savings"]

GROUPINGS = ("model", "provider", "profile", "day")
"""What savings can be told apart by."""

_SPARED = ("hit", "shared")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(slots=True)
class _Figures:
    counts: dict[str, int] = field(default_factory=lambda: {"hit": 0, "shared": 0, "miss": 0})
    spared: Sums = field(default_factory=Sums)
    dollars: Decimal = Decimal(0)
    unpriced: int = 0


def savings(lines: Mapping[Line, Sums], *, by: str, since: date | None) -> dict[str, Any]:
    """Add up what hits saved.

    Args:
        lines: The lines of a ledger.
        by: What the rows are told apart by, one of :data:`GROUPINGS`.
        since: The first day that counts, in UTC; None counts all.

    Returns:
        What :meth:`spark_cache.CacheManager.get_savings` returns.

    Raises:
        ValueError: ``by`` is none of them.
    """
    if by not in GROUPINGS:
        raise ValueError(f"by={by!r}: it takes {', '.join(GROUPINGS)}")
    rows: defaultdict[tuple[str, ...], _Figures] = defaultdict(_Figures)
    total = _Figures()
    for line, sums in lines.items():
        if line.event in total.counts and (since is None or line.day >= since.isoformat()):
            cost = _cost(line, sums) if line.event in _SPARED else Decimal(0)
            for figures in (rows[_group(line, by)], total):
                _add(figures, line, sums, cost)
    told = [{**_names(group, by), **_told(figures)} for group, figures in rows.items()]
    return {
        "by": by,
        "since": None if since is None else since.isoformat(),
        "price_table": price_table(),
        "rows": sorted(told, key=_by_day if by == "day" else _by_worth),
        "total": _told(total),
    }


def first_day(since: str | float | timedelta | date | None, now: float) -> date | None:
    """The first day that counts, in UTC.

    Args:
        since: A day (a date, or text such as ``2026-11-01``), or how far back to go (seconds, or text such as ``7d``), which
            takes in the whole of the day that it leads to. None is for all days.
        now: The time in seconds since the epoch.

    Raises:
        ValueError: It is neither.
    """
    if since is None:
        return None
    if isinstance(since, datetime):
        return since.astimezone(UTC).date()
    if isinstance(since, date):
        return since
    if isinstance(since, str) and _DAY.fullmatch(since.strip()):
        return date.fromisoformat(since.strip())
    try:
        back = duration(since)
    except ValueError as error:
        raise ValueError(f"{error}, or a day such as 2026-11-01") from None
    return (datetime.fromtimestamp(now, UTC) - timedelta(seconds=back)).date()


def _cost(line: Line, sums: Sums) -> Decimal | None:
    if line.size == UNKNOWN_SIZE:
        return None
    try:
        # Noon: where the price changes over the day, the ledger does not know the hour.
        when = datetime.fromisoformat(f"{line.day}T12:00:00+00:00")
    except ValueError:
        # Not our own writing.
        return None
    return price(line.provider, line.model, sums, calls=sums.count, when=when)


def _group(line: Line, by: str) -> tuple[str, ...]:
    name: str = getattr(line, by)
    return (line.provider, name) if by == "model" else (name,)


def _names(group: tuple[str, ...], by: str) -> dict[str, str | None]:
    if by == "model":
        return {"provider": group[0], "model": group[1]}
    return {by: group[0] or None}


def _add(figures: _Figures, line: Line, sums: Sums, cost: Decimal | None) -> None:
    figures.counts[line.event] += sums.count
    if line.event not in _SPARED:
        return
    figures.spared.add(sums)
    if cost is None:
        figures.unpriced += sums.count
    else:
        figures.dollars += cost


def _told(figures: _Figures) -> dict[str, Any]:
    spared = figures.spared
    return {
        "hits": figures.counts["hit"],
        "shared": figures.counts["shared"],
        "misses": figures.counts["miss"],
        "tokens_saved": spared.tokens,
        "input_tokens": spared.input_tokens,
        "output_tokens": spared.output_tokens,
        "cached_tokens": spared.cached_tokens,
        "reasoning_tokens": spared.reasoning_tokens,
        "seconds_saved": spared.seconds,
        # Nothing but unknown prices is unknown, not zero.
        "dollars_saved": None if 0 < figures.unpriced == spared.count else float(figures.dollars),
        "unpriced": figures.unpriced,
    }


def _by_day(row: Mapping[str, Any]) -> str:
    return row["day"] or ""


def _by_worth(row: Mapping[str, Any]) -> tuple[Any, ...]:
    names = [str(row.get(name) or "") for name in GROUPINGS]
    return (-(row["dollars_saved"] or 0), -row["tokens_saved"], -row["hits"], *names)
