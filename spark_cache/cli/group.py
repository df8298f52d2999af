"""The ``spark-cache`` command group, which imports each command when it runs."""

from __future__ import annotations

from importlib import import_module

import click

from spark_cache import __version__
from spark_cache.errors import SparkCacheError

__all__ = ["main"]

_COMMANDS = {
    "cleanup": "spark_cache.cli.manage",
    "clear": "spark_cache.cli.manage",
    "config": "spark_cache.cli.config",
    "decrypt": "spark_cache.cli.crypt",
    "demo": "spark_cache.cli.demo",
    "diff": "spark_cache.cli.archive",
    "doctor": "spark_cache.cli.doctor",
    "encrypt": "spark_cache.cli.crypt",
    "export": "spark_cache.cli.archive",
    "import": "spark_cache.cli.archive",
    "keys": "spark_cache.cli.keys",
    "ls": "spark_cache.cli.inspect",
    "profile": "spark_cache.cli.profile",
    "rm": "spark_cache.cli.manage",
    "run": "spark_cache.cli.run",
    "savings": "spark_cache.cli.savings",
    "show": "spark_cache.cli.show",
    "stats": "spark_cache.cli.inspect",
    "why": "spark_cache.cli.why",
    "verify": "spark_cache.cli.verify",
    "warm": "spark_cache.cli.warm",
}
"""The module that defines each command, as ``NAME_command``."""


class _Failure(click.ClickException):
    """An error of this library, shown once and without a traceback."""

    exit_code = 2


class _Commands(click.Group):
    """A group that imports commands on demand and turns errors of this library into exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click defines the signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(_COMMANDS[cmd_name]), f"{cmd_name}_command")
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SparkCacheError as error:
            raise _Failure(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Inspect and manage a cache of LLM responses, and see where its settings come from.

    Exit codes: 0 for success, 1 if a problem was found, 2 if the command or the configuration is invalid.
    """
