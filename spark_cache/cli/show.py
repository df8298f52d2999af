"""``spark-cache show``: print one entry as text, as JSON, or unchanged."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from spark_cache.cli.cache import NotFoundError, find_entry, time_left, with_cache
from spark_cache.cli.output import print_json
from spark_cache.cli.text import harmless, left_text, seconds_text, size_text, span_text
from spark_cache.core.key_ring import key_ring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spark_cache.config import CacheConfig
    from spark_cache.entries import CacheEntry
    from spark_cache.manager import CacheManager

__all__ = ["show_command"]


@click.command("show")
@click.argument("key")
@click.option("--raw", is_flag=True, help="Print the file unchanged.")
@with_cache
def show_command(cache: CacheManager, key: str, raw: bool, as_json: bool) -> None:
    """Show one entry.

    KEY is the name of the entry's file, a prefix of it, or the key that the entry was stored under.
    """
    if raw and as_json:
        raise click.UsageError("--raw and --json cannot be used together")
    path = find_entry(cache, key)
    data = _read(path)
    if raw:
        click.echo(data, nl=False)
        return
    entry = _decode(path, data, cache.config)
    if as_json:
        print_json(json.loads(data))
        return
    for line in _lines(path, entry, len(data), cache.config):
        click.echo(line)


def _read(path: Path) -> bytes:
    from spark_cache.stores.atomic import read_file  # noqa: PLC0415 - see open_cache
    from spark_cache.types import MissReason  # noqa: PLC0415 - the same

    found = read_file(str(path))
    if isinstance(found, MissReason):
        raise NotFoundError(f"{path} cannot be read: {found.value}")
    return found[0]


def _decode(path: Path, data: bytes, config: CacheConfig) -> CacheEntry:
    from spark_cache.entries import decode  # noqa: PLC0415 - see _read
    from spark_cache.types import MissReason  # noqa: PLC0415 - the same

    entry = decode(data, ring=key_ring(config))
    if isinstance(entry, MissReason):
        raise NotFoundError(
            f"{path} cannot be read as an entry: {entry.value}; --raw prints the file unchanged"
        )
    return entry


def _lines(path: Path, entry: CacheEntry, size_bytes: int, config: CacheConfig) -> Iterator[str]:
    """Yield an entry as readable lines: its fields, the request if it is stored, and the response."""
    now = time.time()
    response = entry.response
    stored = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.timestamp))
    fields = {
        "file": str(path),
        "size": size_text(size_bytes),
        "provider": entry.provider,
        "model": entry.model_id,
        "profile": entry.profile,
        "stored": f"{stored}, {span_text(now - entry.timestamp)} ago",
        "time left": left_text(time_left(entry, config, now)),
        "stop reason": response.get("stop_reason"),
        "usage": _usage(response.get("usage")),
        "latency": _latency(response.get("latency_seconds")),
    }
    yield from (
        f"{_bold(f'{name:<11}')}  {harmless(str(text))}" for name, text in fields.items() if text is not None
    )
    parts = {
        "request": entry.request,
        "response": response.get("content"),
        "tool calls": response.get("tool_calls"),
    }
    for name, value in parts.items():
        if value:
            yield from ("", _bold(name), _readable(value))


def _usage(usage: object) -> str | None:
    if not isinstance(usage, dict):
        return None
    return ", ".join(f"{name.removesuffix('_tokens')} {count}" for name, count in usage.items()) + " tokens"


def _latency(seconds: object) -> str | None:
    return seconds_text(seconds) if isinstance(seconds, int | float) else None


def _bold(text: str) -> str:
    return click.style(text, bold=True)


def _readable(value: object) -> str:
    """Return a string as text and any other value as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return harmless(text)
