"""``spark-cache profile``: list profiles, look into one, write a new one."""

from __future__ import annotations

import click

__all__ = ["profile_command"]

# What a command does is imported when it runs: pydantic and the rest take 200 ms, which --help need not wait for.

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("profile")
def profile_command() -> None:
    """List the profiles that are found, look into one, write a new one."""


@profile_command.command("list")
@_as_json
def list_(as_json: bool) -> None:
    """List every profile, with the files that define it; a star marks the one in effect."""
    from spark_cache.cli.profile_run import run_list  # noqa: PLC0415 - see above

    run_list(as_json=as_json)


@profile_command.command()
@click.argument("name")
@_as_json
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show what a profile says, layer by layer, without variables and defaults; exit 1 on a problem."""
    from spark_cache.cli.profile_run import run_show  # noqa: PLC0415 - see above

    if not run_show(name, as_json=as_json):
        ctx.exit(1)


@profile_command.command()
@click.argument("name")
@click.option("--extends", metavar="PROFILE", help="The profile whose settings lie below.")
@click.option(
    "--set", "assignments", metavar="KEY=VALUE", multiple=True, help="A setting; guard.KEY for a guard."
)
@click.option("--description", metavar="TEXT", help="What the profile is for.")
@click.option("--user", "for_user", is_flag=True, help="Write it for you alone, not for the project.")
@_as_json
def new(
    name: str,
    extends: str | None,
    assignments: tuple[str, ...],
    description: str | None,
    for_user: bool,
    as_json: bool,
) -> None:
    """Write a new profile; an existing file is never overwritten."""
    from spark_cache.cli.profile_run import run_new  # noqa: PLC0415 - see above

    run_new(name, extends, assignments, description, for_user=for_user, as_json=as_json)
