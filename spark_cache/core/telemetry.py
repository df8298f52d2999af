"""What is told of a call: counted in the ledger, and logged."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache.core.plan import Hit
from spark_cache.events import CacheCorrupt, CacheHit, CacheMiss
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.core.directory import Directory
    from spark_cache.core.plan import Miss
    from spark_cache.events import Event, Sink
    from spark_cache.types import CacheKey, Mode

__all__ = ["Recorder", "milliseconds_since"]

_CORRUPT = frozenset(
    {
        MissReason.CORRUPT,
        MissReason.WRONG_KEY,
        MissReason.NOT_A_FILE,
        MissReason.TOO_LARGE,
        MissReason.FUTURE,
        MissReason.UNDECRYPTABLE,
    }
)
"""Reasons that somebody should know of: an entry is there and cannot be used."""

_NUMBERS = frozenset({float, int})

_TOO_MANY = 10**9
"""Seconds that no single call takes."""


class Recorder:
    """Counts and logs what one configuration's calls to a directory come to.

    Args:
        directory: The shared state of the directory.
        profile: The name of the profile; None where there is none.
        sink: Where events go.
    """

    def __init__(self, directory: Directory, *, profile: str | None, sink: Sink) -> None:
        self._directory = directory
        self._profile = profile
        self._sink = sink

    def count(
        self,
        found: Hit | Miss,
        provider: str,
        model: str,
        name: str,
        mode: Mode,
        operation: str | None,
        started: float,
    ) -> None:
        """Count and log what a lookup came to."""
        hit = isinstance(found, Hit)
        usage, seconds = _spared(found.response) if isinstance(found, Hit) else (None, 0.0)
        self._directory.ledger.record(
            "hit" if hit else "miss",
            provider=provider,
            model=model,
            profile=self._profile,
            keep=mode.writes,
            reason="" if isinstance(found, Hit) else found.reason.value,
            seconds=seconds,
            usage=usage,
        )
        # Asked before anything is put together for it: most programs let no hit through.
        if not self._sink.wants(CacheHit.level if hit else CacheCorrupt.level):
            return
        about = {"provider": provider, "model": model, "key": name[:12], "operation": operation}
        if isinstance(found, Hit):
            age = self._directory.clock() - found.timestamp
            self.emit(CacheHit, **about, age=age, duration_ms=milliseconds_since(started))
            return
        if found.reason in _CORRUPT and self._directory.is_new_fault(name, found.reason.value, name):
            self.emit(CacheCorrupt, **about, reason=found.reason.value)
        self.emit(CacheMiss, **about, reason=found.reason.value, duration_ms=milliseconds_since(started))

    def hears_hits(self) -> bool:
        """Whether anybody wants to be told of a hit."""
        return self._sink.wants(CacheHit.level)

    def count_hit(self, response: Mapping[str, Any], key: CacheKey, mode: Mode) -> None:
        """Count a hit that nobody wants to be told of."""
        self._count_answer("hit", key, mode, response)

    def count_shared(self, key: CacheKey, mode: Mode, response: Mapping[str, Any]) -> None:
        """Count a question that missed, and was answered with the response of an equal one that was under way."""
        self._count_answer("shared", key, mode, response)

    def _count_answer(self, event: str, key: CacheKey, mode: Mode, response: Mapping[str, Any]) -> None:
        usage, seconds = _spared(response)
        self._directory.ledger.record(
            event,
            provider=key.provider,
            model=key.model_id,
            profile=self._profile,
            keep=mode.writes,
            seconds=seconds,
            usage=usage,
        )

    def emit(self, kind: type[Event], **facts: Any) -> None:
        """Send an event of a kind, if anybody wants it."""
        if self._sink.wants(kind.level):
            self._sink.emit(kind(profile=self._profile, **facts))


def _spared(response: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, float]:
    """What the call that a hit spared consumed, and the seconds it took, as far as the response tells."""
    usage = response.get("usage")
    seconds: Any = response.get("latency_seconds")
    # Anybody may have written the file: what no call can have taken is not added up.
    return (
        usage if isinstance(usage, dict) else None,
        float(seconds) if type(seconds) in _NUMBERS and 0 <= seconds < _TOO_MANY else 0.0,
    )


def milliseconds_since(started: float) -> float:
    """Milliseconds since a reading of ``perf_counter``."""
    return (perf_counter() - started) * 1000
