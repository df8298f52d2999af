"""Export a configuration as a profile that loads back to an equal configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from spark_cache.config.fields import FIELDS
from spark_cache.config.kinds import SIZE, TTL
from spark_cache.types import Mode

if TYPE_CHECKING:
    from spark_cache.config.model import CacheConfig
    from spark_cache.config.rules import Rule

__all__ = ["export_profile", "export_toml"]


def export_profile(config: CacheConfig) -> dict[str, Any]:
    """Return the tables of a profile for this configuration, without encryption keys and unset fields."""
    tables: dict[str, Any] = {
        "cache": {
            name: _toml(name, value)
            for name, spec in FIELDS.items()
            if spec.in_profiles and ((value := getattr(config, name)) is not None or spec.kind in (TTL, SIZE))
        }
    }
    if config.rules:
        tables["rules"] = [_rule(rule) for rule in config.rules]
    if conditions := config.provenance.guard.conditions:
        tables["guard"] = {condition.name: _plain(condition.value) for condition in conditions}
    return tables


def export_toml(config: CacheConfig) -> str:
    """Return the TOML text of a profile for this configuration. A comment says if encryption keys were left out."""
    text = tomli_w.dumps(export_profile(config))
    if config.encryption_keys:
        return f"# Encryption keys are not exported: set SPARK_CACHE_ENCRYPTION_KEY.\n{text}"
    return text


def _rule(rule: Rule) -> dict[str, Any]:
    patterns = {"provider": rule.provider, "model": rule.model}
    given = {name: pattern for name, pattern in patterns.items() if pattern is not None}
    return given | {name: _toml(name, value) for name, value in rule.settings}


def _toml(name: str, value: Any) -> Any:
    return FIELDS[name].kind.unset if value is None else _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path | Mode) else value
