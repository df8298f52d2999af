"""The directory as a whole: what is in it, what it saved, and removing what is old."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spark_cache.manager.core import Core
from spark_cache.manager.statistics import statistics
from spark_cache.stores import folder_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, timedelta

    from spark_cache.savings import Totals
    from spark_cache.types import EntryMeta


__all__ = ["WholeDirectory"]


class WholeDirectory(Core):
    """What a program asks that looks after a cache."""

    def entries(self, provider: str | None = None, model_id: str | None = None) -> Iterator[EntryMeta]:
        """What is known of every entry, or of those of a provider or one of its models; unreadable ones are left out."""
        return (meta for _, meta in self._entries.metas(provider, model_id))

    def cleanup_expired(self, provider: str | None = None) -> int:
        """Remove the entries whose lifetime is over, of one provider or of all; how many there were."""
        return self._entries.directory.store.expire(None if provider is None else folder_name(provider))

    def clear_all(self) -> int:
        """Remove every entry; how many there were."""
        return self._entries.directory.store.clear()

    def clear_provider(self, provider: str) -> int:
        """Remove the entries of a provider; how many there were."""
        return self._entries.directory.store.clear(folder_name(provider))

    def clear_model(self, provider: str, model_id: str) -> int:
        """Remove the entries of a model; how many there were."""
        return self._entries.directory.store.clear(folder_name(provider), folder_name(model_id))

    def get_stats(self) -> dict[str, Any]:
        """Figures of the directory and of this process.

        Returns:
            ``total_entries``; ``total_size_bytes`` (in blocks of 4 KiB) and ``apparent_size_bytes`` (the lengths of the files);
            ``hits``, ``misses``, ``stores``, ``hit_rate`` (0.0 to 1.0) and ``misses_by_reason`` of this process, with what else
            the ledger counts; the same of all processes under ``lifetime``; ``by_provider[p]`` and ``by_model[p][m]``, each with
            ``entries`` and ``size_bytes``; ``entries_by_provider[p]``; ``cache_dir``.

        Raises:
            StoreError: The directory could not be listed.
        """
        directory = self._entries.directory
        return {
            "cache_dir": str(self.cache_dir),
            **statistics(directory.store, write=self._config.enabled and self._config.mode.writes),
            **_figures(directory.ledger.process()),
            "lifetime": _figures(directory.ledger.lifetime()),
        }

    def get_savings(
        self, by: str = "model", since: str | float | timedelta | date | None = None
    ) -> dict[str, Any]:
        """What the cache saved, by the ledger of all processes and the price table of ``genai-prices``.

        Args:
            by: What the rows are told apart by: ``model``, ``provider``, ``profile`` or ``day`` (in UTC).
            since: The first day that counts: a day (a date, or text such as ``2026-11-01``), or how far back to go (seconds, or
                text such as ``7d``), which takes in the whole of the day that it leads to. None counts all.

        Returns:
            ``by``; ``since``; ``price_table``, its name and version; ``rows``; and ``total``, which is like a row. A row has what
            it is told apart by (``provider`` and ``model`` for a model); ``hits``; ``shared``, the calls answered by an equal one
            that was under way; ``misses``; ``tokens_saved``, and of these ``input_tokens`` (``cached_tokens`` of them at the
            provider) and ``output_tokens`` (``reasoning_tokens`` of them); ``seconds_saved``; ``dollars_saved``, which is None
            where no price is known; and ``unpriced``, how many hits and shared calls are not in it because their price is unknown.

        Raises:
            ValueError: ``by`` or ``since`` is something else.
        """
        from spark_cache.savings.report import first_day, savings  # noqa: PLC0415 - a price table, for those who ask for prices

        day = first_day(since, self._clock())
        return savings(self._entries.directory.ledger.lines(), by=by, since=day)

    def flush(self) -> None:
        """Write the figures that are still in memory, so that nothing is written to the directory later on."""
        if self._opened is not None:
            self._opened.directory.ledger.flush()
            self._opened.directory.miss_log.flush()


def _figures(totals: Totals) -> dict[str, Any]:
    return {**asdict(totals), "hit_rate": totals.hit_rate}
