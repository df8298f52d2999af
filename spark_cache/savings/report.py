"""The savings report: the lines of the ledger added up, each priced as of its own day."""

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
"""The fields by which savings can be grouped."""

_SAVING_EVENTS = ("hit", "shared")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(slots=True)
class _GroupTotals:
    counts: dict[str, int] = field(default_factory=lambda: {"hit": 0, "shared": 0, "miss": 0})
    saved: Sums = field(default_factory=Sums)
    dollars: Decimal = Decimal(0)
    unpriced: int = 0


def savings(lines: Mapping[Line, Sums], *, by: str, since: date | None) -> dict[str, Any]:
    """Return what the cache saved, grouped and added up.

    Args:
        lines: The lines of a ledger.
        by: The field to group by, one of :data:`GROUPINGS`.
        since: The first day to include, in UTC. None includes all days.

    Returns:
        The result of :meth:`spark_cache.CacheManager.get_savings`.

    Raises:
        ValueError: ``by`` is not one of :data:`GROUPINGS`.
    """
    if by not in GROUPINGS:
        raise ValueError(f"by must be one of {', '.join(GROUPINGS)}, not {by!r}")
    rows: defaultdict[tuple[str, ...], _GroupTotals] = defaultdict(_GroupTotals)
    total = _GroupTotals()
    for line, sums in lines.items():
        if line.event in total.counts and (since is None or line.day >= since.isoformat()):
            cost = _cost(line, sums) if line.event in _SAVING_EVENTS else Decimal(0)
            for totals in (rows[_group(line, by)], total):
                _add(totals, line, sums, cost)
    plain_rows = [{**_names(group, by), **_as_dict(totals)} for group, totals in rows.items()]
    return {
        "by": by,
        "since": None if since is None else since.isoformat(),
        "price_table": price_table(),
        "rows": sorted(plain_rows, key=_by_day if by == "day" else _by_value),
        "total": _as_dict(total),
    }


def first_day(since: str | float | timedelta | date | None, now: float) -> date | None:
    """Return the first day to include, in UTC.

    Args:
        since: A day (a date, or a string such as ``2026-11-01``), or how far back to go (seconds, or a string such as ``7d``). A
            span includes the whole of the day on which it begins. None includes all days.
        now: The time in seconds since the epoch.

    Raises:
        ValueError: ``since`` is neither a day nor a span.
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
        # Noon, because some prices change over the day and the ledger does not record the hour.
        when = datetime.fromisoformat(f"{line.day}T12:00:00+00:00")
    except ValueError:
        # The ledger never writes such a day: the file is damaged or foreign.
        return None
    return price(line.provider, line.model, sums, calls=sums.count, when=when)


def _group(line: Line, by: str) -> tuple[str, ...]:
    name: str = getattr(line, by)
    return (line.provider, name) if by == "model" else (name,)


def _names(group: tuple[str, ...], by: str) -> dict[str, str | None]:
    if by == "model":
        return {"provider": group[0], "model": group[1]}
    return {by: group[0] or None}


def _add(totals: _GroupTotals, line: Line, sums: Sums, cost: Decimal | None) -> None:
    totals.counts[line.event] += sums.count
    if line.event not in _SAVING_EVENTS:
        return
    totals.saved.add(sums)
    if cost is None:
        totals.unpriced += sums.count
    else:
        totals.dollars += cost


def _as_dict(totals: _GroupTotals) -> dict[str, Any]:
    saved = totals.saved
    return {
        "hits": totals.counts["hit"],
        "shared": totals.counts["shared"],
        "misses": totals.counts["miss"],
        "tokens_saved": saved.tokens,
        "input_tokens": saved.input_tokens,
        "output_tokens": saved.output_tokens,
        "cached_tokens": saved.cached_tokens,
        "cache_write_tokens": saved.cache_write_tokens,
        "reasoning_tokens": saved.reasoning_tokens,
        "seconds_saved": saved.seconds,
        # If no price is known, the sum is unknown, not zero.
        "dollars_saved": None if 0 < totals.unpriced == saved.count else float(totals.dollars),
        "unpriced": totals.unpriced,
    }


def _by_day(row: Mapping[str, Any]) -> str:
    return row["day"] or ""


def _by_value(row: Mapping[str, Any]) -> tuple[Any, ...]:
    names = [str(row.get(name) or "") for name in GROUPINGS]
    return (-(row["dollars_saved"] or 0), -row["tokens_saved"], -row["hits"], *names)
