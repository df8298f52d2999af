"""Events: what the cache did, as typed values; a sink that logs them, and a ledger that adds them up."""

from spark_cache.events.figures import UNKNOWN_SIZE, Line, Sums, Totals
from spark_cache.events.history import HISTORY_FILE, History, MissNote, RemovalNote
from spark_cache.events.ledger import Ledger
from spark_cache.events.ledger_file import LEDGER_FILE
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
    "HISTORY_FILE",
    "LEDGER_FILE",
    "LOGGER_NAME",
    "UNKNOWN_SIZE",
    "CacheBypass",
    "CacheCorrupt",
    "CacheError",
    "CacheEvict",
    "CacheExpire",
    "CacheHit",
    "CacheMiss",
    "CacheStore",
    "Event",
    "History",
    "Ledger",
    "Line",
    "MissNote",
    "RemovalNote",
    "Sink",
    "StructlogSink",
    "Sums",
    "Totals",
    "configure_logging",
]
