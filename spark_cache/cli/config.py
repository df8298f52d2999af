"""``spark-cache config``: see the settings, and where each comes from."""

from __future__ import annotations

import click

__all__ = ["config_command"]

# What a command does is imported when it runs: pydantic and the rest take 200 ms, which --help need not wait for.

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
    from spark_cache.cli.config_run import run_show  # noqa: PLC0415 - see above

    run_show(profile, with_origin=with_origin, as_json=as_json)


@config_command.command()
@click.argument("field")
@_profile
@click.option("--unset", "unset", metavar="VAR", multiple=True, help="What the value would be without VAR.")
@click.option("--as", "others", metavar="PROFILE", multiple=True, help="What it would be under PROFILE.")
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
    """Explain one setting: what decides it, what that shadows, and every file that was looked for.

    A configuration with problems is explained too, with exit code 1.
    """
    from spark_cache.cli.config_explain import run_explain  # noqa: PLC0415 - see above

    if not run_explain(field, profile, unset=unset, others=others, as_json=as_json):
        ctx.exit(1)


@config_command.command()
@click.argument("left")
@click.argument("right")
@_as_json
def diff(left: str, right: str, as_json: bool) -> None:
    """Compare two profiles as they resolve here, variables included."""
    from spark_cache.cli.config_run import run_diff  # noqa: PLC0415 - see above

    run_diff(left, right, as_json=as_json)


@config_command.command()
@_profile
@click.option("--all-profiles", is_flag=True, help="Check every profile that is found.")
@_as_json
@click.pass_context
def check(ctx: click.Context, profile: str | None, all_profiles: bool, as_json: bool) -> None:
    """Check every layer, shadowed values, guards and files of secrets; exit 1 on a problem."""
    from spark_cache.cli.config_run import run_check  # noqa: PLC0415 - see above

    if not run_check(profile, all_profiles=all_profiles, as_json=as_json):
        ctx.exit(1)


@config_command.command()
@click.option("--json", is_flag=True, expose_value=False, help="The schema is JSON in any case.")
def schema() -> None:
    """Print the JSON Schema of a profile, for editors."""
    from spark_cache.cli.config_run import run_schema  # noqa: PLC0415 - see above

    run_schema()


@config_command.command()
@click.option("--dotenv", is_flag=True, help="Print a commented .env file.")
@_as_json
def env(dotenv: bool, as_json: bool) -> None:
    """List every environment variable that is read."""
    from spark_cache.cli.config_run import run_env  # noqa: PLC0415 - see above

    run_env(dotenv=dotenv, as_json=as_json)


@config_command.command()
@_profile
@_as_json
def export(profile: str | None, as_json: bool) -> None:
    """Print the effective configuration as a profile that loads back equal, without keys."""
    from spark_cache.cli.config_run import run_export  # noqa: PLC0415 - see above

    run_export(profile, as_json=as_json)
