"""Resolve the layers: determine the value of every field and the values that it shadows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.config.dotenv import DotenvFile, read_dotenv
from spark_cache.config.fields import PROFILES_DIR
from spark_cache.config.guard import Condition, Guard
from spark_cache.config.merge import merge
from spark_cache.config.model import DEFAULTS, CacheConfig, Provenance
from spark_cache.config.origins import Origin, origin_of
from spark_cache.config.profiles import Profiles
from spark_cache.config.selection import ProfileChoice, select_profile
from spark_cache.config.sources import (
    ConstructorSource,
    DefaultSource,
    PlacedRule,
    ProfileSource,
    Source,
    VariableSource,
    is_ours,
    shown_name,
    unread_variables,
    variable_origin,
)
from spark_cache.config.values import without_keys
from spark_cache.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.config.context import ConfigContext

__all__ = ["Resolution", "resolve"]


class Resolution(NamedTuple):
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
    problems = list(dotenv.problems) if dotenv else []
    profiles = Profiles(context, _profiles_folder(context, dotenv, problems))
    choice = select_profile(profile, context.environ, dotenv, profiles)
    files, file_problems = profiles.chain(choice.name) if choice.name else ([], [])
    sources: tuple[Source, ...] = (
        ConstructorSource(overrides, context),
        VariableSource(context.environ, context),
        *([VariableSource(dotenv.variables, context, dotenv)] if dotenv else ()),
        *(ProfileSource(file, context) for file in files),
        DefaultSource(DEFAULTS, context),
    )
    problems += (*choice.problems, *file_problems)
    problems += (problem for source in sources for problem in source.problems)

    merged = merge(sources)
    origins = {**merged.origins, "profile": choice.origin}
    conditions = merged.conditions if choice.guarded else ()
    values = merged.values | {"profile": choice.name}
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
        rules=merged.rules,
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
            return file._replace(variables=kept) if context.unset else file
        tried[path] = "skipped: not a regular file" if os.path.lexists(path) else "absent"
    return None


def _profiles_folder(
    context: ConfigContext, dotenv: DotenvFile | None, problems: list[Problem]
) -> Path | None:
    """Return the folder that ``SPARK_PROFILES_DIR`` names, if it is set."""
    for variables, file in ((context.environ, None), (dotenv.variables if dotenv else {}, dotenv)):
        raw = variables.get(PROFILES_DIR, "").strip()
        if not raw:
            continue
        origin = variable_origin(PROFILES_DIR, raw, file)
        try:
            # Relative paths in profiles start at the parent of this folder.
            folder = Path(os.path.abspath(context.expand(raw, from_file=file is not None)))
        except ValueError as error:
            problems.append(origin.problem(str(error)))
            return None
        if not os.path.isdir(folder):  # also false if this user may not search its parent
            problems.append(origin.problem(f"no such directory: {without_keys(str(folder))}"))
        return folder
    return None


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
            problems.append(origin_of(key, origins).problem(problem.message, key))
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
