"""One cached answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CLOCK_SKEW", "CacheEntry", "staleness"]

CLOCK_SKEW = 300.0
"""How far ahead of the reader's clock an entry may be dated, in seconds: machines that share a directory disagree a little."""


@dataclass(frozen=True, slots=True, repr=False)
class CacheEntry:
    """One cached answer. Its ``repr`` shows no content.

    Attributes:
        key: The cache key it answers.
        provider: The provider that gave the answer.
        model_id: The model that gave it.
        response: The dictionary that was stored.
        timestamp: When it was stored, in seconds since the epoch.
        ttl: How long it may live at most, in seconds; None is for ever.
        profile: The profile in force when it was stored.
        digests: The digest of each part of the request.
        request: The request itself, where requests are stored.
        namespace: The namespace it was stored in; only readers of the same one get it.
    """

    key: str
    provider: str
    model_id: str
    response: dict[str, Any]
    timestamp: float
    ttl: float | None
    profile: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    request: Any = None
    namespace: str | None = None

    def __repr__(self) -> str:
        return f"CacheEntry({self.provider}/{self.model_id})"

    @property
    def expires_at(self) -> float:
        """When its own lifetime is over, in seconds since the epoch; infinity is never."""
        return inf if self.ttl is None else self.timestamp + self.ttl

    def staleness(self, now: float, reader_ttl: float | None) -> MissReason | None:
        """Why the entry is too old, or too new, for a reader; None when it is neither.

        Args:
            now: The reader's clock, in seconds since the epoch.
            reader_ttl: The reader's own bound on age, in seconds; None is no bound.
        """
        return staleness(self.timestamp, self.ttl, now, reader_ttl)


def staleness(timestamp: float, ttl: float | None, now: float, reader_ttl: float | None) -> MissReason | None:
    """What :meth:`CacheEntry.staleness` says, of an entry that was stored at a time with a lifetime."""
    age = now - timestamp
    if age < -CLOCK_SKEW:
        return MissReason.FUTURE
    if (ttl is not None and age >= ttl) or (reader_ttl is not None and age >= reader_ttl):
        return MissReason.EXPIRED
    return None
