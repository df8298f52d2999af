"""Typed events for what the cache does, and the sink that logs them."""

from spark_cache.events.logging_setup import configure_logging
from spark_cache.events.structlog_sink import LOGGER_NAME, StructlogSink
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
    "configure_logging",
]
