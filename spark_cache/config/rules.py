"""Rules: settings for the models that a pattern matches."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from spark_cache.config import values
from spark_cache.config.fields import FIELDS, LEVELS, canonical_name, nearest

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from spark_cache.config.fields import KeyPath

__all__ = ["RULE_FIELDS", "UNBEATEN", "Rule", "effective_rules", "parse_rules"]

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
    }
)
"""What a rule may set: the fields that one call is decided by."""

_PATTERNS = ("provider", "model")

UNBEATEN = frozenset({"encryption", "sensitive"})
"""What a rule keeps though a higher layer sets the field: a rule only ever raises protection."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for the models that match.

    Attributes:
        provider: A glob for the provider's name; None matches all. Case matters.
        model: A glob for the model's name; None matches all. Case matters.
        settings: The fields it sets and their values, in order of their names.
    """

    provider: str | None
    model: str | None
    settings: tuple[tuple[str, Any], ...]

    def matches(self, provider: str, model_id: str) -> bool:
        """Whether it holds for this model."""
        return (self.provider is None or fnmatchcase(provider, self.provider)) and (
            self.model is None or fnmatchcase(model_id, self.model)
        )

    def without(self, beaten: Container[str]) -> Rule | None:
        """What is left where a higher layer sets these fields; None when that is nothing."""
        kept = tuple((name, value) for name, value in self.settings if name in UNBEATEN or name not in beaten)
        return Rule(self.provider, self.model, kept) if kept else None


def parse_rules(raw: object) -> tuple[list[tuple[int, Rule]], list[tuple[KeyPath, str]]]:
    """Read a list of rules.

    Args:
        raw: Tables, each with ``provider`` or ``model`` or both and what holds for them; or rules.

    Returns:
        The rules that can be used, each with its position, and what is wrong with the others: where, and a message.
    """
    if not isinstance(raw, list | tuple):
        return [], [(("rules",), f"{values.shown(raw)} is not a list of rules: write a table for each")]
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
        return None, [
            (None, f'{values.shown(raw)} is not a table: write model = "gpt-4o*" and what holds for it')
        ]
    faults: list[tuple[str | None, str]] = []
    patterns: dict[str, str] = {}
    settings: dict[str, Any] = {}
    for key, value in raw.items():
        name = canonical_name(key)
        if name in settings:
            faults.append(
                (str(key), f"the same field is also given as {_other_spelling(raw, key)}: keep one")
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
        faults.append((None, "a rule without provider and model matches everything: write it under [cache]"))
    if not faults and not settings:
        faults.append((None, 'a rule that sets nothing: add for example ttl = "1h" or sensitive = true'))
    if faults:
        return None, faults
    return Rule(patterns.get("provider"), patterns.get("model"), tuple(sorted(settings.items()))), []


def _setting(name: str, raw: object) -> Any:
    if name not in RULE_FIELDS:
        raise ValueError(f"a rule has no such key{nearest(name, (*RULE_FIELDS, *_PATTERNS, 'ttl'))}")
    return values.boolean(raw) if name == "sensitive" else FIELDS[name].parse(raw)


def _other_spelling(table: dict[str, Any], key: str) -> str:
    return next(other for other in table if other != key and canonical_name(other) == canonical_name(key))


def _pattern(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError(f"{values.shown(raw)} is not a pattern: write a name or a glob such as gpt-4o*")
    return raw


def effective_rules(rules: Iterable[Rule | None]) -> list[tuple[int, Rule]]:
    """The same rules without what an earlier one with the same patterns decides already.

    Args:
        rules: The rules in their order; None stands for one that has nothing to say.

    Returns:
        What is left of each rule that still says something, with its position among ``rules``.
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
