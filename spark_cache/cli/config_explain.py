"""The implementation of ``spark-cache config explain``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from spark_cache.cli.output import print_json
from spark_cache.cli.profile_option import asked, named
from spark_cache.config.context import ConfigContext
from spark_cache.config.fields import (
    FIELDS,
    PROFILE_VARIABLES,
    PROFILES_DIR,
    VARIABLES,
    canonical_name,
    suggestion,
)
from spark_cache.config.format import (
    describe,
    formatted,
    json_origin,
    json_problem,
    json_rule,
    json_value,
    location,
    rule_text,
    written_value,
)
from spark_cache.config.load import usable
from spark_cache.config.model import CacheConfig
from spark_cache.config.resolve import Resolution, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_cache.config.origins import Origin

__all__ = ["run_explain"]


def run_explain(
    field: str, profile: str | None, *, unset: tuple[str, ...], others: tuple[str, ...], as_json: bool
) -> bool:
    """Explain one setting. Return whether the configuration has no problems.

    A configuration with problems is explained as well, because that is when an explanation is needed.

    Args:
        field: The field, its short form or one of its variables.
        profile: The profile. None selects the one from the environment.
        unset: Variables. The value without them is printed as well.
        others: Profiles. The value under each of them is printed as well.
        as_json: Whether to print JSON.
    """
    name = _field(field)
    context = ConfigContext.of()
    resolution = resolve(asked(profile), {}, context)
    instead: list[tuple[str, CacheConfig]] = []
    if unset:
        _check_unset(unset, resolution)
        without = resolve(asked(profile), {}, context.without(unset))
        instead.append((f"without {', '.join(unset)}", usable(without)))
    instead += [(f"as {other}", usable(resolve(named("--as", other), {}, context))) for other in others]
    if as_json:
        print_json(_json_explanation(name, resolution, instead))
    else:
        _print_explanation(name, resolution, instead)
    return not resolution.problems


def _print_explanation(name: str, resolution: Resolution, instead: Iterable[tuple[str, CacheConfig]]) -> None:
    config, origin = resolution.config, resolution.origins[name]
    value = written_value(name, origin) if config is None else formatted(name, getattr(config, name))
    click.echo(f"{name} = {value}")
    click.echo(FIELDS[name].description if name in FIELDS else "Settings for matching models.")
    click.echo()
    winners = origin.items if name == "rules" and origin.items else (origin,)
    items = origin.items if name != "rules" else ()
    chain = [
        *(("wins", link) for link in winners),
        *(("item", link) for link in items),
        *(("shadowed", below) for below in origin.shadows),
    ]
    values = [_written_value(name, resolution, link) for _, link in chain]
    width = max(len(value) for value in values)
    for (rank, link), text in zip(chain, values, strict=True):
        click.echo(f"{rank:<8}  {text:<{width}}  {describe(link)}")
        if link.path is not None:
            click.echo(f"{'':<8}  {'':<{width}}  {link.place}")
    if origin.note:
        click.echo(f"Note: {origin.note}.")
    for lines in _rules_for(name, resolution):
        click.echo()
        for line in lines:
            click.echo(line)
    click.echo()
    click.echo(
        f"Profile: {resolution.choice.name or 'none'}, from {location(resolution.origins['profile'])}."
    )
    click.echo("Files looked for:")
    for path, outcome in resolution.tried.items():
        click.echo(f"  {path}: {outcome}")
    for problem in resolution.problems:
        click.echo(f"problem: {problem}")
    for condition, other in instead:
        shown = formatted(name, getattr(other, name))
        click.echo(f"{condition[0].upper()}{condition[1:]}: {shown}, from {location(other.origins[name])}.")


def _field(argument: str) -> str:
    """Return the field for a field name, a short form or a variable."""
    if argument in VARIABLES:
        return VARIABLES[argument].name
    name = "profile" if argument in PROFILE_VARIABLES else canonical_name(argument)
    if name not in CacheConfig.model_fields:
        known = (*CacheConfig.model_fields, *PROFILE_VARIABLES, *VARIABLES)
        raise click.UsageError(f"unknown setting {argument!r}{suggestion(argument, known)}")
    return name


def _check_unset(unset: Iterable[str], resolution: Resolution) -> None:
    """Reject a misspelt variable, because the output would suggest that it has no effect."""
    known = (*PROFILE_VARIABLES, *VARIABLES, PROFILES_DIR)
    in_file = resolution.dotenv.variables if resolution.dotenv else {}
    for variable in unset:
        if variable not in (*known, *in_file) and variable not in os.environ:
            raise click.UsageError(
                f"--unset {variable}: unknown variable, which is not set either{suggestion(variable, known)}"
            )


def _written_value(name: str, resolution: Resolution, origin: Origin) -> str:
    """Return the value at an origin; for ``rules``, the rule at that location."""
    if name == "rules":
        return next(
            (rule_text(rule.written) for rule in resolution.rules if rule.origin.place == origin.place),
            "none",
        )
    return written_value(name, origin)


def _rules_for(name: str, resolution: Resolution) -> list[tuple[str, str]]:
    """Return the output lines for each rule that sets a field."""
    found = []
    for rule in resolution.rules:
        if name in dict(rule.written.settings):
            applies = rule.kept is not None and name in dict(rule.kept.settings)
            state = "" if applies else ", shadowed by a higher layer"
            found.append((f"A rule for {rule_text(rule.written)}{state}", f"  {rule.origin.place}"))
    return found


def _json_explanation(
    name: str, resolution: Resolution, instead: Iterable[tuple[str, CacheConfig]]
) -> dict[str, Any]:
    config, origins = resolution.config, resolution.origins
    return {
        "field": name,
        "value": None if config is None else json_value(name, getattr(config, name)),
        "origin": json_origin(origins[name]),
        "profile": {"name": resolution.choice.name, "origin": json_origin(origins["profile"])},
        "rules": [
            {
                "written": json_rule(rule.written),
                "kept": rule.kept and json_rule(rule.kept),
                "place": rule.origin.place,
            }
            for rule in resolution.rules
            if name in dict(rule.written.settings)
        ],
        "tried": [{"file": str(path), "outcome": outcome} for path, outcome in resolution.tried.items()],
        "problems": [json_problem(problem) for problem in resolution.problems],
        "instead": [
            {
                "if": condition,
                "value": json_value(name, getattr(other, name)),
                "origin": json_origin(other.origins[name]),
            }
            for condition, other in instead
        ],
    }
