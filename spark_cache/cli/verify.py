"""``spark-cache verify``: read every entry and check it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import click

from spark_cache.cli.cache import with_cache
from spark_cache.cli.moving import with_progress
from spark_cache.cli.output import print_json, table
from spark_cache.cli.text import counted, harmless
from spark_cache.core.key_ring import key_ring

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.maintenance.verify import BadEntry, Verification
    from spark_cache.manager import CacheManager
    from spark_cache.stores import FileStore

__all__ = ["verify_command"]


_EDITED = "edited"
"""The reason that is shown for an entry whose response was changed after it was stored."""


class _BadFile(TypedDict):
    path: str
    reason: str
    moved_to: str | None


@click.command("verify")
@click.option("--accept", is_flag=True, help="Keep the edits of entries that were edited by hand.")
@click.option("--repair", is_flag=True, help="Move bad entries to .spark-cache/aside in the cache directory.")
@with_cache
@click.pass_context
def verify_command(
    ctx: click.Context, cache: CacheManager, accept: bool, repair: bool, as_json: bool
) -> None:
    """Read every entry and check that it is intact.

    The check includes the name and the folder of each entry. The exit code is 1 if a bad entry is left in place.
    """
    from spark_cache.maintenance import verify  # noqa: PLC0415 - not needed for --help

    def work(store: FileStore, step: Callable[[], None]) -> tuple[Verification, list[_BadFile]]:
        result = verify.verify(store, key_ring(cache.config), step=step)
        left = [bad for bad in result.bad if not (accept and verify.accept(store, bad))]
        return result, [_bad_file(store, bad, repair=repair) for bad in left]

    result, files = with_progress("Reading entries", cache, work)
    accepted = len(result.bad) - len(files)
    if as_json:
        _print_json(result, files, accepted)
    else:
        _print(result, files, accepted)
    if any(bad["moved_to"] is None for bad in files):
        ctx.exit(1)


def _bad_file(store: FileStore, bad: BadEntry, *, repair: bool) -> _BadFile:
    from spark_cache.maintenance.verify import move_aside  # noqa: PLC0415 - see above

    moved_to = move_aside(store, bad) if repair else None
    reason = bad.reason.value if bad.accepted is None else _EDITED
    return {"path": store.path(bad.address), "reason": reason, "moved_to": moved_to}


def _print(result: Verification, files: list[_BadFile], accepted: int) -> None:
    if files:
        rows = [
            (bad["reason"], harmless(bad["path"] or ""), harmless(bad["moved_to"] or "-")) for bad in files
        ]
        table(("reason", "entry", "moved to"), rows)
        click.echo()
    parts = [f"{counted(result.intact, 'entry', 'entries')} intact", f"{len(files):,} bad"]
    if accepted:
        parts.append(f"{counted(accepted, 'edit', 'edits')} accepted")
    if result.locked:
        parts.append(f"{result.locked:,} under keys that are not configured")
    if result.later:
        parts.append(f"{result.later:,} of a later release")
    click.echo(", ".join(parts))
    left = [bad for bad in files if bad["moved_to"] is None]
    if any(bad["reason"] == _EDITED for bad in left):
        click.echo("`spark-cache verify --accept` keeps the edits of edited entries", err=True)
    if left:
        click.echo("`spark-cache verify --repair` moves bad entries aside", err=True)


def _print_json(result: Verification, files: list[_BadFile], accepted: int) -> None:
    print_json(
        {
            "sound": result.intact,
            "accepted": accepted,
            "locked": result.locked,
            "later": result.later,
            "bad": files,
        }
    )
