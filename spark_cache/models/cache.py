"""The manager and its configuration, under the name that code written for Spark imports them by."""

from spark_cache.config import CacheConfig
from spark_cache.manager import CacheManager

__all__ = ["CacheConfig", "CacheManager"]
