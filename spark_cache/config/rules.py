"""Rules: settings for models that match a pattern."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.config import values
from spark_cache.config.fields import FIELDS, LEVELS, canonical_name, suggestion

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from spark_cache.config.fields import KeyPath

__all__ = ["PROTECTIVE", "RULE_FIELDS", "Rule", "RuleError", "effective_rules", "parse_rules"]

RULE_FIELDS = frozenset(
    {
        "enabled",
        "ttl_seconds",
        "mode",
        "namespace",
        "cache_version",
        "endpoint",
        "encryption",
        "sensitive",
        "store_requests",
        "store_truncated",
        "store_empty",
        "ignore",
    }
)
"""The fields that a rule may set: those that apply to a single call."""

_PATTERNS = ("provider", "model")

PROTECTIVE = frozenset({"encryption", "sensitive"})
"""The fields that a rule keeps even if a higher layer sets them, because a rule only raises protection."""


class Rule(NamedTuple):
    """Settings for models that match a pattern.

    Attributes:
        provider: A case-sensitive glob for the provider name. None matches every provider.
        model: A case-sensitive glob for the model name. None matches every model.
        settings: The fields that the rule sets and their values, sorted by name.
    """

    provider: str | None
    model: str | None
    settings: tuple[tuple[str, Any], ...]

    def matches(self, provider: str, model_id: str) -> bool:
        """Return whether the rule applies to a model.

        Args:
            provider: The name of the provider.
            model_id: The name of the model.
        """
        return (self.provider is None or fnmatchcase(provider, self.provider)) and (
            self.model is None or fnmatchcase(model_id, self.model)
        )

    def without(self, beaten: Container[str]) -> Rule | None:
        """Return the rule without the fields that a higher layer sets, or None if nothing is left."""
        kept = tuple(
            (name, value) for name, value in self.settings if name in PROTECTIVE or name not in beaten
        )
        return Rule(self.provider, self.model, kept) if kept else None


class RuleError(ValueError):
    """Some rules are not accepted.

    Attributes:
        faults: For each problem, the path of its key and a message.
    """

    def __init__(self, faults: list[tuple[KeyPath, str]]) -> None:
        super().__init__(faults)
        self.faults = faults


def parse_rules(raw: object) -> tuple[list[tuple[int, Rule]], list[tuple[KeyPath, str]]]:
    """Parse a list of rules.

    Args:
        raw: Rules, or tables with ``provider``, ``model`` or both and the settings for them.

    Returns:
        The valid rules with their positions, and for each problem the path of its key and a message.
    """
    if not isinstance(raw, list | tuple):
        return [], [(("rules",), f"{values.shown(raw)} is not a list of rules: use one table per rule")]
    rules: list[tuple[int, Rule]] = []
    faults: list[tuple[KeyPath, str]] = []
    for number, item in enumerate(raw):
        rule, wrong = _parse_rule(item)
        if rule is not None:
            rules.append((number, rule))
        faults += [
            (("rules", number) if key is None else ("rules", number, key), text) for key, text in wrong
        ]
    return rules, faults


def _parse_rule(raw: object) -> tuple[Rule | None, list[tuple[str | None, str]]]:
    if isinstance(raw, Rule):
        raw = {
            name: glob for name, glob in zip(_PATTERNS, (raw.provider, raw.model), strict=True) if glob
        } | dict(raw.settings)
    if not isinstance(raw, dict):
        form = 'use a table with a pattern and settings, such as model = "gpt-4o*" and ttl = "1h"'
        return None, [(None, f"{values.shown(raw)} is not a table: {form}")]
    faults: list[tuple[str | None, str]] = []
    patterns: dict[str, str] = {}
    settings: dict[str, Any] = {}
    for key, value in raw.items():
        name = canonical_name(key)
        if name in settings:
            faults.append(
                (
                    str(key),
                    f"the same field is also set as {_other_spelling(raw, key)}: keep only one of them",
                )
            )
            continue
        try:
            if name in _PATTERNS:
                patterns[name] = _pattern(value)
            else:
                settings[name] = _setting(name, value)
        except ValueError as error:
            faults.append((str(key), str(error)))
    if not faults and not patterns:
        faults.append(
            (None, "a rule without provider or model matches every call: move its settings to [cache]")
        )
    if not faults and not settings:
        faults.append((None, 'this rule sets nothing: add a setting such as ttl = "1h" or sensitive = true'))
    if faults:
        return None, faults
    return Rule(patterns.get("provider"), patterns.get("model"), tuple(sorted(settings.items()))), []


def _setting(name: str, raw: object) -> Any:
    if name not in RULE_FIELDS:
        raise ValueError(f"unknown key in a rule{suggestion(name, (*RULE_FIELDS, *_PATTERNS, 'ttl'))}")
    return values.boolean(raw) if name == "sensitive" else FIELDS[name].kind.parse(raw)


def _other_spelling(table: dict[str, Any], key: str) -> str:
    return next(other for other in table if other != key and canonical_name(other) == canonical_name(key))


def _pattern(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError(f"{values.shown(raw)} is not a pattern: use a name or a glob such as gpt-4o*")
    return raw


def effective_rules(rules: Iterable[Rule | None]) -> list[tuple[int, Rule]]:
    """Remove settings that an earlier rule with the same patterns already decides.

    Args:
        rules: The rules, highest precedence first. None marks a rule that sets nothing.

    Returns:
        The rules that still set something, with their positions in ``rules``.
    """
    decided: dict[tuple[str | None, str | None], dict[str, Any]] = {}
    kept = []
    for position, rule in enumerate(rules):
        if rule is None:
            continue
        before = decided.setdefault((rule.provider, rule.model), {})
        settings = tuple(
            (name, value) for name, value in rule.settings if not _is_decided(name, value, before)
        )
        before.update(settings)
        if settings:
            kept.append((position, Rule(rule.provider, rule.model, settings)))
    return kept


def _is_decided(name: str, value: Any, before: dict[str, Any]) -> bool:
    if name not in before:
        return False
    if name == "sensitive":
        return bool(before[name]) or not value
    return name != "encryption" or LEVELS.index(before[name]) >= LEVELS.index(value)
