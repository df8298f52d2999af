"""Shared parts of the commands that rewrite entries: encryption keys, store, progress and report."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import click

from spark_cache.cli.output import print_json
from spark_cache.cli.progress import progress
from spark_cache.cli.text import counted
from spark_cache.core.key_ring import key_ring

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.entries.keyring import KeyRing
    from spark_cache.maintenance.rotation import Conversion
    from spark_cache.manager import CacheManager
    from spark_cache.stores import FileStore

__all__ = ["open_store", "report", "required_ring", "with_progress"]

T = TypeVar("T")


def required_ring(cache: CacheManager) -> KeyRing:
    """Return the configured encryption keys.

    Args:
        cache: The cache.

    Raises:
        ConfigError: No encryption key is configured.
    """
    from spark_cache.errors import ConfigError  # noqa: PLC0415 - see open_cache

    ring = key_ring(cache.config)
    if ring is None:
        raise ConfigError(
            "no encryption key is configured: set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE; "
            "`spark-cache keys generate` generates a key"
        )
    return ring


def open_store(cache: CacheManager) -> FileStore:
    """Open the file store of a cache without its size limit, so that an entry that briefly exists twice evicts nothing.

    Args:
        cache: The cache.
    """
    from spark_cache.core.directory import open_directory  # noqa: PLC0415 - see open_cache
    from spark_cache.events import StructlogSink  # noqa: PLC0415 - the same
    from spark_cache.stores import FileStore  # noqa: PLC0415 - the same

    config = cache.config.with_(max_cache_size_mb="unlimited")
    store = open_directory(str(cache.cache_dir), config, clock=time.time, sink=StructlogSink()).store
    if not isinstance(store, FileStore):
        raise TypeError("the command needs a file store")
    return store


def with_progress(
    description: str, cache: CacheManager, work: Callable[[FileStore, Callable[[], None]], T]
) -> T:
    """Run an operation on every entry of a cache, and show its progress.

    Args:
        description: The label of the progress bar.
        cache: The cache.
        work: The operation. It receives the store and a function to call after each entry.
    """
    store = open_store(cache)
    with progress(description, sum(1 for _ in store.scan())) as step:
        return work(store, step)


def report(done: Conversion, verb: str, *, as_json: bool) -> None:
    """Print the counts of a conversion, and exit with code 1 if some entries could not be converted.

    Args:
        done: The counts.
        verb: What was done to the entries.
        as_json: Whether to print JSON.
    """
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
            click.echo(f"removed {done.superseded:,} because a newer entry exists")
        if done.kept:
            click.echo(
                f"left {done.kept:,} encrypted: the configuration requires encryption for their models"
            )
        for reason, number in sorted(done.unusable.items()):
            click.echo(f"skipped {counted(number, 'entry', 'entries')}: {reason}", err=True)
    if done.unusable:
        raise SystemExit(1)
