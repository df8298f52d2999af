"""The contenders, by name; each is loaded in a separate process."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.contenders.base import Contender, Embedder, EmbeddingProvider

__all__ = ["CONTENDERS", "EMBEDDERS", "LLM_CACHES", "UPSERT", "make", "make_embedder"]

LLM_CACHES = ("dspy", "dspy-disk", "langchain", "inspect")
"""The contenders made for LLM responses and vectors; the others cache any function or value."""

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

_EMBEDDER_HOMES = {
    "limit": "limit:LimitEmbedder",
    "spark": "spark_model:SparkEmbedder",
    "dspy": "dspy_cache:DspyEmbedder",
    "dspy-disk": "dspy_cache:DspyEmbedderFromDisk",
    "langchain": "langchain_cache:LangChainEmbedder",
}

EMBEDDERS = {
    "limit": "hand-written limit",
    "spark": "spark-cache",
    "dspy": "DSPy",
    "dspy-disk": "DSPy, from disk",
    "langchain": "LangChain, files",
}
"""The names of the caches of vectors, and their titles in the tables."""


def make(name: str, directory: str, cap_bytes: int | None = None) -> Contender:
    """Open the cache of a contender.

    Args:
        name: The name of the contender.
        directory: An existing directory for its entries.
        cap_bytes: The size cap, in bytes, for contenders that support one; None for no cap.
    """
    made: Contender = _load(_HOMES[name])(directory, cap_bytes)
    return made


def make_embedder(name: str, directory: str, provider: EmbeddingProvider) -> Embedder:
    """Open the cache of vectors of a contender.

    Args:
        name: The name of the contender.
        directory: An existing directory for its entries.
        provider: Embeds the texts that the cache does not have.
    """
    made: Embedder = _load(_EMBEDDER_HOMES[name])(directory, provider)
    return made


def _load(home: str) -> Any:
    module, _, kind = home.partition(":")
    return getattr(import_module(f"benchmarks.contenders.{module}"), kind)
