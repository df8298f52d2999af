"""One pass over the layers: for every field the value that wins, and all that it shadows."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_cache.config.dotenv import DotenvFile, read_dotenv
from spark_cache.config.fields import FIELDS, KEY_FIELDS, PROFILES_DIR
from spark_cache.config.guard import Condition, Guard
from spark_cache.config.model import CacheConfig, Provenance
from spark_cache.config.origins import Origin, place_of
from spark_cache.config.profiles import Profiles
from spark_cache.config.rules import effective_rules
from spark_cache.config.selection import ProfileChoice, select_profile
from spark_cache.config.sources import (
    ConstructorSource,
    ProfileSource,
    Setting,
    Source,
    VariableSource,
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


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule as its layer writes it.

    Attributes:
        written: The whole rule.
        kept: What is left of it where higher layers set the same fields; None when that is nothing.
        origin: Where it stands.
    """

    written: Rule
    kept: Rule | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class Resolution:
    """What came of the layers.

    Attributes:
        config: The configuration; None where there are problems.
        origins: Where each value came from, problems or not.
        problems: Everything that is wrong.
        notices: What deserves a warning, by its place.
        choice: The profile, and why it is that one.
        sources: The layers, highest first.
        rules: Every rule, those of the highest layer first.
        conditions: What the configuration must meet.
        profiles: Where the profiles were looked for.
        dotenv: The ``.env`` file, where there is one.
        tried: Every file that was looked for, and what became of it.
    """

    config: CacheConfig | None
    origins: Mapping[str, Origin]
    problems: tuple[Problem, ...]
    notices: tuple[Problem, ...]
    choice: ProfileChoice
    sources: tuple[Source, ...]
    rules: tuple[PlacedRule, ...]
    conditions: tuple[Condition, ...]
    profiles: Profiles
    dotenv: DotenvFile | None
    tried: Mapping[Path, str]


def resolve(profile: Origin | None, overrides: Mapping[str, Any], around: ConfigContext) -> Resolution:
    """Resolve every field.

    Args:
        profile: The profile that the code names, where it does.
        overrides: Values that the code gives; None counts as not given.
        around: What the other layers are read from.
    """
    tried: dict[Path, str] = {}
    dotenv = _find_dotenv(around, tried)
    code = ConstructorSource(overrides)
    environment = VariableSource(around.environ)
    from_file = VariableSource(dotenv.variables, dotenv) if dotenv else VariableSource({})
    problems = [
        *(dotenv.problems if dotenv else ()),
        *code.problems,
        *environment.problems,
        *from_file.problems,
    ]

    profiles = Profiles(around, _profiles_folder(around, dotenv, problems))
    choice = select_profile(profile, around.environ, dotenv, profiles)
    problems += choice.problems
    files, faults = profiles.chain(choice.name) if choice.name else ([], [])
    problems += faults
    layers = [ProfileSource(file) for file in files]
    for layer in layers:
        problems += layer.problems
    sources = (code, environment, from_file, *layers)

    winners, origins = _winners(sources, around)
    origins["profile"] = choice.origin
    rules = _ranked_rules(sources, winners)
    kept = effective_rules(rule.kept for rule in rules)
    if kept:
        first, *others = (rules[position].origin for position, _ in kept)
        origins["rules"] = first.over(*others, origins["rules"])
    conditions = _conditions(layers) if choice.guarded else ()

    values = _values(winners, around, problems) | {
        "profile": choice.name,
        "rules": [rule for _, rule in kept],
    }
    values.setdefault("cache_dir", around.default_cache_dir)
    config = _construct(values, origins, Guard(conditions), problems)
    return Resolution(
        config=None if problems else config,
        origins=origins,
        problems=tuple(dict.fromkeys(problems)),
        notices=(*choice.notices, *profiles.doubtful, *_notices(around, dotenv)),
        choice=choice,
        sources=sources,
        rules=tuple(rules),
        conditions=conditions,
        profiles=profiles,
        dotenv=dotenv,
        tried=tried | profiles.tried,
    )


def _find_dotenv(around: ConfigContext, tried: dict[Path, str]) -> DotenvFile | None:
    for folder in around.project:
        path = folder / ".env"
        if os.path.isfile(path):  # false as well where this user may not search the folder
            tried[path] = "read"
            file = read_dotenv(path, around.environ)
            kept = {name: value for name, value in file.variables.items() if name not in around.unset}
            return replace(file, variables=kept) if around.unset else file
        tried[path] = "absent"
    return None


def _profiles_folder(
    around: ConfigContext, dotenv: DotenvFile | None, problems: list[Problem]
) -> Path | None:
    raw = around.environ.get(PROFILES_DIR, "").strip()
    origin, beside = Origin("environment", PROFILES_DIR), around.environ
    if not raw and dotenv is not None:
        raw, beside = dotenv.variables.get(PROFILES_DIR, "").strip(), dotenv.variables
        origin = Origin(".env", PROFILES_DIR, dotenv.path, dotenv.lines.get(PROFILES_DIR))
    if not raw:
        return None
    try:
        folder = Path(os.path.abspath(Setting(raw, origin, beside=beside).path(around)))  # its parent counts
    except ValueError as error:
        problems.append(Problem(str(error), origin.source, origin.line, origin.name))
        return None
    if not os.path.isdir(folder):  # false as well where this user may not look
        message = f"there is no directory {without_keys(str(folder))}"
        problems.append(Problem(message, origin.source, origin.line, origin.name))
    return folder


def _winners(
    sources: Sequence[Source], around: ConfigContext
) -> tuple[dict[str, tuple[int, Setting]], dict[str, Origin]]:
    """For every field its origin, and the setting that wins with the rank of its layer (0 is the highest)."""
    winners: dict[str, tuple[int, Setting]] = {}
    origins: dict[str, Origin] = {}
    key_rank = _key_rank(sources)
    defaults = _DEFAULTS | {"cache_dir": Origin("default", raw=str(around.default_cache_dir))}
    for name, fallback in defaults.items():
        placed = [
            (rank, source.settings[name]) for rank, source in enumerate(sources) if name in source.settings
        ]
        below = [setting.origin for _, setting in placed] + [fallback]
        if name in KEY_FIELDS and placed and placed[0][0] > key_rank:
            note = f"the keys come from {sources[key_rank].label}, which replaces what is below"
            origins[name] = replace(fallback, note=note).over(*below[:-1])
        elif placed:
            winners[name] = placed[0]
            origins[name] = below[0].over(*below[1:])
        else:
            origins[name] = fallback
    return winners, origins


def _key_rank(sources: Sequence[Source]) -> int:
    """The rank of the highest layer that gives encryption keys in either way."""
    given = (rank for rank, source in enumerate(sources) if not source.settings.keys().isdisjoint(KEY_FIELDS))
    return next(given, len(sources))


def _ranked_rules(sources: Sequence[Source], winners: Mapping[str, tuple[int, Setting]]) -> list[PlacedRule]:
    """All rules; each loses what a layer above its own sets."""
    return [
        PlacedRule(rule, rule.without({name for name, (above, _) in winners.items() if above < rank}), origin)
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
    winners: Mapping[str, tuple[int, Setting]], around: ConfigContext, problems: list[Problem]
) -> dict[str, Any]:
    """The values that win, paths made absolute from where their layer starts."""
    values: dict[str, Any] = {}
    for name, (_, setting) in winners.items():
        if not FIELDS[name].is_path:
            values[name] = setting.raw
            continue
        try:
            values[name] = setting.path(around)
        except ValueError as error:
            origin = setting.origin
            problems.append(Problem(str(error), origin.source, origin.line, origin.name))
    return values


def _construct(
    values: dict[str, Any], origins: Mapping[str, Origin], guard: Guard, problems: list[Problem]
) -> CacheConfig | None:
    """Make the configuration; where a value is refused, the guard still looks at the others."""
    refused: set[str] = set()
    try:
        config = CacheConfig(**values)
    except ConfigError as error:
        for problem in error.problems:
            key = problem.key or ""
            refused.add(key.partition("[")[0])
            origin = place_of(key, origins)
            problems.append(Problem(problem.message, origin.source, origin.line, origin.name or key))
        try:
            config = CacheConfig(**{name: value for name, value in values.items() if name not in refused})
        except ConfigError:
            return None
    broken = guard.problems(config, origins)
    problems += [
        problem for problem in broken if problem.key not in {origins[name].name or name for name in refused}
    ]
    return config.loaded(Provenance(origins, guard))


def _notices(around: ConfigContext, dotenv: DotenvFile | None) -> list[Problem]:
    notices = [
        Problem(message, "environment", key=shown_name(name))
        for name, message in unread_variables(around.environ)
    ]
    if dotenv is not None:
        notices += [
            Problem(message, str(dotenv.path), dotenv.lines[name], shown_name(name))
            for name, message in unread_variables(dotenv.variables)
        ]
        notices += dotenv.ignored
    return notices
