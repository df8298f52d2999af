"""The cache entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from spark_cache.types import CLOCK_SKEW, MissReason

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OPTIONAL", "REQUIRED", "CacheEntry", "staleness"]

REQUIRED = ("content", "stop_reason", "usage")
"""The response fields that every entry has at the top level."""

OPTIONAL = ("provider_stop_reason", "tool_calls", "latency_seconds", "raw", "events")
"""The response fields that an entry has at the top level if the response has them."""


@dataclass(frozen=True, slots=True, repr=False)
class CacheEntry:
    """A stored response. Its ``repr`` shows no content.

    Attributes:
        key: The cache key.
        provider: The provider that returned the response.
        model_id: The model that produced it.
        response: The stored dictionary.
        timestamp: When the response was stored, in seconds since the epoch.
        ttl: The TTL in seconds. None means that the entry never expires.
        profile: The active profile when the response was stored.
        digests: The digest of each part of the request.
        request: The request, if requests are stored.
        namespace: The namespace of the entry. Readers in other namespaces do not see it.
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
        """When the entry expires by its own TTL, in seconds since the epoch. Infinity means never."""
        return inf if self.ttl is None else self.timestamp + self.ttl

    def staleness(self, now: float, reader_ttl: float | None) -> MissReason | None:
        """Return why the entry is too old, or too new, for a reader.

        Args:
            now: The reader's clock, in seconds since the epoch.
            reader_ttl: The reader's own TTL, in seconds. None means no limit.

        Returns:
            ``EXPIRED``, ``FUTURE``, or None if the entry is fresh.
        """
        return staleness(self.timestamp, self.ttl, now, reader_ttl)


def staleness(timestamp: float, ttl: float | None, now: float, reader_ttl: float | None) -> MissReason | None:
    """Return why an entry is too old, or too new, for a reader.

    Args:
        timestamp: When the entry was stored, in seconds since the epoch.
        ttl: The TTL of the entry, in seconds. None means that it never expires.
        now: The reader's clock, in seconds since the epoch.
        reader_ttl: The reader's own TTL, in seconds. None means no limit.

    Returns:
        ``EXPIRED``, ``FUTURE``, or None if the entry is fresh.
    """
    age = now - timestamp
    if age < -CLOCK_SKEW:
        return MissReason.FUTURE
    if (ttl is not None and age >= ttl) or (reader_ttl is not None and age >= reader_ttl):
        return MissReason.EXPIRED
    return None
