"""The settings for one call: the configuration with its rules applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.config.fields import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_cache.config.rules import Rule
    from spark_cache.types import Mode

__all__ = ["Policy", "apply_rules"]


class Policy(NamedTuple):
    """The settings for calls to one model. They are those of ``CacheConfig``, with the rules applied.

    Attributes:
        sensitive: Whether a rule marks every request to this model as sensitive.
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
    store_empty: bool
    ignore: tuple[str, ...]


def apply_rules(base: Policy, rules: Iterable[Rule], *, never_expires: bool) -> Policy:
    """Apply rules to a policy. For each field, the first rule that sets it wins.

    Rules can only raise the encryption level. A request is sensitive if any rule marks it so.

    Args:
        base: The policy without rules.
        rules: The rules that match a model, highest first.
        never_expires: Whether entries never expire. A TTL of 0 still turns the cache off.
    """
    values: dict[str, Any] = {}
    encryption, sensitive = base.encryption, base.sensitive
    for rule in rules:
        for name, value in rule.settings:
            if name == "sensitive":
                sensitive = sensitive or value
            elif name == "encryption":
                encryption = max(encryption, value, key=LEVELS.index)
            else:
                values.setdefault(name, value)
    if never_expires and values.get("ttl_seconds", base.ttl_seconds) != 0:
        values["ttl_seconds"] = None
    return base._replace(**values, encryption=encryption, sensitive=sensitive)
