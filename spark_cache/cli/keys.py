"""``spark-cache keys``: generate, list, rotate and retire encryption keys."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import click

from spark_cache.cli.cache import with_cache
from spark_cache.cli.moving import report, required_ring, with_progress
from spark_cache.cli.output import print_json, table
from spark_cache.cli.text import counted, size_text
from spark_cache.core.key_ring import key_ring

if TYPE_CHECKING:
    from spark_cache.maintenance.rotation import Census
    from spark_cache.manager import CacheManager

__all__ = ["keys_command"]

_KEY_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


@click.group("keys")
def keys_command() -> None:
    """Generate, list, rotate and retire encryption keys.

    To replace a key, generate a new one. Add it to every program as the last key, then move it to the first position.
    Run `rotate`, and then `retire` the old key. No entry is lost at any step.
    """


@keys_command.command("generate")
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    help="Write the key to this new file, which only its owner can read.",
)
@click.option("--show", is_flag=True, help="Print the key even on a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def generate(path: Path | None, show: bool, as_json: bool) -> None:
    """Generate an encryption key.

    The key is written to a new file, or to standard output if that is not a terminal.
    """
    from cryptography.fernet import Fernet  # noqa: PLC0415 - 30 ms, not for --help

    from spark_cache.config.secret import key_id  # noqa: PLC0415 - the same

    if path is not None and show:
        raise click.UsageError("--file and --show cannot be used together")
    key = Fernet.generate_key().decode()
    if path is None and not show and sys.stdout.isatty():
        raise click.UsageError("the key is not shown on a terminal: use --file or --show")
    if path is not None:
        _write_new(path, f"{key}\n")
    if as_json:
        where = {"key": key} if path is None else {"path": str(path.absolute())}
        print_json({"id": key_id(key), **where})
    elif path is not None:
        click.echo(f"wrote a key with the ID {key_id(key)} to {path}")
        click.echo(f"use it with SPARK_CACHE_ENCRYPTION_KEY_FILE={path.absolute()}")
    else:
        click.echo(key)


@keys_command.command("list")
@with_cache
def list_(cache: CacheManager, as_json: bool) -> None:
    """List the encryption keys and the entries under each.

    The list shows the IDs of the keys, newest first. It includes keys that entries need but that are not configured.
    """
    from spark_cache.maintenance.rotation import count  # noqa: PLC0415 - see open_cache

    census = with_progress("Counting entries", cache, lambda store, step: count(store, step=step))
    ids = _ids(cache)
    lost = sorted(key_id for key_id in census.entries if key_id is not None and key_id not in ids)
    uses = dict.fromkeys(ids, "reads") | dict.fromkeys(ids[:1], "writes") | dict.fromkeys(lost, "not at hand")
    if as_json:
        print_json(
            {
                "keys": [
                    {"id": key_id, "use": use, **_counts(census, key_id)} for key_id, use in uses.items()
                ],
                "plain": _counts(census, None),
                "unreadable": census.unreadable,
            }
        )
        return
    rows = [(key_id, use, *_cells(census, key_id)) for key_id, use in uses.items()]
    table(("key id", "use", ">entries", ">size"), [*rows, ("plain", "", *_cells(census, None))])
    _report_unreadable(census)


@keys_command.command("rotate")
@with_cache
def rotate_command(cache: CacheManager, as_json: bool) -> None:
    """Encrypt the entries under other keys with the first key.

    Programs may use the cache during the run. If the run is interrupted, run it again to continue where it stopped.
    """
    from spark_cache.maintenance.rotation import rotate  # noqa: PLC0415 - see open_cache

    ring = required_ring(cache)
    done = with_progress("Rotating entries", cache, lambda store, step: rotate(store, ring, step=step))
    report(done, f"encrypted with the key {ring.ids[0]}:", as_json=as_json)


@keys_command.command("retire")
@click.argument("key_id", metavar="ID")
@click.option("--purge", is_flag=True, help="Remove the entries that need the key instead of refusing.")
@with_cache
def retire(cache: CacheManager, key_id: str, purge: bool, as_json: bool) -> None:
    """Take an encryption key out of use.

    The key is removed from the key file. If it is set elsewhere, the command shows where. The command refuses while
    entries need the key.
    """
    from spark_cache.maintenance.rotation import count  # noqa: PLC0415 - see open_cache
    from spark_cache.maintenance.rotation import purge as purge_entries  # noqa: PLC0415 - the same

    if not _KEY_ID.fullmatch(key_id):
        # The message does not repeat the argument, because it may be the key itself.
        raise click.UsageError("a key ID has 16 hex digits; `spark-cache keys list` shows the IDs")
    if not cache.cache_dir.is_dir():
        # A missing directory must not count as one in which no entry needs the key. The entries may be elsewhere.
        raise click.ClickException(f"there is no cache in {cache.cache_dir}: set the directory with --dir")
    ids = _ids(cache)
    if key_id in ids[:1]:
        raise click.ClickException(f"new entries are encrypted with the key {key_id}: put another key first")
    removed = 0
    if purge:
        removed = with_progress(
            "Removing entries", cache, lambda store, step: purge_entries(store, key_id, step=step)
        )
    census = with_progress("Counting entries", cache, lambda store, step: count(store, step=step))
    needed = census.entries[key_id]
    if needed:
        need = f"{counted(needed, 'entry needs', 'entries need')} the key {key_id}"
        raise click.ClickException(
            f"{need}: `spark-cache keys rotate` encrypts them with the first key, --purge removes them"
        )
    if key_id not in ids and not removed:
        raise click.ClickException(
            f"there is no key {key_id} and no entry under it; `spark-cache keys list` shows the keys"
        )
    done = _remove_key(cache, key_id) if key_id in ids else "the key was not configured"
    _report_unreadable(census)
    if as_json:
        print_json({"retired": key_id, "removed": removed, "done": done})
        return
    if removed:
        click.echo(f"removed {counted(removed, 'entry', 'entries')}")
    click.echo(f"no entry in {cache.cache_dir} needs the key {key_id}; {done}")


def _ids(cache: CacheManager) -> tuple[str, ...]:
    ring = key_ring(cache.config)
    return () if ring is None else ring.ids


def _counts(census: Census, key_id: str | None) -> dict[str, int]:
    return {"entries": census.entries[key_id], "size_bytes": census.size_bytes[key_id]}


def _cells(census: Census, key_id: str | None) -> tuple[str, str]:
    return f"{census.entries[key_id]:,}", size_text(census.size_bytes[key_id])


def _report_unreadable(census: Census) -> None:
    if census.unreadable:
        unreadable = counted(census.unreadable, "file that cannot", "files that cannot")
        click.echo(f"not counted: {unreadable} be read as an entry", err=True)


def _remove_key(cache: CacheManager, key_id: str) -> str:
    """Remove a key from the key file, or find where it is set. Return what was done or what remains to do."""
    config = cache.config
    if config.encryption_key_file is not None:
        line = _remove_line(config.encryption_key_file, key_id)
        return f"removed line {line} of {config.encryption_key_file}"
    ids = _ids(cache)
    origin = config.origins["encryption_keys"]
    return f"remove key {ids.index(key_id) + 1} of {len(ids)} from {origin.name} ({origin.place})"


def _remove_line(path: Path, key_id: str) -> int:
    """Remove the line of a key from a key file in one step, and return its number."""
    from spark_cache.config.secret import key_id as id_of  # noqa: PLC0415 - see open_cache

    lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    number = next(
        number
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#") and id_of(line.strip()) == key_id
    )
    temporary = path.with_name(f"{path.name}.{token_hex(4)}")
    _write_new(temporary, "".join(lines[: number - 1] + lines[number:]))
    os.replace(temporary, path)
    return number


def _write_new(path: Path, text: str) -> None:
    """Write a new file that only its owner can read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise click.UsageError(f"{path} already exists, and keys are never overwritten") from None
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}") from None
    with open(descriptor, "w", encoding="utf-8") as file:
        # A strict umask may have removed rights of the owner too.
        os.fchmod(descriptor, 0o600)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
