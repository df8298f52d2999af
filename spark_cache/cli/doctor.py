"""``spark-cache doctor``: find problems with a cache and suggest remedies."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spark_cache.cli.output import print_json, table
from spark_cache.cli.progress import progress
from spark_cache.cli.text import counted, harmless

if TYPE_CHECKING:
    from spark_cache.maintenance.doctor import Finding

__all__ = ["doctor_command"]

_MOUNTS = Path("/proc/mounts")


@click.command("doctor")
@click.option("--profile", metavar="NAME", help="Use this profile instead of the one from the environment.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(),
    help="Use this cache directory instead of the configured one. It need not exist.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor_command(ctx: click.Context, profile: str | None, directory: str | None, as_json: bool) -> None:
    """Check the configuration and the cache directory for problems.

    Each problem is shown with what to do about it. The exit code is 1 if there is a problem. This command writes
    nothing.
    """
    findings = _findings(profile, directory)
    problems = sum(finding.level == "problem" for finding in findings)
    notes = sum(finding.level == "note" for finding in findings)
    if as_json:
        print_json({"ok": not problems, "findings": [_json_finding(finding) for finding in findings]})
    else:
        rows = [(finding.level.value, finding.check, harmless(_sentence(finding))) for finding in findings]
        table(("result", "check", "found"), rows)
        click.echo(f"\n{counted(problems, 'problem', 'problems')}, {counted(notes, 'note', 'notes')}")
    if problems:
        ctx.exit(1)


def _findings(profile: str | None, directory: str | None) -> list[Finding]:
    # Importing pydantic, SQLite and others takes 200 ms, which --help does not need.
    from spark_cache.cli.profile_option import asked  # noqa: PLC0415 - see above
    from spark_cache.config.context import ConfigContext  # noqa: PLC0415 - see above
    from spark_cache.events import StructlogSink  # noqa: PLC0415 - see above
    from spark_cache.maintenance.doctor import configuration, examine  # noqa: PLC0415 - see above

    named = {} if directory is None else {"cache_dir": directory, "store": "file"}
    config, findings = configuration(asked(profile), named, ConfigContext.of())
    if config is not None:
        with progress("Reading entries") as step:
            findings += examine(config, clock=time.time, sink=StructlogSink(), mounts=_mounts(), step=step)
    return findings


def _mounts() -> str | None:
    """Return the mounted file systems, or None if the system does not list them in a file."""
    try:
        return _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None


def _sentence(finding: Finding) -> str:
    """Return what was found and what to do, in one line."""
    text = finding.found if finding.remedy is None else f"{finding.found}. To do: {finding.remedy}"
    return " ".join(text.split("\n"))


def _json_finding(finding: Finding) -> dict[str, str | None]:
    return {
        "check": finding.check,
        "level": finding.level.value,
        "found": finding.found,
        "remedy": finding.remedy,
    }
