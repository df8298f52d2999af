"""List, count and clean up a whole cache directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.manager.statistics import statistics
from spark_cache.stores import folder_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, timedelta

    from spark_cache.core.cache import Cache
    from spark_cache.savings import Totals
    from spark_cache.types import EntryMeta

__all__ = ["Maintenance"]


class Maintenance:
    """The cache directory as a whole, whether caching is on or off.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def entries(self, provider: str | None, model_id: str | None) -> Iterator[EntryMeta]:
        """Yield the listing of every readable entry."""
        return (meta for _, meta in self._cache.open().lookup.metas(provider, model_id))

    def clean_up(self, provider: str | None) -> int:
        """Remove expired entries and return how many there were."""
        directory = self._cache.open().directory
        folder = None if provider is None else folder_name(provider)
        number = directory.store.expire(folder)
        if number and self._cache.config.mode.writes:
            directory.miss_log.cleared("cleanup", folder)
        return number

    def clear(self, provider: str | None = None, model_id: str | None = None) -> int:
        """Remove all entries, or those of one provider or model, and return how many there were."""
        directory = self._cache.open().directory
        folders = [None if name is None else folder_name(name) for name in (provider, model_id)]
        number = directory.store.clear(*folders)
        if number and self._cache.config.mode.writes:
            directory.miss_log.cleared("clear", *folders)
        return number

    def statistics(self) -> dict[str, Any]:
        """Return the figures of the directory and of this process. See :meth:`spark_cache.CacheManager.get_stats`."""
        directory, config = self._cache.open().directory, self._cache.config
        return {
            "cache_dir": str(self._cache.path),
            **statistics(directory.store, write=config.enabled and config.mode.writes),
            **_totals(directory.ledger.process()),
            "lifetime": _totals(directory.savings.lifetime()),
        }

    def savings(self, by: str, since: str | float | timedelta | date | None) -> dict[str, Any]:
        """Return what the cache saved. See :meth:`spark_cache.CacheManager.get_savings`."""
        from spark_cache.savings.report import first_day, savings  # noqa: PLC0415 - imports a price table

        directory = self._cache.open().directory
        return savings(directory.savings.lines(), by=by, since=first_day(since, directory.clock()))

    def flush(self) -> None:
        """Write the counts and notes that are still in memory."""
        self._cache.open().directory.savings.flush()


def _totals(totals: Totals) -> dict[str, Any]:
    return {**totals._asdict(), "hit_rate": totals.hit_rate}
