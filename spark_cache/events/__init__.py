"""Events: what the cache did, as typed values; a sink that logs them, and a ledger that adds them up."""

from spark_cache.events.ledger import LEDGER_FILE, Ledger, Totals
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
    "LEDGER_FILE",
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
    "Ledger",
    "Sink",
    "StructlogSink",
    "Totals",
    "configure_logging",
]
