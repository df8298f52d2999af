"""``spark-cache encrypt`` and ``decrypt``: the entries of an existing cache; and what moving entries has in common."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from spark_cache.cli.cache import key_ring, with_cache
from spark_cache.cli.output import print_json
from spark_cache.cli.progress import progress
from spark_cache.cli.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.entries import CacheEntry
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.manager import CacheManager
    from spark_cache.rotation import Conversion
    from spark_cache.stores import FileStore

__all__ = ["decrypt_command", "encrypt_command", "open_store", "report", "required_ring", "with_progress"]


@click.command("encrypt")
@with_cache
def encrypt_command(cache: CacheManager, as_json: bool) -> None:
    """Encrypt every plain entry with the first key, and remove its plain file.

    Programs may use the cache meanwhile. The blocks that the plain files stood in are not wiped.
    """
    from spark_cache.rotation import encrypt  # noqa: PLC0415 - see open_cache

    ring = required_ring(cache)
    done = with_progress("Encrypting entries", cache, lambda store, step: encrypt(store, ring, step=step))
    report(done, "encrypted", as_json=as_json)


@click.command("decrypt")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_cache
def decrypt_command(cache: CacheManager, yes: bool, as_json: bool) -> None:
    """Write every encrypted entry as plain text, to be read by whoever can read its file.

    An entry stays encrypted where the configuration wants it so: by encryption = "all", or a rule.
    """
    from spark_cache.plan import needs_sealing  # noqa: PLC0415 - see open_cache
    from spark_cache.rotation import decrypt  # noqa: PLC0415 - the same

    def may_be_plain(entry: CacheEntry) -> bool:
        policy = cache.config.policy(entry.provider, entry.model_id)
        return not needs_sealing(policy, sensitive=False)

    ring = required_ring(cache)
    if not yes:
        question = f"Write the encrypted prompts and answers in {cache.cache_dir} as plain text?"
        click.confirm(question, abort=True, err=True)
    done = with_progress(
        "Decrypting entries",
        cache,
        lambda store, step: decrypt(store, ring, may_be_plain=may_be_plain, step=step),
    )
    report(done, "decrypted", as_json=as_json)


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
    from spark_cache.directory import open_directory  # noqa: PLC0415 - see open_cache
    from spark_cache.events import StructlogSink  # noqa: PLC0415 - the same
    from spark_cache.stores import FileStore  # noqa: PLC0415 - the same

    config = cache.config.with_(max_cache_size_mb="unlimited")
    store = open_directory(str(cache.cache_dir), config, clock=time.time, sink=StructlogSink()).store
    if not isinstance(store, FileStore):
        raise TypeError("the commands open caches of files")
    return store


def with_progress[T](
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
