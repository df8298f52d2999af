"""``spark-cache export``, ``import`` and ``diff``: entries that move between caches."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from spark_cache.cli.cache import key_ring, open_cache, with_cache
from spark_cache.cli.moving import open_store
from spark_cache.cli.output import print_json
from spark_cache.cli.progress import progress
from spark_cache.cli.text import counted, harmless, size_text

if TYPE_CHECKING:
    from spark_cache.archive import Changed, Item, Review
    from spark_cache.manager import CacheManager
    from spark_cache.types import EntryMeta

__all__ = ["diff_command", "export_command", "import_command"]

_LISTED = 10
_MEGABYTE = 2**20


def _since(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A date, a date with a time, or a span back from now, as seconds since the epoch."""
    from spark_cache.config.values import duration  # noqa: PLC0415 - see open_cache

    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        try:
            return time.time() - duration(value)
        except ValueError:
            problem = f"{value!r} is neither a date such as 2026-11-20 nor a span such as 7d"
            raise click.BadParameter(problem, ctx, param) from None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--provider", metavar="NAME", help="Only entries of this provider.")
@click.option("--model", metavar="NAME", help="Only entries of this model.")
@click.option(
    "--since",
    callback=_since,
    metavar="WHEN",
    help="Only entries stored since a date (UTC), or in the last 7d.",
)
@with_cache
def export_command(
    cache: CacheManager,
    file: str,
    provider: str | None,
    model: str | None,
    since: float | None,
    as_json: bool,
) -> None:
    """Write entries into the archive FILE: the same bytes for the same entries. Encrypted ones stay encrypted."""
    from spark_cache.archive import export_entries  # noqa: PLC0415 - see open_cache

    def wanted(entry: EntryMeta) -> bool:
        return (
            provider in (None, entry.provider)
            and model in (None, entry.model_id)
            and (since is None or entry.timestamp >= since)
        )

    store = open_store(cache)
    with progress("Exporting entries", sum(1 for _ in store.scan())) as step:
        done = export_entries(store, file, ring=key_ring(cache.config), wanted=wanted, step=step)
    if as_json:
        unusable = dict(done.unusable)
        print_json(
            {"entries": done.entries, "size_bytes": done.size_bytes, "file": file, "unusable": unusable}
        )
    else:
        click.echo(
            f"exported {counted(done.entries, 'entry', 'entries')} ({size_text(done.size_bytes)}) to {file}"
        )
        for reason, number in sorted(done.unusable.items()):
            click.echo(f"left out {counted(number, 'file', 'files')}: {reason}", err=True)
    if done.unusable:
        raise SystemExit(1)


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--profile", metavar="NAME", help="The profile; else the environment decides.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False),
    help="The cache directory, instead of the configured one; made where it is missing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_command(file: str, profile: str | None, directory: str | None, as_json: bool) -> None:
    """Put the entries of the archive FILE into the cache, all of them or none; never over a newer one.

    The archive is read whole and checked before the first entry is put in place. Programs may use the cache meanwhile.
    """
    from spark_cache.archive import import_entries, inspect  # noqa: PLC0415 - see open_cache
    from spark_cache.core.plan import must_encrypt  # noqa: PLC0415 - the same

    def may_be_plain(entry: EntryMeta) -> bool:
        return not must_encrypt(cache.config.policy(entry.provider, entry.model_id), sensitive=False)

    cache = open_cache(profile, directory)
    ring, now = key_ring(cache.config), time.time()
    with progress("Checking the archive") as step:
        held = inspect(
            file, ring=ring, may_be_plain=may_be_plain, now=now, room_bytes=_room(cache), step=step
        )
    with progress("Importing entries", held.entries) as step:
        done = import_entries(open_store(cache), file, ring=ring, now=now, step=step)
    if as_json:
        print_json({"placed": done.placed, "same": done.same, "kept": done.kept})
        return
    click.echo(f"imported {counted(done.placed, 'entry', 'entries')} into {cache.cache_dir}")
    if done.same:
        click.echo(f"{done.same:,} stood there already")
    if done.kept:
        click.echo(f"left out {done.kept:,} where an entry as new stands")


@click.command("diff")
@click.argument("first", metavar="DIR_A", type=click.Path(exists=True, file_okay=False))
@click.argument("second", metavar="DIR_B", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--profile",
    metavar="NAME",
    help="The profile whose encryption keys are used; else the environment decides.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff_command(first: str, second: str, profile: str | None, as_json: bool) -> None:
    """Say how the entries in DIR_B differ from those in DIR_A: which came and went, and which answers changed.

    When an answer was recorded, how long it took, and the number that the provider gave it do not count.
    """
    from spark_cache.archive import review  # noqa: PLC0415 - see open_cache

    caches = [open_cache(profile, directory) for directory in (first, second)]
    stores = [open_store(cache) for cache in caches]
    with progress("Comparing entries", sum(1 for store in stores for _ in store.scan())) as step:
        done = review(*stores, ring=key_ring(caches[0].config), step=step)
    if as_json:
        _print_json(done)
    else:
        _print(done)


def _room(cache: CacheManager) -> float:
    """What the entries of an archive may occupy: no more than the cache may, nor than the disk has left."""
    cap = cache.config.max_cache_size_mb
    folder = os.path.abspath(cache.cache_dir)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    free = shutil.disk_usage(folder).free
    return free if cap is None else min(free, cap * _MEGABYTE)


def _print(done: Review) -> None:
    for item in done.removed:
        click.echo(f"- {_shown(item)}")
    for item in done.added:
        click.echo(f"+ {_shown(item)}")
    for changed in done.requests:
        click.echo(f"~ {_shown(changed.item)}, another request instead of {_name(changed.instead_of)}")
        _print_differences(changed)
    for changed in done.answers:
        click.echo(f"~ {_shown(changed.item)}, another answer")
        _print_differences(changed)
    counts = {
        "added": len(done.added),
        "removed": len(done.removed),
        "with another request": len(done.requests),
        "with another answer": len(done.answers),
        "the same": done.same,
    }
    total = ", ".join(f"{number:,} {what}" for what, number in counts.items() if number or what == "the same")
    renewed = f" ({done.renewed:,} of them recorded anew)" if done.renewed else ""
    click.echo(total + renewed)
    for reason, number in sorted(done.unreadable.items()):
        click.echo(f"not compared: {counted(number, 'file', 'files')}: {reason}", err=True)


def _print_differences(changed: Changed) -> None:
    for difference in changed.differences[:_LISTED]:
        click.echo(f"    {harmless(str(difference))}")
    if len(changed.differences) > _LISTED:
        click.echo(f"    and {len(changed.differences) - _LISTED} more")


def _print_json(done: Review) -> None:
    from dataclasses import asdict  # noqa: PLC0415 - for programs

    print_json(asdict(done))


def _shown(item: Item) -> str:
    return harmless(str(item))


def _name(item: Item | None) -> str:
    return "" if item is None else item.name[:12]
