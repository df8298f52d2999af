"""Counts of how a suite's tests used their recordings, and the event sink that collects them."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.events import CacheBypass, CacheHit, CacheMiss, CacheStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.events import Event

__all__ = ["Recording", "Tally", "TallySink"]


class Recording(NamedTuple):
    """A recording as events identify it: its folder, provider and model, and the start of its file name."""

    folder: str
    provider: str
    model: str
    key: str


class Tally:
    """A thread-safe count of events, to which the counts of other processes can be added.

    Attributes:
        hits: The number of hits of each recording.
        stored: The number of times each recording was written.
        misses: The number of lookups that found no entry.
        unstored: The number of responses that were not recorded, by reason.
    """

    def __init__(self) -> None:
        self.hits: Counter[Recording] = Counter()
        self.stored: Counter[Recording] = Counter()
        self.misses = 0
        self.unstored: Counter[str] = Counter()
        self._lock = Lock()

    def count(self, folder: str, event: Event) -> None:
        """Count an event of a test.

        Args:
            folder: The folder of the test's recordings.
            event: The event.
        """
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
        """Return the counts as JSON values, for another process."""
        return {
            "hits": [[*recording, times] for recording, times in self.hits.items()],
            "stored": [[*recording, times] for recording, times in self.stored.items()],
            "misses": self.misses,
            "unstored": dict(self.unstored),
        }

    def add_json(self, figures: Mapping[str, Any]) -> None:
        """Add the counts of another process.

        Args:
            figures: The result of :meth:`to_json` in that process.
        """
        for name, counter in (("hits", self.hits), ("stored", self.stored)):
            for *recording, times in figures[name]:
                counter[Recording(*recording)] += times
        self.misses += figures["misses"]
        self.unstored.update(figures["unstored"])


class TallySink:
    """An event sink that counts the events of one test.

    Args:
        tally: The tally that counts the events.
        folder: The folder of the test's recordings.
    """

    def __init__(self, tally: Tally, folder: str) -> None:
        self._tally = tally
        self._folder = folder

    def wants(self, level: int) -> bool:  # noqa: ARG002 - the signature of a sink
        """Return True for every level.

        Args:
            level: The level of an event.
        """
        return True

    def emit(self, event: Event) -> None:
        """Count an event.

        Args:
            event: The event.
        """
        self._tally.count(self._folder, event)
