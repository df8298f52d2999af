"""The contenders, by name; each is loaded in a separate process."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.contenders.base import Contender

__all__ = ["CONTENDERS", "LLM_CACHES", "UPSERT", "make"]

LLM_CACHES = ("dspy", "dspy-disk", "langchain", "inspect")
"""The contenders made for LLM responses; the others cache any function or value."""

UPSERT = "upsert"
"""A reference, not a cache: the cost of writing one row to a SQLite index."""

_HOMES = {
    "limit": "limit:Limit",
    "spark": "spark:Spark",
    "spark-model": "spark_model:SparkModel",
    "diskcache": "disk_cache:DiskCache",
    "dspy": "dspy_cache:Dspy",
    "dspy-disk": "dspy_cache:DspyFromDisk",
    "langchain": "langchain_cache:LangChain",
    "inspect": "inspect_cache:Inspect",
    "joblib": "joblib_cache:Joblib",
    UPSERT: "upsert:Upsert",
}

CONTENDERS = {
    "limit": "hand-written limit",
    "spark": "spark-cache, CacheManager",
    "spark-model": "spark-cache, get_text",
    "diskcache": "diskcache",
    "dspy": "DSPy",
    "dspy-disk": "DSPy, from disk",
    "langchain": "LangChain, SQLite",
    "inspect": "Inspect",
    "joblib": "joblib",
}
"""The names of the caches, and their titles in the tables."""


def make(name: str, directory: str, cap_bytes: int | None = None) -> Contender:
    """Open the cache of a contender.

    Args:
        name: The name of the contender.
        directory: An existing directory for its entries.
        cap_bytes: The size cap, in bytes, for contenders that support one; None for no cap.
    """
    module, _, kind = _HOMES[name].partition(":")
    made: Contender = getattr(import_module(f"benchmarks.contenders.{module}"), kind)(directory, cap_bytes)
    return made
