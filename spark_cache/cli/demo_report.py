"""Print the results of the demo as text for 80 columns, or return them as JSON values."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from shutil import which
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from spark_cache.cli.demo_run import CONCURRENCY, MODEL, PROFILES, QUESTIONS
from spark_cache.cli.text import seconds_text
from spark_cache.config.values import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from spark_cache.cli.demo_run import Pass, ProfileRun
    from spark_cache.config import CacheConfig

__all__ = [
    "figures",
    "print_entry",
    "print_folder",
    "print_log",
    "print_next_steps",
    "print_opening",
    "print_profile",
]

_INDENT = 2
_NAME_LENGTH = 12
_TIME_WIDTH = len("99.9 ms")
_LAST_SHOWN = '"profile"'
"""The last field shown of an entry. Digests, the raw provider response and the request follow it."""


def print_opening(console: Console, answered_by: str) -> None:
    """Print what the demo does.

    Args:
        console: The console to print to.
        answered_by: A sentence that describes the provider.
    """
    _heading(console, "spark-cache demo")
    _print_text(
        console,
        f"The demo asks {len(QUESTIONS)} questions twice under each of {len(PROFILES)} profiles, {CONCURRENCY} at a "
        f"time. {answered_by} Only ENVIRONMENT changes between the profiles. The program stays the same.",
    )


def print_folder(console: Console, folder: Path) -> None:
    """Print where the demo stores its files.

    Args:
        console: The console to print to.
        folder: The folder of the demo.
    """
    _print_text(console, "All files of the demo are in")
    _copyable(console, str(folder))


def _expiry_text(config: CacheConfig) -> str:
    if config.commit_entries and not config.recordings_expire:
        return "until they are re-recorded"
    return f"and expire after {format_duration(config.ttl_seconds)}"


def print_profile(console: Console, run: ProfileRun, folder: Path) -> None:
    """Print both passes under one profile, and what the second pass saved.

    Args:
        console: The console to print to.
        run: The two passes.
        folder: The folder of the demo.
    """
    config = run.config
    _heading(console, f"ENVIRONMENT={config.profile}")
    if config.enabled:
        cache_dir = run.cache_dir.relative_to(folder)
        _print_text(console, f"Caching is on. Entries are stored in {cache_dir} {_expiry_text(config)}.")
    else:
        _print_text(console, "Caching is off. Every call reaches the provider, and no file is written.")
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in ("pass", "API calls", "from cache", "time", "speed-up", "tokens paid", "tokens saved"):
        is_name = column == "pass"
        # Every column has room for a time, so that the tables of all profiles line up.
        grid.add_column(column, justify="left" if is_name else "right", no_wrap=True, min_width=_TIME_WIDTH)
    grid.add_row("first", *_cells(run.first, ""))
    grid.add_row("second", *_cells(run.second, _speed_up_text(run.speed_up)))
    console.print(Padding(grid, (0, 0, 0, _INDENT), expand=False))
    if run.second.hits:
        same = "the same answers" if run.same_answers else "DIFFERENT ANSWERS"
        _print_text(
            console,
            f"The second pass returned {same} and saved {run.second.hits} API calls, "
            f"{run.second.tokens_saved:,} tokens and {seconds_text(run.seconds_saved)}.",
        )


def print_entry(console: Console, path: Path) -> None:
    """Print the path and the first fields of one entry.

    Args:
        console: The console to print to.
        path: The file of the entry.
    """
    _heading(console, "One entry, a file that you can read, copy and compare")
    _copyable(console, f"{path.parent}/")
    _copyable(console, path.name)
    lines = path.read_text(encoding="utf-8").splitlines()
    shown = next(
        (number for number, line in enumerate(lines, 1) if line.lstrip().startswith(_LAST_SHOWN)), len(lines)
    )
    for line in lines[:shown]:
        _print_text(console, line, style="cyan")
    rest = len(lines) - shown
    _print_text(
        console,
        f"… {rest} more lines: digests of the parts of the request, the raw provider response, and the request.",
    )


def print_log(console: Console, lines: Mapping[str, str]) -> None:
    """Print the log lines of a miss and a hit.

    Args:
        console: The console to print to.
        lines: The log lines by kind.
    """
    _heading(console, "The log lines for this entry")
    _print_text(
        console, "The logger is `spark_cache` at level INFO. Log lines never contain a prompt or an answer."
    )
    for line in lines.values():
        _print_text(console, line, style="cyan")


def print_next_steps(console: Console, folder: Path, cache_dir: Path, entry: Path) -> None:
    """Print commands that inspect the cache, and one that removes the files of the demo.

    Args:
        console: The console to print to.
        folder: The folder of the demo.
        cache_dir: The cache directory of the first profile.
        entry: The file of one entry in it.
    """
    _heading(console, "Next steps")
    command, directory = _command_name(), shlex.quote(str(cache_dir))
    _copyable(console, f"{command} stats --dir {directory}")
    _copyable(console, f"{command} ls --dir {directory}")
    _copyable(console, f"{command} show {entry.stem[:_NAME_LENGTH]} --dir {directory}")
    _print_text(console, "To remove everything that the demo wrote:")
    _copyable(console, f"rm -r {shlex.quote(str(folder))}")


def figures(folder: Path, runs: list[ProfileRun], entry: Path, log: Mapping[str, str]) -> dict[str, Any]:
    """Return all results of the demo as JSON values.

    Args:
        folder: The folder of the demo.
        runs: The runs of all profiles.
        entry: The file of the entry that is shown.
        log: The log lines by kind.
    """
    return {
        "model": MODEL,
        "questions": len(QUESTIONS),
        "concurrency": CONCURRENCY,
        "folder": str(folder),
        "profiles": {str(run.config.profile): _profile_figures(run) for run in runs},
        "entry": {"path": str(entry), "content": json.loads(entry.read_bytes())},
        "log": dict(log),
    }


def _profile_figures(run: ProfileRun) -> dict[str, Any]:
    return {
        "enabled": run.config.enabled,
        "cache_dir": str(run.cache_dir) if run.config.enabled else None,
        "ttl_seconds": run.config.ttl_seconds,
        "first": _pass_figures(run.first),
        "second": _pass_figures(run.second),
        "speed_up": run.speed_up,
        "seconds_saved": run.seconds_saved,
        "same_answers": run.same_answers,
    }


def _pass_figures(one: Pass) -> dict[str, Any]:
    return {
        "calls": one.calls,
        "hits": one.hits,
        "seconds": one.seconds,
        "tokens_paid": one.tokens_paid,
        "tokens_saved": one.tokens_saved,
    }


def _cells(one: Pass, speed_up: str) -> tuple[str, ...]:
    return (
        str(one.calls),
        str(one.hits),
        seconds_text(one.seconds),
        speed_up,
        f"{one.tokens_paid:,}",
        f"{one.tokens_saved:,}",
    )


def _speed_up_text(factor: float) -> str:
    return f"{factor:.0f}x" if factor >= 10 else f"{factor:.1f}x"  # noqa: PLR2004 - two digits are enough


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def _print_text(console: Console, text: str, style: str = "") -> None:
    """Print a paragraph. With a style, print a line of library output with a hanging indent."""
    margin = " " * _INDENT
    hanging = margin + " " * (len(text) - len(text.lstrip())) + (margin if style else "")
    lines = wrap(
        text, console.width, initial_indent=margin, subsequent_indent=hanging, break_on_hyphens=False
    )
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)


def _copyable(console: Console, text: str) -> None:
    """Print a path or a command without line breaks, so that it can be copied in one piece."""
    console.print(Text(" " * _INDENT + text, style="cyan"), soft_wrap=True)


def _command_name() -> str:
    """Return the command to type. In a checkout, the environment may not be active, so this can be a path."""
    if which("spark-cache") is not None:
        return "spark-cache"
    script = Path(sys.executable).with_name("spark-cache")
    if not script.exists():
        return shlex.join([sys.executable, "-m", "spark_cache.cli"])
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))
