"""The manager and its configuration, at the import path that code written for Spark uses."""

from spark_cache.config import CacheConfig
from spark_cache.manager import CacheManager

__all__ = ["CacheConfig", "CacheManager"]
