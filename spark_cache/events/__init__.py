"""Typed events for what the cache does, and the sink that logs them.

The classes are loaded on first use (PEP 562): most programs listen to no event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_cache._lazy import lazy_exports
from spark_cache.events.structlog_sink import LOGGER_NAME, StructlogSink

if TYPE_CHECKING:
    from spark_cache.events.types import (
        CacheBypass,
        CacheCorrupt,
        CacheError,
        CacheEvict,
        CacheExpire,
        CacheHit,
        CacheMiss,
        CacheStore,
        Event,
        Sink,
    )

__all__ = [
    "LOGGER_NAME",
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
    "StructlogSink",
]

_TYPES = "spark_cache.events.types"

__getattr__ = lazy_exports(
    __name__,
    {name: _TYPES for name in __all__ if name not in globals()},
)
