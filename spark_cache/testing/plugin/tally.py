"""What a suite's tests did with their recordings: a sink that adds it up, process by process."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.events import CacheBypass, CacheHit, CacheMiss, CacheStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.events import Event

__all__ = ["Looking", "Recording", "Tally"]


class Recording(NamedTuple):
    """A recording, as far as events tell: its folder, the names of provider and model, the beginning of its file's name."""

    folder: str
    provider: str
    model: str
    key: str


class Tally:
    """Adds up events; what several processes counted goes together. Safe for threads.

    Attributes:
        hits: How often each recording answered.
        stored: How often each recording was written.
        misses: How often the cache was asked and could not answer.
        unstored: How often an answer was not recorded, by the reason.
    """

    def __init__(self) -> None:
        self.hits: Counter[Recording] = Counter()
        self.stored: Counter[Recording] = Counter()
        self.misses = 0
        self.unstored: Counter[str] = Counter()
        self._lock = Lock()

    def count(self, folder: str, event: Event) -> None:
        """Count an event of a test whose recordings are in ``folder``."""
        recording = Recording(folder, event.provider or "", event.model or "", event.key or "")
        with self._lock:
            if isinstance(event, CacheHit):
                self.hits[recording] += 1
            elif isinstance(event, CacheStore):
                self.stored[recording] += 1
            elif isinstance(event, CacheMiss):
                self.misses += 1
            elif isinstance(event, CacheBypass):
                self.unstored[event.reason] += 1

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON values, for another process."""
        return {
            "hits": [[*recording, times] for recording, times in self.hits.items()],
            "stored": [[*recording, times] for recording, times in self.stored.items()],
            "misses": self.misses,
            "unstored": dict(self.unstored),
        }

    def add_json(self, figures: Mapping[str, Any]) -> None:
        """Add what another process counted."""
        for name, counter in (("hits", self.hits), ("stored", self.stored)):
            for *recording, times in figures[name]:
                counter[Recording(*recording)] += times
        self.misses += figures["misses"]
        self.unstored.update(figures["unstored"])


class Looking:
    """The sink of one test.

    Args:
        tally: Where its events are counted.
        folder: Where its recordings are.
    """

    def __init__(self, tally: Tally, folder: str) -> None:
        self._tally = tally
        self._folder = folder

    def wants(self, level: int) -> bool:  # noqa: ARG002 - the signature of a sink
        """Every event counts."""
        return True

    def emit(self, event: Event) -> None:
        """Count an event."""
        self._tally.count(self._folder, event)
