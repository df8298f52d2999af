"""``spark-cache config``: see the settings, and where each comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from spark_cache.cli.output import print_json, table
from spark_cache.config.fields import FIELDS, VARIABLES, canonical_name, nearest
from spark_cache.config.load import asked_profile, usable
from spark_cache.config.model import CacheConfig
from spark_cache.config.origins import Origin
from spark_cache.config.report import (
    formatted,
    given,
    json_origin,
    json_problem,
    json_rule,
    json_value,
    rule_text,
    where,
)
from spark_cache.config.resolve import Resolution, resolve
from spark_cache.config.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_cache.config.check import Verdict

__all__ = ["config_command"]

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_profile = click.option("--profile", metavar="NAME", help="The profile; else the environment decides.")


@click.group("config")
def config_command() -> None:
    """See the settings in effect, and where each comes from."""


@config_command.command()
@_profile
@click.option("--origin", "with_origin", is_flag=True, help="Also show what each value shadows.")
@_as_json
def show(profile: str | None, with_origin: bool, as_json: bool) -> None:
    """Show every setting in effect and the place it comes from."""
    config = usable(resolve(asked_profile(profile), {}, Surroundings.of()))
    if as_json:
        print_json(_json_config(config, with_origin=with_origin))
        return
    rows = []
    for name, origin in config.origins.items():
        rows.append((name, formatted(name, getattr(config, name)), where(origin)))
        if with_origin:
            rows += [("", f"  over {given(name, below)}", where(below)) for below in origin.shadows]
    table(("setting", "value", "from"), rows)


@config_command.command()
@click.argument("field")
@_profile
@click.option("--unset", "unset", metavar="VAR", multiple=True, help="What the value would be without VAR.")
@click.option("--as", "others", metavar="PROFILE", multiple=True, help="What it would be under PROFILE.")
@_as_json
def explain(
    field: str, profile: str | None, unset: tuple[str, ...], others: tuple[str, ...], as_json: bool
) -> None:
    """Explain one setting: what decides it, what that shadows, and every file that was looked for."""
    name = _field(field)
    around = Surroundings.of()
    resolution = resolve(asked_profile(profile), {}, around)
    config = usable(resolution)
    instead: list[tuple[str, CacheConfig]] = []
    if unset:
        without = resolve(asked_profile(profile), {}, around.without(unset))
        instead.append((f"without {', '.join(unset)}", usable(without)))
    instead += [(f"as {other}", usable(resolve(_named("--as", other), {}, around))) for other in others]
    if as_json:
        print_json(_json_explanation(name, resolution, config, instead))
        return
    origin = config.origins[name]
    click.echo(f"{name} = {formatted(name, getattr(config, name))}")
    click.echo(FIELDS[name].description if name in FIELDS else "Settings for the models that match.")
    click.echo()
    chain = [("wins", origin), *(("shadowed", below) for below in origin.shadows)]
    table(
        ("", "value", "from", "as", "layer"),
        [
            (rank, _given(name, resolution, place), place.place, place.name or "", _layer(place))
            for rank, place in chain
        ],
    )
    if origin.note:
        click.echo(f"Note: {origin.note}.")
    if rules := _rules_for(name, resolution):
        click.echo()
        table(("rule", "from", ""), rules)
    click.echo()
    click.echo(f"Profile: {config.profile or 'none'}, from {where(config.origins['profile'])}.")
    table(("file looked for", "outcome"), resolution.tried.items())
    for words, other in instead:
        click.echo()
        value = formatted(name, getattr(other, name))
        click.echo(f"{words[0].upper()}{words[1:]}: {value}, from {where(other.origins[name])}")


@config_command.command()
@click.argument("left")
@click.argument("right")
@_as_json
def diff(left: str, right: str, as_json: bool) -> None:
    """Compare two profiles as they resolve here, variables included."""
    from spark_cache.config.compare import compare  # noqa: PLC0415 - needed by this command alone

    around = Surroundings.of()
    one, other = (usable(resolve(_named("argument", name), {}, around)) for name in (left, right))
    differences = [found for found in compare(one, other) if found.field != "profile"]
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
        rows.append(("", _short(found.before_origin), _short(found.after_origin)))
    table(("", str(one.profile), str(other.profile)), rows)
    files = {
        place.path: _layer(place)
        for found in differences
        for place in (found.before_origin, found.after_origin)
        if place.path is not None
    }
    for path, layer in files.items():
        click.echo(f"{path.name} is {path} ({layer})")


@config_command.command()
@_profile
@click.option("--all-profiles", is_flag=True, help="Check every profile that is found.")
@_as_json
@click.pass_context
def check(ctx: click.Context, profile: str | None, all_profiles: bool, as_json: bool) -> None:
    """Check every layer, shadowed values, guards and files of secrets; exit 1 on a problem."""
    from spark_cache.config.check import check as examine  # noqa: PLC0415 - needed by this command alone

    around = Surroundings.of()
    verdicts = [examine(asked_profile(profile), around)]
    if all_profiles:
        known = resolve(None, {}, around).profiles.names()
        verdicts += [
            examine(_named("--all-profiles", name), around) for name in known if name != verdicts[0].profile
        ]
    if as_json:
        print_json([_json_verdict(verdict) for verdict in verdicts])
    else:
        table(("profile", "result"), [(verdict.profile or "none", _result(verdict)) for verdict in verdicts])
        for line in dict.fromkeys(_lines(verdicts)):
            click.echo(line)
    if any(verdict.problems for verdict in verdicts):
        ctx.exit(1)


@config_command.command()
@click.option("--json", is_flag=True, expose_value=False, help="The schema is JSON in any case.")
def schema() -> None:
    """Print the JSON Schema of a profile, for editors."""
    from spark_cache.config.schema import profile_schema  # noqa: PLC0415 - needed by this command alone

    print_json(profile_schema())


@config_command.command()
@click.option("--dotenv", is_flag=True, help="Print a commented .env file.")
@_as_json
def env(dotenv: bool, as_json: bool) -> None:
    """List every environment variable that is read."""
    from spark_cache.config.reference import dotenv_example, variables  # noqa: PLC0415 - needed here alone

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
    table(
        ("variable", "type", "default", "description"),
        [(variable.name, variable.type, variable.default, variable.description) for variable in listed],
    )


@config_command.command()
@_profile
@_as_json
def export(profile: str | None, as_json: bool) -> None:
    """Print the effective configuration as a profile that loads back equal, without keys."""
    from spark_cache.config.export import export_profile, export_toml  # noqa: PLC0415 - needed here alone

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


def _layer(origin: Origin) -> str:
    return f"{origin.kind} {origin.profile}" if origin.profile else origin.kind


def _given(name: str, resolution: Resolution, place: Origin) -> str:
    """What one place of the chain says; for rules, the rule that stands there."""
    if name == "rules":
        return next(
            (rule_text(rule.written) for rule in resolution.rules if rule.origin.place == place.place), "none"
        )
    return given(name, place)


def _short(origin: Origin) -> str:
    """A place that fits half a terminal: the name of the file, whose path stands below the table."""
    if origin.path is None:
        return where(origin)
    return origin.path.name if origin.line is None else f"{origin.path.name}:{origin.line}"


def _rules_for(name: str, resolution: Resolution) -> list[tuple[str, str, str]]:
    rows = []
    for rule in resolution.rules:
        if name in dict(rule.written.settings):
            held = rule.kept is not None and name in dict(rule.kept.settings)
            rows.append(
                (rule_text(rule.written), rule.origin.place, "" if held else "shadowed by a higher layer")
            )
    return rows


def _json_config(config: CacheConfig, *, with_origin: bool) -> dict[str, Any]:
    return {
        name: {
            "value": json_value(name, getattr(config, name)),
            "origin": json_origin(origin, shadows=with_origin),
        }
        for name, origin in config.origins.items()
    }


def _json_explanation(
    name: str, resolution: Resolution, config: CacheConfig, instead: Iterable[tuple[str, CacheConfig]]
) -> dict[str, Any]:
    def outcome(of: CacheConfig) -> dict[str, Any]:
        return {"value": json_value(name, getattr(of, name)), "origin": json_origin(of.origins[name])}

    return {
        "field": name,
        **outcome(config),
        "profile": {"name": config.profile, "origin": json_origin(config.origins["profile"])},
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
        "instead": [{"if": words, **outcome(other)} for words, other in instead],
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
