"""``spark-cache config``: show the settings and their origins."""

from __future__ import annotations

import click

__all__ = ["config_command"]

# Each command imports its implementation when it runs: pydantic and others take 200 ms, which --help does not need.

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_profile = click.option(
    "--profile", metavar="NAME", help="Use this profile instead of the one from the environment."
)


@click.group("config")
def config_command() -> None:
    """Show the effective settings and where each one comes from."""


@config_command.command()
@_profile
@click.option("--origin", "with_origin", is_flag=True, help="Also show the values that each setting shadows.")
@_as_json
def show(profile: str | None, with_origin: bool, as_json: bool) -> None:
    """Show every effective setting and its source."""
    from spark_cache.cli.config_run import run_show  # noqa: PLC0415 - see above

    run_show(profile, with_origin=with_origin, as_json=as_json)


@config_command.command()
@click.argument("field")
@_profile
@click.option(
    "--unset", "unset", metavar="VAR", multiple=True, help="Also show the value that would apply without VAR."
)
@click.option(
    "--as",
    "others",
    metavar="PROFILE",
    multiple=True,
    help="Also show the value that would apply under PROFILE.",
)
@_as_json
@click.pass_context
def explain(
    ctx: click.Context,
    field: str,
    profile: str | None,
    unset: tuple[str, ...],
    others: tuple[str, ...],
    as_json: bool,
) -> None:
    """Explain where the value of one setting comes from.

    The output shows the source that decides the value, the values that it shadows, and every file that was looked
    for. A configuration with problems is explained too, and the exit code is then 1.
    """
    from spark_cache.cli.config_explain import run_explain  # noqa: PLC0415 - see above

    if not run_explain(field, profile, unset=unset, others=others, as_json=as_json):
        ctx.exit(1)


@config_command.command()
@click.argument("left")
@click.argument("right")
@_as_json
def diff(left: str, right: str, as_json: bool) -> None:
    """Compare the effective settings of two profiles.

    Each profile is resolved as it would be here, including environment variables.
    """
    from spark_cache.cli.config_run import run_diff  # noqa: PLC0415 - see above

    run_diff(left, right, as_json=as_json)


@config_command.command()
@_profile
@click.option("--all-profiles", is_flag=True, help="Check every profile.")
@_as_json
@click.pass_context
def check(ctx: click.Context, profile: str | None, all_profiles: bool, as_json: bool) -> None:
    """Check the configuration and report every problem.

    The check covers every layer, shadowed values, guards and secret files. The exit code is 1 if there is a problem.
    """
    from spark_cache.cli.config_run import run_check  # noqa: PLC0415 - see above

    if not run_check(profile, all_profiles=all_profiles, as_json=as_json):
        ctx.exit(1)


@config_command.command()
@click.option("--json", is_flag=True, expose_value=False, help="Print JSON, as without this option.")
def schema() -> None:
    """Print the JSON Schema of a profile, for editors."""
    from spark_cache.cli.config_run import run_schema  # noqa: PLC0415 - see above

    run_schema()


@config_command.command()
@click.option("--dotenv", is_flag=True, help="Print a commented .env file.")
@_as_json
def env(dotenv: bool, as_json: bool) -> None:
    """List every environment variable that spark-cache reads."""
    from spark_cache.cli.config_run import run_env  # noqa: PLC0415 - see above

    run_env(dotenv=dotenv, as_json=as_json)


@config_command.command()
@_profile
@_as_json
def export(profile: str | None, as_json: bool) -> None:
    """Print the effective configuration as a profile.

    The profile loads back to the same settings. Encryption keys are left out.
    """
    from spark_cache.cli.config_run import run_export  # noqa: PLC0415 - see above

    run_export(profile, as_json=as_json)
