"""``spark-cache stats`` and ``ls``: show what a cache contains."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from spark_cache.cli.cache import time_left, with_cache
from spark_cache.cli.output import print_json, table
from spark_cache.cli.progress import progress
from spark_cache.cli.text import (
    counted,
    harmless,
    left_text,
    share_text,
    size_text,
    span_text,
    waiting_text,
)

if TYPE_CHECKING:
    from spark_cache.config import CacheConfig
    from spark_cache.manager import CacheManager
    from spark_cache.types import EntryMeta

__all__ = ["ls_command", "stats_command"]

_NAME_LENGTH = 12
"""The number of characters of a name that log lines show."""


@click.command("stats")
@with_cache
def stats_command(cache: CacheManager, as_json: bool) -> None:
    """Show entry counts, sizes, and what the cache has saved."""
    config = cache.config
    with progress("Counting entries"):
        stats = cache.get_stats()
    # The counters of this process are left out: it has made no lookups.
    shown = {
        "cache_dir": stats["cache_dir"],
        "profile": config.profile,
        "enabled": config.enabled,
        **{name: stats[name] for name in ("total_entries", "total_size_bytes", "apparent_size_bytes")},
        **{name: stats[name] for name in ("by_provider", "by_model", "lifetime")},
    }
    if as_json:
        print_json(shown)
        return
    click.echo(stats["cache_dir"])
    click.echo(f"profile {config.profile or 'none'}, caching is {'on' if config.enabled else 'off'}\n")
    rows = [
        (harmless(provider), harmless(model), f"{figures['entries']:,}", size_text(figures["size_bytes"]))
        for provider, models in sorted(stats["by_model"].items())
        for model, figures in sorted(models.items())
    ]
    total = (f"{stats['total_entries']:,}", size_text(stats["total_size_bytes"]))
    table(("provider", "model", ">entries", ">on disk"), [*rows, ("total", "", *total)])
    lifetime = stats["lifetime"]
    lookups = lifetime["hits"] + lifetime["misses"]
    click.echo()
    table(
        ("since the cache was created", ">"),
        [
            ("hits", f"{lifetime['hits']:,}"),
            ("misses", f"{lifetime['misses']:,}"),
            ("hit rate", share_text(lifetime["hit_rate"]) if lookups else "-"),
            ("tokens saved", f"{lifetime['tokens_saved']:,}"),
            ("time saved", waiting_text(lifetime["seconds_saved"])),
        ],
    )


@click.command("ls")
@click.option("--provider", metavar="NAME", help="Show only entries of this provider.")
@click.option("--model", metavar="NAME", help="Show only entries of this model.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Show only the newest N entries.")
@with_cache
def ls_command(
    cache: CacheManager, provider: str | None, model: str | None, limit: int | None, as_json: bool
) -> None:
    """List the entries, newest first."""
    files = _count(cache.get_stats()["by_model"], provider, model)
    entries: list[EntryMeta] = []
    with progress("Reading entries", files) as step:
        for entry in cache.entries(provider, model):
            entries.append(entry)
            step()
    entries.sort(key=lambda entry: (-entry.timestamp, entry.name))
    now = time.time()
    listed = entries[:limit]
    if as_json:
        print_json([_json_meta(entry, cache.config, now) for entry in listed])
    elif listed:
        table(
            ("entry", "provider", "model", ">age", ">time left", ">size", ""),
            [_row(entry, cache.config, now) for entry in listed],
        )
    else:
        click.echo(f"no entries in {cache.cache_dir}")
    if len(listed) < len(entries):
        click.echo(
            f"showing the newest {len(listed):,} of {counted(len(entries), 'entry', 'entries')}", err=True
        )
    if len(entries) < files:
        unreadable = counted(files - len(entries), "file that cannot", "files that cannot")
        click.echo(f"not listed: {unreadable} be read as an entry", err=True)


def _count(by_model: dict[str, dict[str, dict[str, int]]], provider: str | None, model: str | None) -> int:
    return sum(
        figures["entries"]
        for provider_name, models in by_model.items()
        for model_name, figures in models.items()
        if provider in (None, provider_name) and model in (None, model_name)
    )


def _row(entry: EntryMeta, config: CacheConfig, now: float) -> tuple[str, ...]:
    return (
        entry.name[:_NAME_LENGTH],
        harmless(entry.provider),
        harmless(entry.model_id),
        span_text(now - entry.timestamp),
        left_text(time_left(entry, config, now)),
        size_text(entry.size_bytes),
        "encrypted" if entry.encrypted else "",
    )


def _json_meta(entry: EntryMeta, config: CacheConfig, now: float) -> dict[str, Any]:
    left = time_left(entry, config, now)
    return {
        **entry._asdict(),
        "age_seconds": now - entry.timestamp,
        "seconds_left": left,
        "expired": left is not None and left <= 0,
    }
