"""The events of a cache. No event contains a prompt, a response, the value of a parameter or a whole key."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

__all__ = [
    "CacheBypass",
    "CacheCorrupt",
    "CacheError",
    "CacheEvict",
    "CacheExpire",
    "CacheHit",
    "CacheMiss",
    "CacheStore",
    "Event",
    "Sink",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The fields that all events share.

    Attributes:
        provider: The provider of the request, or the entry's provider folder where only the folder is known.
        model: The model of the request, or the entry's model folder where only the folder is known.
        key: The first 12 characters of the entry's file name.
        operation: ``text``, ``json`` or ``embedding``.
        profile: The active profile.
    """

    name: ClassVar[str]
    level: ClassVar[int] = logging.INFO

    provider: str | None = None
    model: str | None = None
    key: str | None = None
    operation: str | None = None
    profile: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return the fields that have a value, in order."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in values if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheHit(Event):
    """A lookup that found a usable entry. ``age`` is the age of the entry in seconds."""

    name: ClassVar[str] = "cache.hit"
    age: float | None = None
    size_bytes: int | None = None
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheMiss(Event):
    """A lookup that found no usable entry, for the given ``reason``."""

    name: ClassVar[str] = "cache.miss"
    reason: str
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStore(Event):
    """A response that was stored. ``ttl`` is the TTL of its entry in seconds."""

    name: ClassVar[str] = "cache.store"
    size_bytes: int
    ttl: float | None = None
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheBypass(Event):
    """A call that bypassed the cache, or whose response was not stored, for the given ``reason``."""

    name: ClassVar[str] = "cache.bypass"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEvict(Event):
    """An entry that was removed because the cache was full."""

    name: ClassVar[str] = "cache.evict"
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheExpire(Event):
    """An entry that was removed because its TTL had passed."""

    name: ClassVar[str] = "cache.expire"
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheCorrupt(Event):
    """An entry that cannot be used, for the given ``reason``. The file is left in place. ``detail`` is what more is known."""

    name: ClassVar[str] = "cache.corrupt"
    level: ClassVar[int] = logging.WARNING
    reason: str
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheError(Event):
    """A failure of the cache. Calls continue without it."""

    name: ClassVar[str] = "cache.error"
    level: ClassVar[int] = logging.WARNING
    directory: str | None = None
    error: str
    hint: str | None = None


class Sink(Protocol):
    """A receiver of events."""

    def wants(self, level: int) -> bool:
        """Return whether an event of this level would be used. Called before an event is created.

        Args:
            level: The level of the event.
        """
        ...

    def emit(self, event: Event) -> None:
        """Receive an event. Must not raise.

        Args:
            event: The event.
        """
        ...
