"""``spark-cache savings``: the calls, tokens, seconds and dollars that the cache saved."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from spark_cache.cli.cache import with_cache
from spark_cache.cli.output import print_json, table
from spark_cache.cli.text import bar_text, counted, dollars_text, harmless, waiting_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_cache.manager import CacheManager

__all__ = ["savings_command"]

_GROUPINGS = ("model", "provider", "profile", "day")
_NAMES = {"model": ("provider", "model")}
_BAR_WIDTH = 20


@click.command("savings")
@click.option("--by", type=click.Choice(_GROUPINGS), default="model", help="The column to group by.")
@click.option(
    "--since",
    metavar="SPAN|DAY",
    help="Show only savings since then: 7d, 24h or 2026-11-01. Whole days in UTC.",
)
@with_cache
def savings_command(cache: CacheManager, by: str, since: str | None, as_json: bool) -> None:
    """Show what hits have saved: calls, tokens, time and dollars.

    Dollars are calculated with the list price of the day.
    """
    try:
        savings = cache.get_savings(by=by, since=since)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from error
    if as_json:
        print_json({"cache_dir": str(cache.cache_dir), **savings})
        return
    click.echo(cache.cache_dir)
    click.echo("since the cache was created\n" if savings["since"] is None else f"since {savings['since']}\n")
    _show(savings, _NAMES.get(by, (by,)))


def _show(savings: Mapping[str, Any], names: Sequence[str]) -> None:
    rows, total = savings["rows"], savings["total"]
    charted = next((field for field in ("dollars_saved", "tokens_saved", "hits") if total[field]), "hits")
    largest = max((row[charted] or 0 for row in rows), default=0)
    cells = [
        (*(harmless(row[name] or "none") for name in names), *_cells(row), _bar(row[charted] or 0, largest))
        for row in rows
    ]
    cells.append(("total", *("" for _ in names[1:]), *_cells(total), ""))
    table((*names, ">calls saved", ">tokens", ">time", ">cost", ""), cells)
    click.echo(f"\nprices: {savings['price_table']}, as of each day")
    read, written = total["cached_tokens"], total["cache_write_tokens"]
    if read or written:
        click.echo(f"tokens include {read:,} read from and {written:,} written to prompt caches of providers")
    if total["unpriced"]:
        calls = counted(total["unpriced"], "saved call", "saved calls")
        click.echo(f"cost excludes {calls} without a known price")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    saved = row["hits"] + row["shared"]
    return (
        f"{saved:,}",
        f"{row['tokens_saved']:,}",
        waiting_text(row["seconds_saved"]),
        dollars_text(row["dollars_saved"]) if saved else "-",
    )


def _bar(value: float, largest: float) -> str:
    bar = bar_text(value / largest if largest else 0.0, _BAR_WIDTH)
    try:
        bar.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#" * len(bar)
    return bar
