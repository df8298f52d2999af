"""What ``spark-cache config explain`` does: one setting, what decides it, and what would decide it instead."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from spark_cache.cli.config_run import asked, named
from spark_cache.cli.output import print_json
from spark_cache.config.context import ConfigContext
from spark_cache.config.fields import (
    FIELDS,
    PROFILE_VARIABLES,
    PROFILES_DIR,
    VARIABLES,
    canonical_name,
    nearest,
)
from spark_cache.config.format import (
    formatted,
    given,
    in_words,
    json_origin,
    json_problem,
    json_rule,
    json_value,
    rule_text,
    where,
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
    """Print what decides one setting, what that shadows and every file that was looked for; say whether all is well.

    A configuration with problems is explained too: that is when a reader needs it.
    """
    name = _field(field)
    around = ConfigContext.of()
    resolution = resolve(asked(profile), {}, around)
    instead: list[tuple[str, CacheConfig]] = []
    if unset:
        _check_unset(unset, resolution)
        without = resolve(asked(profile), {}, around.without(unset))
        instead.append((f"without {', '.join(unset)}", usable(without)))
    instead += [(f"as {other}", usable(resolve(named("--as", other), {}, around))) for other in others]
    if as_json:
        print_json(_json_explanation(name, resolution, instead))
    else:
        _print_explanation(name, resolution, instead)
    return not resolution.problems


def _print_explanation(name: str, resolution: Resolution, instead: Iterable[tuple[str, CacheConfig]]) -> None:
    config, origin = resolution.config, resolution.origins[name]
    value = given(name, origin) if config is None else formatted(name, getattr(config, name))
    click.echo(f"{name} = {value}")
    click.echo(FIELDS[name].description if name in FIELDS else "Settings for the models that match.")
    click.echo()
    chain = [("wins", origin), *(("shadowed", below) for below in origin.shadows)]
    values = [_given(name, resolution, place) for _, place in chain]
    width = max(len(value) for value in values)
    for (rank, place), text in zip(chain, values, strict=True):
        click.echo(f"{rank:<8}  {text:<{width}}  {in_words(place)}")
        if place.path is not None:
            click.echo(f"{'':<8}  {'':<{width}}  {place.place}")
    if origin.note:
        click.echo(f"Note: {origin.note}.")
    for lines in _rules_for(name, resolution):
        click.echo()
        for line in lines:
            click.echo(line)
    click.echo()
    click.echo(f"Profile: {resolution.choice.name or 'none'}, from {where(resolution.origins['profile'])}.")
    click.echo("Files looked for:")
    for path, outcome in resolution.tried.items():
        click.echo(f"  {path}: {outcome}")
    for problem in resolution.problems:
        click.echo(f"problem: {problem}")
    for words, other in instead:
        shown = formatted(name, getattr(other, name))
        click.echo(f"{words[0].upper()}{words[1:]}: {shown}, from {where(other.origins[name])}.")


def _field(written: str) -> str:
    """The field that a person names: by its own name, its short form, or a variable."""
    if written in VARIABLES:
        return VARIABLES[written].name
    name = "profile" if written in PROFILE_VARIABLES else canonical_name(written)
    if name not in CacheConfig.model_fields:
        known = (*CacheConfig.model_fields, *PROFILE_VARIABLES, *VARIABLES)
        raise click.UsageError(f"there is no setting {written!r}{nearest(written, known)}")
    return name


def _check_unset(unset: Iterable[str], resolution: Resolution) -> None:
    """Refuse a variable that is misspelt: it would seem to change nothing."""
    known = (*PROFILE_VARIABLES, *VARIABLES, PROFILES_DIR)
    in_file = resolution.dotenv.variables if resolution.dotenv else {}
    for variable in unset:
        if variable not in (*known, *in_file) and variable not in os.environ:
            raise click.UsageError(
                f"--unset {variable}: it is not set, and nothing reads it{nearest(variable, known)}"
            )


def _given(name: str, resolution: Resolution, place: Origin) -> str:
    """What one place of the chain says; for rules, the rule that stands there."""
    if name == "rules":
        return next(
            (rule_text(rule.written) for rule in resolution.rules if rule.origin.place == place.place), "none"
        )
    return given(name, place)


def _rules_for(name: str, resolution: Resolution) -> list[tuple[str, str]]:
    """The rules that set a field, each in lines to print."""
    found = []
    for rule in resolution.rules:
        if name in dict(rule.written.settings):
            held = rule.kept is not None and name in dict(rule.kept.settings)
            state = "" if held else ", shadowed by a higher layer"
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
        "tried": [{"file": str(path), "outcome": words} for path, words in resolution.tried.items()],
        "problems": [json_problem(problem) for problem in resolution.problems],
        "instead": [
            {
                "if": words,
                "value": json_value(name, getattr(other, name)),
                "origin": json_origin(other.origins[name]),
            }
            for words, other in instead
        ],
    }
