"""The manager of a cache: answers from a directory, stores answers in it, and manages what is there."""

from spark_cache.manager.manager import CacheManager

__all__ = ["CacheManager"]
