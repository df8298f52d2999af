"""What the commands that move entries have in common: the keys, the files, the progress, the report."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import click

from spark_cache.cli.cache import key_ring
from spark_cache.cli.output import print_json
from spark_cache.cli.progress import progress
from spark_cache.cli.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.entries.keyring import KeyRing
    from spark_cache.maintenance.rotation import Conversion
    from spark_cache.manager import CacheManager
    from spark_cache.stores import FileStore

__all__ = ["open_store", "report", "required_ring", "with_progress"]

T = TypeVar("T")


def required_ring(cache: CacheManager) -> KeyRing:
    """The encryption keys.

    Raises:
        ConfigError: None are configured.
    """
    from spark_cache.errors import ConfigError  # noqa: PLC0415 - see open_cache

    ring = key_ring(cache.config)
    if ring is None:
        raise ConfigError(
            "there is no encryption key: set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE; "
            "`spark-cache keys generate` makes one"
        )
    return ring


def open_store(cache: CacheManager) -> FileStore:
    """The files of a cache, without a cap: nothing is evicted because an entry stands there twice for a moment."""
    from spark_cache.core.directory import open_directory  # noqa: PLC0415 - see open_cache
    from spark_cache.events import StructlogSink  # noqa: PLC0415 - the same
    from spark_cache.stores import FileStore  # noqa: PLC0415 - the same

    config = cache.config.with_(max_cache_size_mb="unlimited")
    store = open_directory(str(cache.cache_dir), config, clock=time.time, sink=StructlogSink()).store
    if not isinstance(store, FileStore):
        raise TypeError("the commands open caches of files")
    return store


def with_progress(
    description: str, cache: CacheManager, work: Callable[[FileStore, Callable[[], None]], T]
) -> T:
    """Do something to every entry of a cache, and show how far it has come."""
    store = open_store(cache)
    with progress(description, sum(1 for _ in store.scan())) as step:
        return work(store, step)


def report(done: Conversion, verb: str, *, as_json: bool) -> None:
    """Say what became of the entries; exit code 1 when some could not be moved."""
    if as_json:
        print_json(
            {
                "moved": done.moved,
                "superseded": done.superseded,
                "kept": done.kept,
                "unusable": dict(done.unusable),
            }
        )
    else:
        click.echo(f"{verb} {counted(done.moved, 'entry', 'entries')}")
        if done.superseded:
            click.echo(f"removed {done.superseded:,} where a newer answer stands")
        if done.kept:
            click.echo(f"left {done.kept:,} encrypted: the configuration requires it for their models")
        for reason, number in sorted(done.unusable.items()):
            click.echo(f"left {counted(number, 'entry', 'entries')} alone: {reason}", err=True)
    if done.unusable:
        raise SystemExit(1)
