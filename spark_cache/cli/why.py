"""``spark-cache why``: why an answer did not come from the cache."""

from __future__ import annotations

import time
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING

import click

from spark_cache.cli.cache import NotFoundError, find_entry, key_ring, with_cache
from spark_cache.cli.output import print_json
from spark_cache.cli.progress import progress
from spark_cache.cli.text import harmless

if TYPE_CHECKING:
    from spark_cache.core.write import EntryStore
    from spark_cache.explain import Explanation
    from spark_cache.manager import CacheManager

__all__ = ["why_command"]


@click.command("why")
@click.argument("key", required=False)
@click.option(
    "--last", type=click.IntRange(min=1), metavar="N", help="The last N misses; 1 where nothing is named."
)
@with_cache
def why_command(cache: CacheManager, key: str | None, last: int | None, as_json: bool) -> None:
    """Say why an answer did not come from the cache: the reason, the nearest entry, and in what the requests differ.

    KEY is a cache key, or the name of an entry or its beginning, such as a log line shows.
    """
    if key is not None and last is not None:
        raise click.UsageError("name a key or --last, not both")
    with progress("Comparing entries"):
        found = _last(cache, last or 1) if key is None else [_one(cache, key)]
    if as_json:
        print_json([asdict(explanation) for explanation in found])
        return
    click.echo("\n\n".join(harmless(str(explanation)) for explanation in found))


def _one(cache: CacheManager, key: str) -> Explanation:
    place = _place(cache)
    remembered = {note.name for note in place.directory.miss_log.misses() if note.name.startswith(key)}
    if len(remembered) == 1:
        return cache.explain(remembered.pop())
    try:
        return cache.explain(find_entry(cache, key).stem)
    except NotFoundError:
        explanation = cache.explain(key)
        if explanation.provider is None and place.directory.miss_log.removal(key) is None:
            raise
        return explanation


def _last(cache: CacheManager, number: int) -> list[Explanation]:

    from spark_cache.explain import explain_miss  # noqa: PLC0415 - the same

    place = _place(cache)
    notes = list(islice(place.directory.miss_log.misses(), number))
    if not notes:
        raise NotFoundError(
            f"no miss is remembered in {cache.cache_dir}; only those of modes that write are, and only the latest"
        )
    ring = key_ring(cache.config)
    return [explain_miss(place, ring, note) for note in notes]


def _place(cache: CacheManager) -> EntryStore:
    """The entries of a cache, with what is remembered of them."""
    from spark_cache.core.directory import open_directory  # noqa: PLC0415 - see open_cache
    from spark_cache.core.write import EntryStore  # noqa: PLC0415 - the same
    from spark_cache.events import StructlogSink  # noqa: PLC0415 - the same

    sink = StructlogSink()
    directory = open_directory(str(cache.cache_dir), cache.config, clock=time.time, sink=sink)
    return EntryStore(directory, cache.config, ring=key_ring(cache.config), sink=sink)
