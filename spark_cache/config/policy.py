"""The settings of one call: the configuration after its rules."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from spark_cache.config.fields import LEVELS

if TYPE_CHECKING:
    from spark_cache.config.model import CacheConfig
    from spark_cache.types import Mode

__all__ = ["Policy", "policy_of"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What one call to one model needs to know.

    Attributes:
        enabled: Whether the cache is used at all.
        ttl_seconds: How long an answer may be served, in seconds; None is for ever, 0 is never.
        mode: What the call may do with the cache.
        namespace: Part of the key.
        cache_version: Part of the key.
        endpoint: The name that stands for the provider's address in the key.
        encryption: ``off``, ``sensitive`` or ``all``.
        sensitive: Whether a rule says that every request to this model is sensitive.
        store_requests: Whether an entry holds its request.
        store_truncated: Whether answers cut at the token limit are stored.
    """

    enabled: bool
    ttl_seconds: float | None
    mode: Mode
    namespace: str | None
    cache_version: str | None
    endpoint: str | None
    encryption: str
    sensitive: bool
    store_requests: bool
    store_truncated: bool


_BASE = tuple(field.name for field in fields(Policy) if field.name != "sensitive")


def policy_of(config: CacheConfig, provider: str, model_id: str) -> Policy:
    """Apply the rules of ``config`` that match, the first that sets a field deciding it.

    Encryption is only ever raised, and a request is sensitive if any matching rule says so.
    """
    values: dict[str, Any] = {name: getattr(config, name) for name in _BASE}
    decided: set[str] = set()
    sensitive = False
    for rule in config.rules:
        if not rule.matches(provider, model_id):
            continue
        for name, value in rule.settings:
            if name == "sensitive":
                sensitive = sensitive or value
            elif name == "encryption":
                values[name] = max(values[name], value, key=LEVELS.index)
            elif name not in decided:
                values[name] = value
                decided.add(name)
    if config.commit_entries and not config.recordings_expire and values["ttl_seconds"] != 0:
        # What is in version control has been read by somebody, and changes when somebody changes it.
        values["ttl_seconds"] = None
    return Policy(**values, sensitive=sensitive)
