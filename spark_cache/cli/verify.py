"""``spark-cache verify``: read every entry and check it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import click

from spark_cache.cli.cache import key_ring, with_cache
from spark_cache.cli.moving import with_progress
from spark_cache.cli.output import print_json, table
from spark_cache.cli.text import counted, harmless

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.maintenance.verify import BadEntry, Verification
    from spark_cache.manager import CacheManager
    from spark_cache.stores import FileStore

__all__ = ["verify_command"]


class _Judged(TypedDict):
    path: str
    reason: str
    moved_to: str | None


@click.command("verify")
@click.option("--repair", is_flag=True, help="Move bad entries aside, into the hidden folder.")
@with_cache
@click.pass_context
def verify_command(ctx: click.Context, cache: CacheManager, repair: bool, as_json: bool) -> None:
    """Read every entry and check that it is whole and where it belongs; exit 1 when a bad one is left where it is."""
    from spark_cache.maintenance.verify import verify  # noqa: PLC0415 - with the rooms that it reads through, which --help does not need

    def work(store: FileStore, step: Callable[[], None]) -> tuple[Verification, list[_Judged]]:
        result = verify(store, key_ring(cache.config), step=step)
        return result, [_judged(store, bad, repair=repair) for bad in result.bad]

    result, judged = with_progress("Reading entries", cache, work)
    if as_json:
        _print_json(result, judged)
    else:
        _print(result, judged)
    if any(bad["moved_to"] is None for bad in judged):
        ctx.exit(1)


def _judged(store: FileStore, bad: BadEntry, *, repair: bool) -> _Judged:
    from spark_cache.maintenance.verify import move_aside  # noqa: PLC0415 - see above

    moved_to = move_aside(store, bad) if repair else None
    return {"path": store.path(bad.address), "reason": bad.reason.value, "moved_to": moved_to}


def _print(result: Verification, judged: list[_Judged]) -> None:
    if judged:
        rows = [
            (bad["reason"], harmless(bad["path"] or ""), harmless(bad["moved_to"] or "-")) for bad in judged
        ]
        table(("reason", "entry", "moved to"), rows)
        click.echo()
    parts = [f"{counted(result.intact, 'entry', 'entries')} sound", f"{len(judged):,} bad"]
    if result.locked:
        parts.append(f"{result.locked:,} under keys that are not at hand")
    if result.later:
        parts.append(f"{result.later:,} of a later release")
    click.echo(", ".join(parts))
    if any(bad["moved_to"] is None for bad in judged):
        click.echo("`spark-cache verify --repair` moves bad entries aside", err=True)


def _print_json(result: Verification, judged: list[_Judged]) -> None:
    print_json({"sound": result.intact, "locked": result.locked, "later": result.later, "bad": judged})
