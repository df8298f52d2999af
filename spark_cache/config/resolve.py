"""Resolve the layers: determine the value of every field and the values that it shadows."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_cache.config.dotenv import DotenvFile, read_dotenv
from spark_cache.config.fields import FIELDS, KEY_FIELDS, LEVELS, PROFILES_DIR
from spark_cache.config.guard import Condition, Guard
from spark_cache.config.model import CacheConfig, Provenance
from spark_cache.config.origins import Origin, origin_of
from spark_cache.config.profiles import Profiles
from spark_cache.config.rules import effective_rules
from spark_cache.config.selection import ProfileChoice, select_profile
from spark_cache.config.sources import (
    ConstructorSource,
    ProfileSource,
    Setting,
    Source,
    VariableSource,
    is_ours,
    shown_name,
    unread_variables,
)
from spark_cache.config.values import without_keys
from spark_cache.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_cache.config.context import ConfigContext
    from spark_cache.config.rules import Rule

__all__ = ["PlacedRule", "Resolution", "resolve"]

_DEFAULTS = {name: Origin("default", raw=info.default) for name, info in CacheConfig.model_fields.items()}


_CHECKOUT = frozenset({".env", "project profile"})
"""The layers that come from a checkout of somebody's repository."""


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule and its origin.

    Attributes:
        written: The whole rule, as its layer defines it.
        kept: The rule without the fields that higher layers set. None if nothing is left.
        origin: The origin of the rule.
    """

    written: Rule
    kept: Rule | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class Resolution:
    """The result of resolving the layers.

    Attributes:
        config: The configuration. None if there are problems.
        origins: The origin of each value, with or without problems.
        problems: Everything that is wrong.
        warnings: The warnings to log, each with its source.
        choice: The selected profile and its origin.
        sources: The layers, highest first.
        rules: Every rule, highest layer first.
        conditions: The guard conditions that the configuration must meet.
        profiles: The profiles that can be found.
        dotenv: The ``.env`` file, if there is one.
        tried: Every file that was looked for, and the outcome.
        is_on: Whether the cache is on, for every model or for some.
        ignored: Problems of files that may belong to other programs. They count only if the cache is on.
    """

    config: CacheConfig | None
    origins: Mapping[str, Origin]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    choice: ProfileChoice
    sources: tuple[Source, ...]
    rules: tuple[PlacedRule, ...]
    conditions: tuple[Condition, ...]
    profiles: Profiles
    dotenv: DotenvFile | None
    tried: Mapping[Path, str]
    is_on: bool
    ignored: tuple[Problem, ...]


def resolve(profile: Origin | None, overrides: Mapping[str, Any], context: ConfigContext) -> Resolution:
    """Resolve every field.

    Args:
        profile: The profile that code or the command line selects, if any.
        overrides: The values that code passes. None counts as not given.
        context: The context that the other layers are read from.
    """
    tried: dict[Path, str] = {}
    dotenv = _find_dotenv(context, tried)
    code = ConstructorSource(overrides)
    environment = VariableSource(context.environ)
    from_file = VariableSource(dotenv.variables, dotenv) if dotenv else VariableSource({})
    problems = [
        *(dotenv.problems if dotenv else ()),
        *code.problems,
        *environment.problems,
        *from_file.problems,
    ]

    profiles = Profiles(context, _profiles_folder(context, dotenv, problems))
    choice = select_profile(profile, context.environ, dotenv, profiles)
    problems += choice.problems
    files, file_problems = profiles.chain(choice.name) if choice.name else ([], [])
    problems += file_problems
    layers = [ProfileSource(file) for file in files]
    for layer in layers:
        problems += layer.problems
    sources = (code, environment, from_file, *layers)

    winners, origins = _winners(sources, context)
    origins["profile"] = choice.origin
    rules = _ranked_rules(sources, winners)
    kept = effective_rules(rule.kept for rule in rules)
    if kept:
        first, *others = (rules[position].origin for position, _ in kept)
        origins["rules"] = first.over(*others, origins["rules"])
    conditions = _conditions(layers) if choice.guarded else ()

    values = _values(winners, context, problems) | {
        "profile": choice.name,
        "rules": [rule for _, rule in kept],
    }
    values.setdefault("cache_dir", context.default_cache_dir)
    config = _construct(values, origins, Guard(conditions), problems)
    unreadable = () if dotenv is None or dotenv.unreadable is None else (dotenv.unreadable,)
    is_on = _can_be_on(config)
    if is_on:
        problems += unreadable
    return Resolution(
        config=None if problems else config,
        origins=origins,
        problems=tuple(dict.fromkeys(problems)),
        warnings=(*choice.warnings, *profiles.warnings, *_variable_warnings(context, dotenv)),
        choice=choice,
        sources=sources,
        rules=tuple(rules),
        conditions=conditions,
        profiles=profiles,
        dotenv=dotenv,
        tried=tried | profiles.tried,
        is_on=is_on,
        ignored=() if is_on else unreadable,
    )


def _can_be_on(config: CacheConfig | None) -> bool:
    return config is not None and (
        config.enabled or any(dict(rule.settings).get("enabled") for rule in config.rules)
    )


def _find_dotenv(context: ConfigContext, tried: dict[Path, str]) -> DotenvFile | None:
    for folder in context.project:
        path = folder / ".env"
        if os.path.isfile(path):  # also false if this user may not search the folder
            tried[path] = "read"
            file = read_dotenv(path, is_ours)
            kept = {name: value for name, value in file.variables.items() if name not in context.unset}
            return replace(file, variables=kept) if context.unset else file
        tried[path] = "skipped: not a regular file" if os.path.lexists(path) else "absent"
    return None


def _profiles_folder(
    context: ConfigContext, dotenv: DotenvFile | None, problems: list[Problem]
) -> Path | None:
    raw = context.environ.get(PROFILES_DIR, "").strip()
    origin = Origin("environment", PROFILES_DIR)
    if not raw and dotenv is not None:
        raw = dotenv.variables.get(PROFILES_DIR, "").strip()
        origin = Origin(".env", PROFILES_DIR, dotenv.path, dotenv.lines.get(PROFILES_DIR))
    if not raw:
        return None
    try:
        path = Setting(raw, origin, from_file=origin.source != "environment").path(context)
        folder = Path(os.path.abspath(path))  # relative paths in profiles start at its parent
    except ValueError as error:
        problems.append(Problem(str(error), origin.source, origin.line, origin.name))
        return None
    if not os.path.isdir(folder):  # also false if this user may not search its parent
        message = f"no such directory: {without_keys(str(folder))}"
        problems.append(Problem(message, origin.source, origin.line, origin.name))
    return folder


def _winners(
    sources: Sequence[Source], context: ConfigContext
) -> tuple[dict[str, tuple[int, Setting]], dict[str, Origin]]:
    """Return the origin of every field, and the winning setting with the rank of its layer (0 is the highest)."""
    winners: dict[str, tuple[int, Setting]] = {}
    origins: dict[str, Origin] = {}
    key_rank = _key_rank(sources)
    defaults = _DEFAULTS | {"cache_dir": Origin("default", raw=str(context.default_cache_dir))}
    for name, fallback in defaults.items():
        placed = [
            (rank, source.settings[name]) for rank, source in enumerate(sources) if name in source.settings
        ]
        if name == "encryption":
            placed = _not_lowered(placed)
        below = [setting.origin for _, setting in placed] + [fallback]
        if name in KEY_FIELDS and placed and placed[0][0] > key_rank:
            note = (
                f"the encryption keys come from {sources[key_rank].label}, which overrides all lower layers"
            )
            origins[name] = replace(fallback, note=note).over(*below[:-1])
        elif placed:
            winners[name] = placed[0]
            origins[name] = below[0].over(*below[1:])
        else:
            origins[name] = fallback
    return winners, origins


def _not_lowered(placed: list[tuple[int, Setting]]) -> list[tuple[int, Setting]]:
    """Move a user profile to the top if the checkout that would win asks for less encryption.

    A checkout, with its profiles and its ``.env``, can raise the encryption that the user asks for, never lower it.
    """
    if not placed or placed[0][1].origin.kind not in _CHECKOUT:
        return placed
    for entry in placed:
        if entry[1].origin.kind == "user profile" and _level(entry[1].raw) > _level(placed[0][1].raw):
            rank, setting = entry
            noted = replace(setting.origin, note="a checkout cannot lower the encryption of a user profile")
            return [
                (rank, replace(setting, origin=noted)),
                *(other for other in placed if other is not entry),
            ]
    return placed


def _level(raw: object) -> int:
    """Return the rank of an encryption level; that of an invalid one is the highest, so that it is reported."""
    return LEVELS.index(raw) if raw in LEVELS else len(LEVELS)


def _key_rank(sources: Sequence[Source]) -> int:
    """Return the rank of the highest layer that sets encryption keys or a key file."""
    ranks = (rank for rank, source in enumerate(sources) if not source.settings.keys().isdisjoint(KEY_FIELDS))
    return next(ranks, len(sources))


def _ranked_rules(sources: Sequence[Source], winners: Mapping[str, tuple[int, Setting]]) -> list[PlacedRule]:
    """Return all rules, each without the fields that a higher layer sets."""
    return [
        PlacedRule(
            rule, rule.without({name for name, (winner, _) in winners.items() if winner < rank}), origin
        )
        for rank, source in enumerate(sources)
        for rule, origin in source.rules
    ]


def _conditions(layers: Sequence[Source]) -> tuple[Condition, ...]:
    highest: dict[str, Condition] = {}
    for layer in layers:
        for condition in layer.conditions:
            highest.setdefault(condition.name, condition)
    return tuple(highest.values())


def _values(
    winners: Mapping[str, tuple[int, Setting]], context: ConfigContext, problems: list[Problem]
) -> dict[str, Any]:
    """Return the winning values, with paths made absolute."""
    values: dict[str, Any] = {}
    for name, (_, setting) in winners.items():
        if not FIELDS[name].is_path:
            values[name] = setting.raw
            continue
        try:
            values[name] = setting.path(context)
        except ValueError as error:
            origin = setting.origin
            problems.append(Problem(str(error), origin.source, origin.line, origin.name))
    return values


def _construct(
    values: dict[str, Any], origins: Mapping[str, Origin], guard: Guard, problems: list[Problem]
) -> CacheConfig | None:
    """Create the configuration. If a value is invalid, the guard still checks the others."""
    invalid: set[str] = set()
    try:
        config = CacheConfig(**values)
    except ConfigError as error:
        for problem in error.problems:
            key = problem.key or ""
            invalid.add(key.partition("[")[0])
            origin = origin_of(key, origins)
            problems.append(Problem(problem.message, origin.source, origin.line, origin.name or key))
        try:
            config = CacheConfig(**{name: value for name, value in values.items() if name not in invalid})
        except ConfigError:
            return None
    violations = guard.problems(config, origins)
    problems += [
        problem
        for problem in violations
        if problem.key not in {origins[name].name or name for name in invalid}
    ]
    return config.loaded(Provenance(origins, guard))


def _variable_warnings(context: ConfigContext, dotenv: DotenvFile | None) -> list[Problem]:
    warnings = [
        Problem(message, "environment", key=shown_name(name))
        for name, message in unread_variables(context.environ)
    ]
    if dotenv is not None:
        warnings += [
            Problem(message, str(dotenv.path), dotenv.lines[name], shown_name(name))
            for name, message in unread_variables(dotenv.variables)
        ]
        warnings += dotenv.ignored
    return warnings
