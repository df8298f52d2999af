"""The implementation of ``spark-cache config``, separate from the declarations to keep ``--help`` fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from spark_cache.cli.output import print_json, table
from spark_cache.cli.profile_option import asked, named
from spark_cache.config.check import Verdict, check
from spark_cache.config.context import ConfigContext
from spark_cache.config.diff import compare, compare_guards
from spark_cache.config.export import export_profile, export_toml
from spark_cache.config.format import (
    formatted,
    json_origin,
    json_problem,
    json_value,
    legend,
    short_location,
    written_value,
)
from spark_cache.config.load import usable
from spark_cache.config.reference import dotenv_example, variables
from spark_cache.config.resolve import resolve
from spark_cache.config.schema import profile_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_cache.config.model import CacheConfig
    from spark_cache.config.origins import Origin

__all__ = ["run_check", "run_diff", "run_env", "run_export", "run_schema", "run_show"]


def run_show(profile: str | None, *, with_origin: bool, as_json: bool) -> None:
    """Print every setting and its origin.

    Args:
        profile: The profile. None selects the one from the environment.
        with_origin: Whether to print shadowed values as well.
        as_json: Whether to print JSON.
    """
    config = usable(resolve(asked(profile), {}, ConfigContext.of()))
    if as_json:
        print_json(_json_config(config, with_origin=with_origin))
        return
    rows = []
    for name, origin in config.origins.items():
        note = "" if origin.note is None else f" ({origin.note})"
        value = written_value(name, origin) if origin.expanded else formatted(name, getattr(config, name))
        rows.append((name, value, f"{short_location(origin)}{note}"))
        if with_origin:
            rows += [
                ("", f"  over {written_value(name, below)}", short_location(below))
                for below in origin.shadows
            ]
    table(("setting", "value", "from"), rows)
    shown = [item for origin in config.origins.values() for item in (origin, *origin.shadows * with_origin)]
    _print_legend(shown)


def run_diff(left: str, right: str, *, as_json: bool) -> None:
    """Print the differences between two profiles as they resolve here.

    Args:
        left: The first profile.
        right: The second profile.
        as_json: Whether to print JSON.
    """
    context = ConfigContext.of()
    first, second = (usable(resolve(named("argument", name), {}, context)) for name in (left, right))
    differences = [found for found in compare(first, second) if found.field != "profile"]
    differences += compare_guards(first, second)
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
        click.echo(f"{first.profile} and {second.profile} have the same settings here.")
        return
    rows: list[tuple[str, str, str]] = []
    for found in differences:
        rows.append((found.field, formatted(found.field, found.before), formatted(found.field, found.after)))
        rows.append(("", short_location(found.before_origin), short_location(found.after_origin)))
    table(("", str(first.profile), str(second.profile)), rows)
    _print_legend(origin for found in differences for origin in (found.before_origin, found.after_origin))


def run_check(profile: str | None, *, all_profiles: bool, as_json: bool) -> bool:
    """Print the result of a check. Return whether it found no problem.

    Args:
        profile: The profile. None selects the one from the environment.
        all_profiles: Whether to check every other profile as well.
        as_json: Whether to print JSON.
    """
    context = ConfigContext.of()
    verdicts = [check(asked(profile), context)]
    if all_profiles:
        names = resolve(None, {}, context).profiles.names()
        verdicts += [
            check(named("--all-profiles", name), context) for name in names if name != verdicts[0].profile
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
    """Print every environment variable that is read.

    Args:
        dotenv: Whether to print a ``.env`` file.
        as_json: Whether to print JSON.
    """
    if dotenv and as_json:
        raise click.UsageError("--dotenv and --json cannot be used together")
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
    """Print the effective configuration as a profile.

    Args:
        profile: The profile. None selects the one from the environment.
        as_json: Whether to print JSON.
    """
    config = usable(resolve(asked(profile), {}, ConfigContext.of()))
    if as_json:
        print_json(export_profile(config))
    else:
        click.echo(export_toml(config), nl=False)


def _print_legend(origins: Iterable[Origin]) -> None:
    if lines := legend(origins):
        click.echo()
    for line in lines:
        click.echo(line)


def _json_config(config: CacheConfig, *, with_origin: bool) -> dict[str, Any]:
    return {
        name: {
            "value": json_value(name, getattr(config, name)),
            "origin": json_origin(origin, shadows=with_origin),
        }
        for name, origin in config.origins.items()
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
