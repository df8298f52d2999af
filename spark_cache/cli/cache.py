"""Open the cache that a command works on, and find its entries."""

from __future__ import annotations

import re
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from spark_cache.core.key_ring import key_ring

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spark_cache.config import CacheConfig
    from spark_cache.entries import CacheEntry
    from spark_cache.manager import CacheManager
    from spark_cache.types import EntryMeta

__all__ = ["NotFoundError", "find_entry", "open_cache", "time_left", "with_cache"]

_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_LISTED = 5


class NotFoundError(click.ClickException):
    """The requested entry is not in the cache or cannot be read. The exit code is 1."""


def with_cache(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--profile``, ``--dir`` and ``--json`` to a command and pass it the opened cache.

    Args:
        command: The command. It receives the cache as its first argument.
    """

    @click.option(
        "--profile", metavar="NAME", help="Use this profile instead of the one from the environment."
    )
    @click.option(
        "--dir",
        "directory",
        type=click.Path(exists=True, file_okay=False),
        help="Use this cache directory instead of the configured one.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @wraps(command)
    def run(profile: str | None, directory: str | None, **arguments: Any) -> None:
        command(open_cache(profile, directory), **arguments)

    return run


def open_cache(profile: str | None, directory: str | None) -> CacheManager:
    """Open the configured cache, and set up logging if the configuration asks for it.

    Args:
        profile: The profile. None selects the one from the environment.
        directory: The cache directory. None selects the configured one.

    Raises:
        ConfigError: The configuration is invalid, or it stores entries in memory.
    """
    # Imported here because pydantic, orjson and others take 200 ms, which --help does not need.
    from spark_cache.cli.profile_option import asked  # noqa: PLC0415 - see above
    from spark_cache.config.context import ConfigContext  # noqa: PLC0415 - see above
    from spark_cache.config.load import usable  # noqa: PLC0415 - see above
    from spark_cache.config.resolve import resolve  # noqa: PLC0415 - see above
    from spark_cache.core.log_output import configure_logging  # noqa: PLC0415 - see above
    from spark_cache.errors import ConfigError  # noqa: PLC0415 - see above
    from spark_cache.manager import CacheManager  # noqa: PLC0415 - see above

    named: dict[str, Any] = {} if directory is None else {"cache_dir": directory, "store": "file"}
    # load_config would report these values as arguments in code.
    config = usable(resolve(asked(profile), named, ConfigContext.of()))
    if config.store == "memory":
        raise ConfigError(
            'store = "memory" keeps entries inside the process that uses them, where this command cannot read them: '
            "name a cache directory with --dir"
        )
    if config.log_level is not None or config.origins["log_format"].kind != "default":
        configure_logging(config.log_level or "WARNING", config.log_format)
    return CacheManager(config)


def find_entry(cache: CacheManager, key: str) -> Path:
    """Find the file of one entry.

    Args:
        cache: The cache.
        key: The name of the file, a prefix of it, or the key that the entry was stored under.

    Raises:
        NotFoundError: No entry matches, or more than one does.
    """
    from spark_cache.stores import entry_name  # noqa: PLC0415 - see open_cache

    ring = key_ring(cache.config)
    names = [*(() if ring is None else ring.names(key)), entry_name(key)]
    found = [path for name in names for path in _files(cache.cache_dir, name)]
    if not found and _HEX.fullmatch(key):
        found = _files(cache.cache_dir, f"{key}*")
    if not found:
        raise NotFoundError(
            f"no entry in {cache.cache_dir} matches the key {key}; run `spark-cache ls` to list the entries"
        )
    if len(found) > 1:
        listed = [f"  {path.relative_to(cache.cache_dir)}" for path in found[:_LISTED]]
        if len(found) > _LISTED:
            listed.append(f"  and {len(found) - _LISTED} more")
        raise NotFoundError("\n".join([f"{len(found)} entries match the key {key}:", *listed]))
    return found[0]


def time_left(entry: EntryMeta | CacheEntry, config: CacheConfig, now: float) -> float | None:
    """Return the seconds for which an entry may still be served, or None if it never expires.

    Args:
        entry: The entry.
        config: The configuration of the reader. The shorter of its TTL and the entry's own TTL applies.
        now: The current time, in seconds since the epoch.
    """
    policy = config.policy(entry.provider, entry.model_id)
    ttls = [ttl for ttl in (entry.ttl, policy.ttl_seconds) if ttl is not None]
    if policy.mode == "replay" or not ttls:
        return None
    return entry.timestamp + min(ttls) - now


def _files(cache_dir: Path, name: str) -> list[Path]:
    return sorted(path for path in cache_dir.glob(f"*/*/{name}.json") if path.parts[-3][0] != ".")
