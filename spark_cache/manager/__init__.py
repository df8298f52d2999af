"""The manager of a cache."""

from spark_cache.manager.manager import CacheManager

__all__ = ["CacheManager"]
