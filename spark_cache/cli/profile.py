"""``spark-cache profile``: list, show and create profiles."""

from __future__ import annotations

import click

__all__ = ["profile_command"]

# Each command imports its implementation when it runs: pydantic and others take 200 ms, which --help does not need.

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("profile")
def profile_command() -> None:
    """List, show and create profiles."""


@profile_command.command("list")
@_as_json
def list_(as_json: bool) -> None:
    """List every profile and the files that define it.

    A star marks the profile in effect.
    """
    from spark_cache.cli.profile_run import run_list  # noqa: PLC0415 - see above

    run_list(as_json=as_json)


@profile_command.command()
@click.argument("name")
@_as_json
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show the settings of a profile, layer by layer.

    Variables and defaults are left out. The exit code is 1 if there is a problem.
    """
    from spark_cache.cli.profile_run import run_show  # noqa: PLC0415 - see above

    if not run_show(name, as_json=as_json):
        ctx.exit(1)


@profile_command.command()
@click.argument("name")
@click.option("--extends", metavar="PROFILE", help="The profile to extend.")
@click.option(
    "--set",
    "assignments",
    metavar="KEY=VALUE",
    multiple=True,
    help="Set a setting, or a guard with guard.KEY. Can be repeated.",
)
@click.option("--description", metavar="TEXT", help="A description of the profile.")
@click.option("--user", "for_user", is_flag=True, help="Create it for the current user, not for the project.")
@_as_json
def new(
    name: str,
    extends: str | None,
    assignments: tuple[str, ...],
    description: str | None,
    for_user: bool,
    as_json: bool,
) -> None:
    """Create a profile.

    An existing file is never overwritten.
    """
    from spark_cache.cli.profile_run import run_new  # noqa: PLC0415 - see above

    run_new(name, extends, assignments, description, for_user=for_user, as_json=as_json)
