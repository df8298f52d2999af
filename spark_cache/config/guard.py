"""Guards: what a profile demands of the configuration, wherever its values come from."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from spark_cache.config import values
from spark_cache.config.fields import LEVELS
from spark_cache.config.origins import place_of
from spark_cache.errors import Problem
from spark_cache.types import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from spark_cache.config.origins import Origin
    from spark_cache.config.rules import Rule

__all__ = ["CONDITIONS", "Condition", "ConditionSpec", "Guard"]


class GuardedConfig(Protocol):
    """The part of a ``CacheConfig`` that guards look at."""

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


@dataclass(frozen=True, slots=True)
class ConditionSpec:
    """One kind of condition.

    Attributes:
        kind: The form of its value, as a reference names it.
        parse: TOML value to value; ``ValueError`` says what is accepted.
        broken: Given the configuration and the value, the keys that break it and how.
        description: What it demands.
        examples: What people write.
    """

    kind: str
    parse: Callable[[object], Any]
    broken: Callable[[GuardedConfig, Any], Iterator[tuple[str, str]]]
    description: str
    examples: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a profile: its name, its value, and where it is written."""

    name: str
    value: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class Guard:
    """The conditions that hold for a configuration."""

    conditions: tuple[Condition, ...] = ()

    def problems(self, config: GuardedConfig, origins: Mapping[str, Origin]) -> list[Problem]:
        """What of ``config`` breaks which condition, each with the place of the value and of the guard."""
        found = [
            (
                place_of(key, origins),
                key,
                f"{what}, and guard.{condition.name} at {condition.origin.place} forbids it",
            )
            for condition in self.conditions
            for key, what in CONDITIONS[condition.name].broken(config, condition.value)
        ]
        return [
            Problem(message, place.source, place.line, place.name or key) for place, key, message in found
        ]


def _set_anywhere(config: GuardedConfig, field: str) -> Iterator[tuple[str, Any, str]]:
    """The field's value and those that rules give it, each with the key to blame and words for it."""
    yield field, getattr(config, field), field
    for number, rule in enumerate(config.rules):
        for name, value in rule.settings:
            if name == field:
                words = f"{field} of a rule for {rule.provider or '*'}/{rule.model or '*'}"
                yield f"rules[{number}]", value, words


def _weak_encryption(config: GuardedConfig, least: str) -> Iterator[tuple[str, str]]:
    if LEVELS.index(config.encryption) < LEVELS.index(least):
        yield "encryption", f"encryption is {config.encryption!r}, less than {least!r}"


def _forbidden_mode(config: GuardedConfig, modes: tuple[Mode, ...]) -> Iterator[tuple[str, str]]:
    for field, mode, words in _set_anywhere(config, "mode"):
        if mode in modes:
            yield field, f"{words} is {str(mode)!r}"


def _long_ttl(config: GuardedConfig, longest: float) -> Iterator[tuple[str, str]]:
    for field, ttl, words in _set_anywhere(config, "ttl_seconds"):
        if ttl is None or ttl > longest:
            yield (
                field,
                f"{words} is {values.format_duration(ttl)}, more than {values.format_duration(longest)}",
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
        return  # the cache makes what is missing, for its owner alone
    if mode & stat.S_IRWXO:
        yield (
            "cache_dir",
            f"cache_dir {config.cache_dir} is open to everybody (mode {stat.S_IMODE(mode):04o})",
        )


def _modes(raw: object) -> tuple[Mode, ...]:
    parse = values.choice(Mode)
    return tuple(Mode(parse(word)) for word in values.words(raw))


CONDITIONS = {
    "require_encryption": ConditionSpec(
        "choice",
        values.choice(LEVELS[1:]),
        _weak_encryption,
        "The least encryption that is accepted.",
        LEVELS[1:],
    ),
    "forbid_modes": ConditionSpec(
        "modes", _modes, _forbidden_mode, "The modes that are not accepted.", (["replay"],)
    ),
    "max_ttl": ConditionSpec(
        "duration", values.duration, _long_ttl, "The longest lifetime that is accepted.", ("1h",)
    ),
    "require_namespace": ConditionSpec(
        "boolean", values.boolean, _no_namespace, "Whether a namespace must be set.", (True,)
    ),
    "forbid_world_readable_cache_dir": ConditionSpec(
        "boolean",
        values.boolean,
        _open_cache_dir,
        "Whether a cache directory that everybody may enter is refused.",
        (True,),
    ),
}
"""Every condition there is."""
