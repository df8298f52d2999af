"""What the commands of ``spark-cache config`` do; apart from their declarations, so that ``--help`` is quick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from spark_cache.cli.output import print_json, table
from spark_cache.config.check import Verdict, check
from spark_cache.config.compare import compare, compare_guards
from spark_cache.config.export import export_profile, export_toml
from spark_cache.config.fields import FIELDS, VARIABLES, canonical_name, nearest
from spark_cache.config.load import asked_profile, usable
from spark_cache.config.model import CacheConfig
from spark_cache.config.origins import Origin
from spark_cache.config.reference import dotenv_example, variables
from spark_cache.config.report import (
    formatted,
    given,
    in_words,
    json_origin,
    json_problem,
    json_rule,
    json_value,
    legend,
    rule_text,
    short,
    where,
)
from spark_cache.config.resolve import Resolution, resolve
from spark_cache.config.schema import profile_schema
from spark_cache.config.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["run_check", "run_diff", "run_env", "run_explain", "run_export", "run_schema", "run_show"]


def run_show(profile: str | None, *, with_origin: bool, as_json: bool) -> None:
    """Print every setting and the place it comes from."""
    config = usable(resolve(asked_profile(profile), {}, Surroundings.of()))
    if as_json:
        print_json(_json_config(config, with_origin=with_origin))
        return
    rows = []
    for name, origin in config.origins.items():
        note = "" if origin.note is None else f" ({origin.note})"
        rows.append((name, formatted(name, getattr(config, name)), f"{short(origin)}{note}"))
        if with_origin:
            rows += [("", f"  over {given(name, below)}", short(below)) for below in origin.shadows]
    table(("setting", "value", "from"), rows)
    shown = [place for origin in config.origins.values() for place in (origin, *origin.shadows * with_origin)]
    _print_legend(shown)


def run_explain(
    field: str, profile: str | None, *, unset: tuple[str, ...], others: tuple[str, ...], as_json: bool
) -> bool:
    """Print what decides one setting, what that shadows and every file that was looked for; say whether all is well.

    A configuration with problems is explained too: that is when a reader needs it.
    """
    name = _field(field)
    around = Surroundings.of()
    resolution = resolve(asked_profile(profile), {}, around)
    instead: list[tuple[str, CacheConfig]] = []
    if unset:
        without = resolve(asked_profile(profile), {}, around.without(unset))
        instead.append((f"without {', '.join(unset)}", usable(without)))
    instead += [(f"as {other}", usable(resolve(_named("--as", other), {}, around))) for other in others]
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


def run_diff(left: str, right: str, *, as_json: bool) -> None:
    """Print what differs between two profiles as they resolve here."""
    around = Surroundings.of()
    one, other = (usable(resolve(_named("argument", name), {}, around)) for name in (left, right))
    differences = [found for found in compare(one, other) if found.field != "profile"]
    differences += compare_guards(one, other)
    if as_json:
        print_json(
            [
                {
                    "field": found.field,
                    "left": json_value(found.field, found.before),
                    "left_origin": json_origin(found.before_origin),
                    "right": json_value(found.field, found.after),
                    "right_origin": json_origin(found.after_origin),
                }
                for found in differences
            ]
        )
        return
    if not differences:
        click.echo(f"{one.profile} and {other.profile} do not differ here.")
        return
    rows: list[tuple[str, str, str]] = []
    for found in differences:
        rows.append((found.field, formatted(found.field, found.before), formatted(found.field, found.after)))
        rows.append(("", short(found.before_origin), short(found.after_origin)))
    table(("", str(one.profile), str(other.profile)), rows)
    _print_legend(place for found in differences for place in (found.before_origin, found.after_origin))


def run_check(profile: str | None, *, all_profiles: bool, as_json: bool) -> bool:
    """Print what a check finds, and say whether all is well."""
    around = Surroundings.of()
    verdicts = [check(asked_profile(profile), around)]
    if all_profiles:
        known = resolve(None, {}, around).profiles.names()
        verdicts += [
            check(_named("--all-profiles", name), around) for name in known if name != verdicts[0].profile
        ]
    if as_json:
        print_json([_json_verdict(verdict) for verdict in verdicts])
    else:
        table(("profile", "result"), [(verdict.profile or "none", _result(verdict)) for verdict in verdicts])
        for line in dict.fromkeys(_lines(verdicts)):
            click.echo(line)
    return not any(verdict.problems for verdict in verdicts)


def run_schema() -> None:
    """Print the JSON Schema of a profile."""
    print_json(profile_schema())


def run_env(*, dotenv: bool, as_json: bool) -> None:
    """Print every environment variable that is read."""
    if dotenv and as_json:
        raise click.UsageError("--dotenv and --json exclude each other")
    if dotenv:
        click.echo(dotenv_example(), nl=False)
        return
    listed = variables()
    if as_json:
        print_json(
            [
                {
                    "name": variable.name,
                    "field": variable.field,
                    "type": variable.type,
                    "default": variable.default,
                    "description": variable.description,
                }
                for variable in listed
            ]
        )
        return
    for variable in listed:
        click.echo(f"{variable.name} (default: {variable.default})")
        click.echo(f"    {variable.description}")
        click.echo(f"    {variable.type}")


def run_export(profile: str | None, *, as_json: bool) -> None:
    """Print the effective configuration as a profile."""
    config = usable(resolve(asked_profile(profile), {}, Surroundings.of()))
    if as_json:
        print_json(export_profile(config))
    else:
        click.echo(export_toml(config), nl=False)


def _named(option: str, profile: str) -> Origin:
    return Origin("constructor", option, raw=profile)


def _field(written: str) -> str:
    """The field that a person names: by its own name, its short form, or a variable."""
    if written in VARIABLES:
        return VARIABLES[written].name
    name = canonical_name(written)
    if name not in CacheConfig.model_fields:
        known = (*CacheConfig.model_fields, *VARIABLES)
        raise click.UsageError(f"there is no setting {written!r}{nearest(written, known)}")
    return name


def _print_legend(origins: Iterable[Origin]) -> None:
    if lines := legend(origins):
        click.echo()
    for line in lines:
        click.echo(line)


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


def _json_config(config: CacheConfig, *, with_origin: bool) -> dict[str, Any]:
    return {
        name: {
            "value": json_value(name, getattr(config, name)),
            "origin": json_origin(origin, shadows=with_origin),
        }
        for name, origin in config.origins.items()
    }


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


def _result(verdict: Verdict) -> str:
    count = len(verdict.problems)
    return "ok" if not count else f"{count} problem{'s' * (count > 1)}"


def _lines(verdicts: Iterable[Verdict]) -> Iterable[str]:
    for verdict in verdicts:
        yield from (f"problem: {problem}" for problem in verdict.problems)
        yield from (f"warning: {warning}" for warning in verdict.warnings)


def _json_verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "profile": verdict.profile,
        "ok": not verdict.problems,
        "problems": [json_problem(problem) for problem in verdict.problems],
        "warnings": [json_problem(warning) for warning in verdict.warnings],
    }
