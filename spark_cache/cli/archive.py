"""``spark-cache export``, ``import`` and ``diff``: move entries between caches and compare caches."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from spark_cache.cli.cache import open_cache, with_cache
from spark_cache.cli.moving import open_store
from spark_cache.cli.output import print_json
from spark_cache.cli.progress import progress
from spark_cache.cli.text import counted, harmless, size_text
from spark_cache.core.key_ring import key_ring

if TYPE_CHECKING:
    from spark_cache.archive import CacheDiff, ChangedEntry, EntryRef
    from spark_cache.manager import CacheManager
    from spark_cache.types import EntryMeta

__all__ = ["diff_command", "export_command", "import_command"]

_SHOWN_DIFFERENCES = 10
_MEGABYTE = 2**20


def _since(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Convert a date, a date with a time, or a span before now to seconds since the epoch."""
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
@click.option("--provider", metavar="NAME", help="Export only entries of this provider.")
@click.option("--model", metavar="NAME", help="Export only entries of this model.")
@click.option(
    "--since",
    callback=_since,
    metavar="WHEN",
    help="Export only entries stored since a date (UTC) or within a span such as 7d.",
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
    """Write entries to the archive FILE.

    The same entries always give the same bytes. Encrypted entries stay encrypted.
    """
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
@click.option("--profile", metavar="NAME", help="Use this profile instead of the one from the environment.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False),
    help="Use this cache directory instead of the configured one. It is created if it is missing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_command(file: str, profile: str | None, directory: str | None, as_json: bool) -> None:
    """Import the entries of the archive FILE.

    Either all entries are imported or none: the whole archive is checked before the first entry is written. An entry
    in the cache that is at least as new is kept. Programs may use the cache during the import.
    """
    from spark_cache.archive import import_entries, inspect  # noqa: PLC0415 - see open_cache
    from spark_cache.core.plan import must_encrypt  # noqa: PLC0415 - the same

    def may_be_plain(entry: EntryMeta) -> bool:
        return not must_encrypt(cache.config.policy(entry.provider, entry.model_id), sensitive=False)

    cache = open_cache(profile, directory)
    ring, now = key_ring(cache.config), time.time()
    with progress("Checking the archive") as step:
        contents = inspect(
            file, ring=ring, may_be_plain=may_be_plain, now=now, room_bytes=_room(cache), step=step
        )
    with progress("Importing entries", contents.entries) as step:
        done = import_entries(open_store(cache), file, ring=ring, now=now, step=step)
    if as_json:
        print_json({"placed": done.placed, "same": done.same, "kept": done.kept})
        return
    click.echo(f"imported {counted(done.placed, 'entry', 'entries')} into {cache.cache_dir}")
    if done.same:
        click.echo(f"{done.same:,} already in the cache")
    if done.kept:
        click.echo(f"left out {done.kept:,} because the cache has an entry that is as new")


@click.command("diff")
@click.argument("first", metavar="DIR_A", type=click.Path(exists=True, file_okay=False))
@click.argument("second", metavar="DIR_B", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--profile",
    metavar="NAME",
    help="Read the encryption keys from this profile instead of the one from the environment.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff_command(first: str, second: str, profile: str | None, as_json: bool) -> None:
    """Compare the entries of two cache directories.

    The output lists the entries that DIR_B adds or lacks, and those whose request or response differs. The comparison
    ignores when a response was recorded, how long the call took, and the ID that the provider gave it.
    """
    from spark_cache.archive import diff_caches  # noqa: PLC0415 - see open_cache

    caches = [open_cache(profile, directory) for directory in (first, second)]
    stores = [open_store(cache) for cache in caches]
    with progress("Comparing entries", sum(1 for store in stores for _ in store.scan())) as step:
        diff = diff_caches(*stores, ring=key_ring(caches[0].config), step=step)
    if as_json:
        _print_json(diff)
    else:
        _print(diff)


def _room(cache: CacheManager) -> float:
    """Return the space that imported entries may occupy: the cap of the cache or the free disk space."""
    cap = cache.config.max_cache_size_mb
    folder = os.path.abspath(cache.cache_dir)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    free = shutil.disk_usage(folder).free
    return free if cap is None else min(free, cap * _MEGABYTE)


def _print(diff: CacheDiff) -> None:
    for item in diff.removed:
        click.echo(f"- {_shown(item)}")
    for item in diff.added:
        click.echo(f"+ {_shown(item)}")
    for changed in diff.requests:
        click.echo(f"~ {_shown(changed.item)}, changed request, replaces {_name(changed.instead_of)}")
        _print_differences(changed)
    for changed in diff.answers:
        click.echo(f"~ {_shown(changed.item)}, changed response")
        _print_differences(changed)
    counts = {
        "added": len(diff.added),
        "removed": len(diff.removed),
        "with a changed request": len(diff.requests),
        "with a changed response": len(diff.answers),
        "unchanged": diff.same,
    }
    total = ", ".join(
        f"{number:,} {what}" for what, number in counts.items() if number or what == "unchanged"
    )
    renewed = f" ({diff.renewed:,} of them re-recorded)" if diff.renewed else ""
    click.echo(total + renewed)
    for reason, number in sorted(diff.unreadable.items()):
        click.echo(f"not compared: {counted(number, 'file', 'files')}: {reason}", err=True)


def _print_differences(changed: ChangedEntry) -> None:
    for difference in changed.differences[:_SHOWN_DIFFERENCES]:
        click.echo(f"    {harmless(str(difference))}")
    if len(changed.differences) > _SHOWN_DIFFERENCES:
        click.echo(f"    and {len(changed.differences) - _SHOWN_DIFFERENCES} more")


def _print_json(diff: CacheDiff) -> None:
    from dataclasses import asdict  # noqa: PLC0415 - needed only for JSON output

    # asdict would rebuild the counter from its items, and count those.
    print_json({**asdict(diff), "unreadable": dict(diff.unreadable)})


def _shown(item: EntryRef) -> str:
    return harmless(str(item))


def _name(item: EntryRef | None) -> str:
    return "" if item is None else item.name[:12]
