"""Everything that is measured, by name; each is loaded in a process of its own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.contenders.base import Contender

__all__ = ["CONTENDERS", "LLM_CACHES", "UPSERT", "make"]

LLM_CACHES = ("dspy", "dspy-disk", "litellm", "langchain", "inspect")
"""The peers that were made for answers of language models; the others take any function or value."""

UPSERT = "upsert"
"""No cache, but what one row written to a SQLite index costs here."""

_HOMES = {
    "limit": "limit:Limit",
    "spark": "spark:Spark",
    "spark-model": "spark_model:SparkModel",
    "diskcache": "disk_cache:DiskCache",
    "dspy": "dspy_cache:Dspy",
    "dspy-disk": "dspy_cache:DspyFromDisk",
    "litellm": "litellm_cache:LiteLlm",
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
    "litellm": "LiteLLM, disk",
    "langchain": "LangChain, SQLite",
    "inspect": "Inspect",
    "joblib": "joblib",
}
"""The caches by the name that the tables show."""


def make(name: str, directory: str, cap_bytes: int | None = None) -> Contender:
    """Open a contender's cache in ``directory``, which exists.

    Args:
        name: Its name here.
        directory: Where it may write.
        cap_bytes: How large it may grow; None is without limit, for those that know one.
    """
    module, _, kind = _HOMES[name].partition(":")
    made: Contender = getattr(import_module(f"benchmarks.contenders.{module}"), kind)(directory, cap_bytes)
    return made
