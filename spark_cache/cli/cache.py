"""The cache that a command works on: which one it is, and where its files are."""

from __future__ import annotations

import re
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spark_cache.config import CacheConfig
    from spark_cache.entries import CacheEntry
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.manager import CacheManager
    from spark_cache.types import EntryMeta

__all__ = ["NotFoundError", "find_entry", "key_ring", "open_cache", "time_left", "with_cache"]

_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_LISTED = 5


class NotFoundError(click.ClickException):
    """What was asked for is not in the cache, or cannot be read: exit code 1."""


def with_cache(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--profile``, ``--dir`` and ``--json``; it takes the opened cache as its first argument."""

    @click.option("--profile", metavar="NAME", help="The profile; else the environment decides.")
    @click.option(
        "--dir",
        "directory",
        type=click.Path(exists=True, file_okay=False),
        help="The cache directory, instead of the configured one.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @wraps(command)
    def run(profile: str | None, directory: str | None, **arguments: Any) -> None:
        command(open_cache(profile, directory), **arguments)

    return run


def open_cache(profile: str | None, directory: str | None) -> CacheManager:
    """The cache that the configuration names, and its log output where the configuration asks for some.

    Args:
        profile: The profile; None leaves it to the environment.
        directory: The cache directory; None is the configured one.

    Raises:
        ConfigError: The configuration cannot be used, or its entries are in no file.
    """
    # Pydantic, orjson and the rest take 200 ms: not for --help.
    from spark_cache.cli.config_run import asked  # noqa: PLC0415 - see above
    from spark_cache.config.context import ConfigContext  # noqa: PLC0415 - see above
    from spark_cache.config.load import usable  # noqa: PLC0415 - see above
    from spark_cache.config.resolve import resolve  # noqa: PLC0415 - see above
    from spark_cache.errors import ConfigError  # noqa: PLC0415 - see above
    from spark_cache.events import configure_logging  # noqa: PLC0415 - see above
    from spark_cache.manager import CacheManager  # noqa: PLC0415 - see above

    named: dict[str, Any] = {} if directory is None else {"cache_dir": directory, "store": "file"}
    # Not load_config: its errors would speak of an argument in code.
    config = usable(resolve(asked(profile), named, ConfigContext.of()))
    if config.store == "memory":
        raise ConfigError(
            'store = "memory" keeps entries inside the program that uses them, out of reach from here: '
            "name a cache directory with --dir"
        )
    if config.log_level is not None or config.origins["log_format"].kind != "default":
        configure_logging(config.log_level or "WARNING", config.log_format)
    return CacheManager(config)


def find_entry(cache: CacheManager, key: str) -> Path:
    """The file of one entry.

    Args:
        cache: The cache.
        key: The file's name or its beginning, or the key that the entry was stored under.

    Raises:
        NotFoundError: No file, or more than one, answers to it.
    """
    from spark_cache.stores import entry_name  # noqa: PLC0415 - see open_cache

    ring = key_ring(cache.config)
    names = [*(() if ring is None else ring.names(key)), entry_name(key)]
    found = [path for name in names for path in _files(cache.cache_dir, name)]
    if not found and _HEX.fullmatch(key):
        found = _files(cache.cache_dir, f"{key}*")
    if not found:
        raise NotFoundError(
            f"no entry in {cache.cache_dir} has the key {key}; `spark-cache ls` lists the entries"
        )
    if len(found) > 1:
        listed = [f"  {path.relative_to(cache.cache_dir)}" for path in found[:_LISTED]]
        if len(found) > _LISTED:
            listed.append(f"  and {len(found) - _LISTED} more")
        raise NotFoundError("\n".join([f"{len(found)} entries answer to the key {key}:", *listed]))
    return found[0]


def time_left(entry: EntryMeta | CacheEntry, config: CacheConfig, now: float) -> float | None:
    """How long an entry may still be served under a configuration, in seconds; None is for ever."""
    policy = config.policy(entry.provider, entry.model_id)
    bounds = [ttl for ttl in (entry.ttl, policy.ttl_seconds) if ttl is not None]
    if policy.mode == "replay" or not bounds:
        return None
    return entry.timestamp + min(bounds) - now


def key_ring(config: CacheConfig) -> KeyRing | None:
    """The keys for encrypted entries; None where none are configured."""
    keys = config.fernet_keys()
    if not keys:
        return None
    from spark_cache.entries.keyring import KeyRing  # noqa: PLC0415 - without keys there is no need of cryptography

    return KeyRing(keys)


def _files(cache_dir: Path, name: str) -> list[Path]:
    return sorted(path for path in cache_dir.glob(f"*/*/{name}.json") if path.parts[-3][0] != ".")
