"""What can happen in a cache. No event holds a prompt, an answer, a parameter's value or a whole key."""

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
    """Something that happened.

    Attributes:
        provider: The provider of the request, or the folder of the entry where only that is known.
        model: Its model, likewise.
        key: The first 12 characters of the entry's file name.
        operation: ``text``, ``json`` or ``embedding``.
        profile: The profile in force.
    """

    name: ClassVar[str]
    level: ClassVar[int] = logging.INFO

    provider: str | None = None
    model: str | None = None
    key: str | None = None
    operation: str | None = None
    profile: str | None = None

    def facts(self) -> dict[str, Any]:
        """The fields that hold something, in order."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in values if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheHit(Event):
    """The cache answered. ``age`` is the entry's, in seconds."""

    name: ClassVar[str] = "cache.hit"
    age: float | None = None
    size_bytes: int | None = None
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheMiss(Event):
    """The cache was asked and could not answer; ``reason`` says why."""

    name: ClassVar[str] = "cache.miss"
    reason: str
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStore(Event):
    """An answer was stored, for ``ttl`` seconds."""

    name: ClassVar[str] = "cache.store"
    size_bytes: int
    ttl: float | None = None
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheBypass(Event):
    """A call went past the cache, or its answer was not stored; ``reason`` says why."""

    name: ClassVar[str] = "cache.bypass"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEvict(Event):
    """An entry was removed because the cache was full."""

    name: ClassVar[str] = "cache.evict"
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheExpire(Event):
    """An entry was removed because its lifetime was over."""

    name: ClassVar[str] = "cache.expire"
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheCorrupt(Event):
    """An entry cannot be used; ``reason`` says why. It is left where it is."""

    name: ClassVar[str] = "cache.corrupt"
    level: ClassVar[int] = logging.WARNING
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheError(Event):
    """The cache could not do its work; calls go on without it."""

    name: ClassVar[str] = "cache.error"
    level: ClassVar[int] = logging.WARNING
    directory: str | None = None
    error: str
    hint: str | None = None


class Sink(Protocol):
    """Takes events."""

    def wants(self, level: int) -> bool:
        """Whether an event of this level would go anywhere: asked before one is made."""
        ...

    def emit(self, event: Event) -> None:
        """Take an event; never raises."""
        ...
