"""Configuration from ``ENVIRONMENT``, ``SPARK_*`` variables, ``.env`` and TOML profiles, with the origin of each value.

Names are loaded on first use (PEP 562). Importing this package imports neither pydantic nor a TOML parser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_cache._lazy import lazy_exports

if TYPE_CHECKING:
    from spark_cache.config.diff import FieldDiff, compare
    from spark_cache.config.load import load_config, reload_config, use_profile
    from spark_cache.config.model import CacheConfig
    from spark_cache.config.origins import Origin
    from spark_cache.config.policy import Policy
    from spark_cache.config.rules import Rule

_HOMES = {
    "CacheConfig": "spark_cache.config.model",
    "FieldDiff": "spark_cache.config.diff",
    "Origin": "spark_cache.config.origins",
    "Policy": "spark_cache.config.policy",
    "Rule": "spark_cache.config.rules",
    "compare": "spark_cache.config.diff",
    "load_config": "spark_cache.config.load",
    "reload_config": "spark_cache.config.load",
    "use_profile": "spark_cache.config.load",
}

__all__ = [
    "CacheConfig",
    "FieldDiff",
    "Origin",
    "Policy",
    "Rule",
    "compare",
    "load_config",
    "reload_config",
    "use_profile",
]


__getattr__ = lazy_exports(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
