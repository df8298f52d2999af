"""``spark-cache why``: explain why a response did not come from the cache."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from spark_cache.cli.cache import NotFoundError, find_entry, with_cache
from spark_cache.cli.output import print_json
from spark_cache.cli.progress import progress
from spark_cache.cli.text import harmless
from spark_cache.core.key_ring import key_ring

if TYPE_CHECKING:
    from spark_cache.core.lookup import Lookup
    from spark_cache.explain import Explanation
    from spark_cache.manager import CacheManager

__all__ = ["why_command"]


@click.command("why")
@click.argument("key", required=False)
@click.option(
    "--last",
    type=click.IntRange(min=1),
    metavar="N",
    help="Explain the last N misses.",
)
@with_cache
def why_command(cache: CacheManager, key: str | None, last: int | None, as_json: bool) -> None:
    """Explain why a response did not come from the cache.

    The output gives the reason, the nearest entry, and the differences between the requests.

    KEY is a cache key, the name of an entry, or a prefix of the name, as shown in a log line. Without KEY, the last miss
    is explained.
    """
    if key is not None and last is not None:
        raise click.UsageError("use KEY or --last, not both")
    with progress("Comparing entries"):
        found = _last(cache, last or 1) if key is None else [_one(cache, key)]
    if as_json:
        print_json([asdict(explanation) for explanation in found])
        return
    click.echo("\n\n".join(harmless(str(explanation)) for explanation in found))


def _one(cache: CacheManager, key: str) -> Explanation:
    lookup = _lookup(cache)
    missed = {note.name for note in lookup.directory.savings.misses(key)}
    if len(missed) == 1:
        return cache.explain(missed.pop())
    try:
        return cache.explain(find_entry(cache, key).stem)
    except NotFoundError:
        explanation = cache.explain(key)
        removals = lookup.directory.savings.removals(key)
        if explanation.provider is None and all(note.why == "cleanup" for note in removals):
            raise
        return explanation


def _last(cache: CacheManager, number: int) -> list[Explanation]:
    from spark_cache.explain import explain_miss  # noqa: PLC0415 - see open_cache

    lookup = _lookup(cache)
    notes = lookup.directory.savings.misses()[:number]
    if not notes:
        raise NotFoundError(
            f"the miss log of {cache.cache_dir} is empty: only modes that write add to it, and only the newest misses are kept"
        )
    ring = key_ring(cache.config)
    return [explain_miss(lookup, ring, note) for note in notes]


def _lookup(cache: CacheManager) -> Lookup:
    """Return a lookup in the cache directory, which also gives access to the miss log."""
    from spark_cache.core.cache import Cache  # noqa: PLC0415 - see open_cache
    from spark_cache.events import StructlogSink  # noqa: PLC0415 - see open_cache
    from spark_cache.keys import DigestMemo  # noqa: PLC0415 - see open_cache

    return Cache(cache.config, clock=time.time, sink=StructlogSink(), memo=DigestMemo()).open().lookup
