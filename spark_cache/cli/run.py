"""``spark-cache run``: run a program whose clients go through the cache."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from typing import TYPE_CHECKING

import click

from spark_cache.cli.text import counted, seconds_text

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["run_command"]

_FORWARDED = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


@click.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--profile", metavar="NAME", help="Use this profile instead of the one from the environment.")
@click.option(
    "--mode", metavar="MODE", help="Use this mode: read-write, read-only, refresh, replay or bypass."
)
@click.option("--quiet", is_flag=True, help="Print no summary.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def run_command(
    ctx: click.Context, profile: str | None, mode: str | None, quiet: bool, command: tuple[str, ...]
) -> None:
    """Run COMMAND so that its calls of LLM providers go through the cache.

    Nothing in the program changes. It applies to every Python process that inherits the environment. The exit status is that of the
    command. A summary is printed to standard error at the end.
    """
    from spark_cache.clients.program import environment, summary  # noqa: PLC0415 - not needed for --help
    from spark_cache.config import load_config  # noqa: PLC0415 - the same

    given = {"SPARK_PROFILE": profile, "SPARK_CACHE_MODE": mode}
    environ = {**os.environ, **{name: value for name, value in given.items() if value is not None}}
    # Settings that cannot be used are an error before anything runs.
    load_config(environ=environ)
    with tempfile.TemporaryDirectory(prefix="spark-cache-run-") as reports:
        status = _run(command, environment(environ, reports))
        if not quiet:
            saved = summary(reports)
            click.echo(
                f"spark-cache: {counted(int(saved['hits']), 'hit', 'hits')}, "
                f"{counted(int(saved['misses']), 'miss', 'misses')}, "
                f"{counted(int(saved['tokens_saved']), 'token', 'tokens')} and "
                f"{seconds_text(saved['seconds_saved'])} saved",
                err=True,
            )
    if status < 0:
        # End as the command did, so that the caller sees the same signal.
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    ctx.exit(status)


def _run(command: tuple[str, ...], environ: dict[str, str]) -> int:
    """Run a command and return its exit status, negative for a signal."""
    try:
        process = subprocess.Popen(command, env=environ)  # noqa: S603 - what the user asks for
    except FileNotFoundError:
        raise _CannotRunError(f"{command[0]}: command not found", _NOT_FOUND) from None
    except OSError as error:
        raise _CannotRunError(f"{command[0]}: {os.strerror(error.errno or 0)}", _NOT_EXECUTABLE) from None

    def forward(number: int, _: FrameType | None) -> None:
        process.send_signal(number)

    for name in _FORWARDED:
        signal.signal(getattr(signal, name), forward)
    # The terminal sends Ctrl-C to the command as well.
    signal.signal(signal.SIGINT, signal.SIG_IGN if os.isatty(0) else forward)
    return process.wait()


class _CannotRunError(click.ClickException):
    """The command cannot be run. The exit code is that of a shell."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the object
