"""Guards: conditions of a profile that the configuration must meet, whichever layers its values come from."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from spark_cache.config import values
from spark_cache.config.fields import LEVELS
from spark_cache.config.kinds import BOOLEAN, DURATION, MODES, choice
from spark_cache.config.origins import origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from spark_cache.config.kinds import Kind
    from spark_cache.config.origins import Origin
    from spark_cache.config.rules import Rule
    from spark_cache.errors import Problem
    from spark_cache.types import Mode

__all__ = ["CONDITIONS", "Condition", "ConditionSpec", "Guard"]


class GuardedConfig(Protocol):
    """The part of a ``CacheConfig`` that guards check."""

    @property
    def mode(self) -> Mode: ...
    @property
    def ttl_seconds(self) -> float | None: ...
    @property
    def encryption(self) -> str: ...
    @property
    def namespace(self) -> str | None: ...
    @property
    def cache_dir(self) -> Path | None: ...
    @property
    def rules(self) -> tuple[Rule, ...]: ...


class ConditionSpec(NamedTuple):
    """One kind of condition.

    Attributes:
        kind: The kind of its value.
        violations: Yields each key of the configuration that violates the condition, with a description.
        description: What the condition requires.
    """

    kind: Kind
    violations: Callable[[GuardedConfig, Any], Iterator[tuple[str, str]]]
    description: str


class Condition(NamedTuple):
    """One condition of a profile, with its origin."""

    name: str
    value: Any
    origin: Origin


class Guard(NamedTuple):
    """The conditions that a configuration must meet."""

    conditions: tuple[Condition, ...] = ()

    def problems(self, config: GuardedConfig, origins: Mapping[str, Origin]) -> list[Problem]:
        """Return every violation, each with the origin of the value and of the condition."""
        return [
            origin_of(key, origins).problem(
                f"{violation}, which violates guard.{condition.name} at {condition.origin.place}", key
            )
            for condition in self.conditions
            for key, violation in CONDITIONS[condition.name].violations(config, condition.value)
        ]


def _set_anywhere(config: GuardedConfig, field: str) -> Iterator[tuple[str, Any, str]]:
    """Yield the key, the value and a label for the field itself and for every rule that sets it."""
    yield field, getattr(config, field), field
    for number, rule in enumerate(config.rules):
        for name, value in rule.settings:
            if name == field:
                label = f"{field} in the rule for {rule.provider or '*'}/{rule.model or '*'}"
                yield f"rules[{number}]", value, label


def _weak_encryption(config: GuardedConfig, least: str) -> Iterator[tuple[str, str]]:
    if LEVELS.index(config.encryption) < LEVELS.index(least):
        yield "encryption", f"encryption is {config.encryption!r}, weaker than {least!r}"


def _forbidden_mode(config: GuardedConfig, modes: tuple[Mode, ...]) -> Iterator[tuple[str, str]]:
    for field, mode, label in _set_anywhere(config, "mode"):
        if mode in modes:
            yield field, f"{label} is {str(mode)!r}"


def _long_ttl(config: GuardedConfig, longest: float) -> Iterator[tuple[str, str]]:
    for field, ttl, label in _set_anywhere(config, "ttl_seconds"):
        if ttl is None or ttl > longest:
            yield (
                field,
                f"{label} is {values.format_duration(ttl)}, longer than {values.format_duration(longest)}",
            )


def _no_namespace(config: GuardedConfig, required: bool) -> Iterator[tuple[str, str]]:
    if required and config.namespace is None:
        yield "namespace", "namespace is not set"


def _open_cache_dir(config: GuardedConfig, forbidden: bool) -> Iterator[tuple[str, str]]:
    if not forbidden or config.cache_dir is None:
        return
    try:
        mode = config.cache_dir.stat().st_mode
    except OSError:
        return  # the cache creates a missing directory with access for its owner only
    if mode & stat.S_IRWXO:
        yield (
            "cache_dir",
            f"cache_dir {config.cache_dir} is accessible to other users (mode {stat.S_IMODE(mode):04o})",
        )


CONDITIONS = {
    "require_encryption": ConditionSpec(
        choice(LEVELS[1:]), _weak_encryption, "The weakest encryption level that is accepted."
    ),
    "forbid_modes": ConditionSpec(MODES, _forbidden_mode, "The modes that are not accepted."),
    "max_ttl": ConditionSpec(DURATION, _long_ttl, "The longest TTL that is accepted."),
    "require_namespace": ConditionSpec(BOOLEAN, _no_namespace, "Whether a namespace must be set."),
    "forbid_world_readable_cache_dir": ConditionSpec(
        BOOLEAN, _open_cache_dir, "Whether a cache directory that other users can access is refused."
    ),
}
"""All conditions by name."""
