"""A configuration as a profile that loads back equal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from spark_cache.config.fields import FIELDS
from spark_cache.types import Mode

if TYPE_CHECKING:
    from spark_cache.config.model import CacheConfig
    from spark_cache.config.rules import Rule

__all__ = ["export_profile", "export_toml"]

_ENDLESS = {"lifetime": "never", "size": "unlimited"}


def export_profile(config: CacheConfig) -> dict[str, Any]:
    """The tables of a profile that gives the same configuration, keys and unset fields left out."""
    tables: dict[str, Any] = {
        "cache": {
            name: _toml(name, value)
            for name, spec in FIELDS.items()
            if spec.in_profiles and ((value := getattr(config, name)) is not None or spec.kind in _ENDLESS)
        }
    }
    if config.rules:
        tables["rules"] = [_rule(rule) for rule in config.rules]
    if conditions := config.provenance.guard.conditions:
        tables["guard"] = {condition.name: _plain(condition.value) for condition in conditions}
    return tables


def export_toml(config: CacheConfig) -> str:
    """The text of a profile that loads back equal; a comment says so where keys had to be left out."""
    text = tomli_w.dumps(export_profile(config))
    if config.encryption_keys:
        return f"# Keys are not exported: set SPARK_CACHE_ENCRYPTION_KEY.\n{text}"
    return text


def _rule(rule: Rule) -> dict[str, Any]:
    patterns = {"provider": rule.provider, "model": rule.model}
    given = {name: pattern for name, pattern in patterns.items() if pattern is not None}
    return given | {name: _toml(name, value) for name, value in rule.settings}


def _toml(name: str, value: Any) -> Any:
    if value is None:
        return _ENDLESS[FIELDS[name].kind]
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path | Mode) else value
