"""Count and log what calls come to."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache import events
from spark_cache.core.other_keys import OtherKeys
from spark_cache.core.plan import Hit
from spark_cache.stores import FOREIGN
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.core.directory import Directory
    from spark_cache.core.plan import Miss
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.events import Event, Sink
    from spark_cache.types import CacheKey, Mode

__all__ = ["Recorder", "milliseconds_since"]

_CORRUPT = frozenset(
    {
        MissReason.CORRUPT,
        MissReason.WRONG_KEY,
        MissReason.NOT_A_FILE,
        MissReason.TOO_LARGE,
        MissReason.UNDECRYPTABLE,
    }
)
"""Reasons to warn about: an entry exists and cannot be used."""

_NUMBERS = frozenset({float, int})

_TOO_MANY_SECONDS = 10**9
"""No single call takes this long."""


class Recorder:
    """Counts calls in the ledger of a directory and sends events about them.

    Args:
        directory: The shared state of the directory.
        profile: The name of the profile in force.
        sink: Receives events.
        ring: The encryption keys; None without encryption.
    """

    def __init__(
        self, directory: Directory, *, profile: str | None, sink: Sink, ring: KeyRing | None
    ) -> None:
        self._other_keys = OtherKeys(directory, profile=profile, ids=() if ring is None else ring.ids)
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
        """Count and log the result of a lookup.

        Args:
            found: The result.
            provider: The provider of the request.
            model: The model of the request.
            name: The name of the entry.
            mode: What the call may do with the cache.
            operation: The operation of the request.
            started: The reading of ``perf_counter`` when the lookup started.
        """
        if isinstance(found, Hit):
            event, reason, level = "hit", "", logging.INFO
            usage, seconds = _saved(found.response)
        else:
            event, reason, level = "miss", found.reason.value, logging.WARNING
            usage, seconds = None, 0.0
        self._directory.ledger.record(
            event,
            provider=provider,
            model=model,
            profile=self._profile,
            keep=mode.writes,
            reason=reason,
            seconds=seconds,
            usage=usage,
        )
        # Most programs do not listen to hits, so ask before anything is put together.
        if not self._sink.wants(level):
            return
        about = {"provider": provider, "model": model, "key": name[:12], "operation": operation}
        if isinstance(found, Hit):
            age = self._directory.clock() - found.timestamp
            self.emit(events.CacheHit, **about, age=age, duration_ms=milliseconds_since(started))
            return
        if found.reason is MissReason.ABSENT:
            self._other_keys.look(provider, model)
        elif found.reason is MissReason.FUTURE:
            # One warning in all: after a clock was wrong, there may be thousands of such entries.
            self._directory.warn_once(
                "use some entries",
                "they are dated in the future, so the clock of this machine is or was wrong",
                profile=self._profile,
                hint="they are removed first; `spark-cache doctor` counts them",
            )
        elif found.detail == FOREIGN:
            self.note_foreign(name, **about)
        elif found.reason in _CORRUPT and self._directory.is_new_fault(name, reason, name):
            self.emit(events.CacheCorrupt, **about, reason=reason, detail=found.detail)
        self.emit(events.CacheMiss, **about, reason=reason, duration_ms=milliseconds_since(started))

    def note_foreign(self, name: str, **about: Any) -> None:
        """Warn once that something that is not an entry is in the place of one, so that its request is not cached.

        Args:
            name: The name of the entry.
            **about: The provider, the model, the start of the entry's name (``key``) and the operation.
        """
        if self._directory.is_new_fault(name, FOREIGN, name):
            self.emit(
                events.CacheError,
                **about | {"operation": "use an entry"},
                directory=self._directory.path,
                error=FOREIGN,
                hint="move it, or use another cache directory",
            )

    def count_shared(self, key: CacheKey, mode: Mode, response: Mapping[str, Any]) -> None:
        """Count a miss that got the response of an equal call already running.

        Args:
            key: The key of the request.
            mode: What the call may do with the cache.
            response: The response, as it is stored.
        """
        usage, seconds = _saved(response)
        self._directory.ledger.record(
            "shared",
            provider=key.provider,
            model=key.model_id,
            profile=self._profile,
            keep=mode.writes,
            seconds=seconds,
            usage=usage,
        )

    def emit(self, kind: type[Event], **facts: Any) -> None:
        """Send an event if the sink wants its level.

        Args:
            kind: The class of the event.
            **facts: Its fields.
        """
        if self._sink.wants(kind.level):
            self._sink.emit(kind(profile=self._profile, **facts))


def _saved(response: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, float]:
    """Return the usage and the seconds of the call that a hit saved, as far as the stored response tells."""
    usage = response.get("usage")
    seconds: Any = response.get("latency_seconds")
    # Anyone may have written the file, so impossible figures are not added up.
    return (
        usage if isinstance(usage, dict) else None,
        float(seconds) if type(seconds) in _NUMBERS and 0 <= seconds < _TOO_MANY_SECONDS else 0.0,
    )


def milliseconds_since(started: float) -> float:
    """Return the milliseconds since a reading of ``perf_counter``."""
    return (perf_counter() - started) * 1000
