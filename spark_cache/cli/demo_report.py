"""What the demo says: to a person in 80 columns, to a program as JSON."""

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

__all__ = ["figures", "tell_entry", "tell_folder", "tell_log", "tell_opening", "tell_profile", "tell_ways_on"]

_INDENT = 2
_NAME_LENGTH = 12
_TIME_WIDTH = len("99.9 ms")
_LAST_SHOWN = '"profile"'
"""The entry is shown up to this field; digests, the provider's raw answer and the request come after it."""


def tell_opening(console: Console, answered_by: str) -> None:
    """Say what is about to happen."""
    _heading(console, "spark-cache demo")
    _say(
        console,
        f"{len(QUESTIONS)} questions, asked twice under each of {len(PROFILES)} profiles, {CONCURRENCY} at a time. "
        f"{answered_by} Only ENVIRONMENT changes between the profiles, never the program.",
    )


def tell_folder(console: Console, folder: Path) -> None:
    """Say where the demo leaves its files."""
    _say(console, "Everything that it writes is in")
    _copyable(console, str(folder))


def _lifetime(config: CacheConfig) -> str:
    if config.commit_entries and not config.recordings_expire:
        return "Answers stay until recorded anew"
    return f"Answers live {format_duration(config.ttl_seconds)}"


def tell_profile(console: Console, run: ProfileRun, folder: Path) -> None:
    """Show both passes under one profile, and what the second one came to."""
    config = run.config
    _heading(console, f"ENVIRONMENT={config.profile}")
    if config.enabled:
        place = run.cache_dir.relative_to(folder)
        _say(console, f"Caching is on. {_lifetime(config)}, as files in {place}.")
    else:
        _say(console, "Caching is off: every call goes out, and no file is written.")
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in ("pass", "calls out", "from cache", "time", "speed-up", "tokens paid", "tokens saved"):
        is_name = column == "pass"
        # As wide as any time, so that the tables of all profiles line up.
        grid.add_column(column, justify="left" if is_name else "right", no_wrap=True, min_width=_TIME_WIDTH)
    grid.add_row("first", *_cells(run.first, ""))
    grid.add_row("second", *_cells(run.second, _times(run.speed_up)))
    console.print(Padding(grid, (0, 0, 0, _INDENT), expand=False))
    if run.second.hits:
        same = "the same answers" if run.same_answers else "OTHER ANSWERS"
        _say(
            console,
            f"The second pass gave {same}, and spared {run.second.hits} calls, {run.second.tokens_saved:,} tokens "
            f"and {seconds_text(run.seconds_saved)} of waiting.",
        )


def tell_entry(console: Console, path: Path) -> None:
    """Show where one entry lies, and what it says."""
    _heading(console, "One entry: a file to read, copy and compare")
    _copyable(console, f"{path.parent}/")
    _copyable(console, path.name)
    lines = path.read_text(encoding="utf-8").splitlines()
    shown = next(
        (number for number, line in enumerate(lines, 1) if line.lstrip().startswith(_LAST_SHOWN)), len(lines)
    )
    for line in lines[:shown]:
        _say(console, line, style="cyan")
    rest = len(lines) - shown
    _say(
        console,
        f"… {rest} more lines: digests of the request's parts, the provider's raw answer, the request itself.",
    )


def tell_log(console: Console, lines: Mapping[str, str]) -> None:
    """Show what the log says of a miss and of a hit."""
    _heading(console, "What the log says of it")
    _say(console, "The logger is `spark_cache`, the level INFO; no prompt and no answer is ever in it.")
    for line in lines.values():
        _say(console, line, style="cyan")


def tell_ways_on(console: Console, folder: Path, cache_dir: Path, entry: Path) -> None:
    """Name the commands to look around with, and the one that removes everything."""
    _heading(console, "Look around")
    command, directory = _own_command(), shlex.quote(str(cache_dir))
    _copyable(console, f"{command} stats --dir {directory}")
    _copyable(console, f"{command} ls --dir {directory}")
    _copyable(console, f"{command} show {entry.stem[:_NAME_LENGTH]} --dir {directory}")
    _say(console, "And to remove everything that this demo has written:")
    _copyable(console, f"rm -r {shlex.quote(str(folder))}")


def figures(folder: Path, runs: list[ProfileRun], entry: Path, log: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the demo found, as JSON values."""
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


def _times(factor: float) -> str:
    return f"{factor:.0f}x" if factor >= 10 else f"{factor:.1f}x"  # noqa: PLR2004 - two digits say enough


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def _say(console: Console, text: str, style: str = "") -> None:
    """A paragraph, or a line of what the library wrote (in a style), whose continuation hangs deeper."""
    margin = " " * _INDENT
    hanging = margin + " " * (len(text) - len(text.lstrip())) + (margin if style else "")
    lines = wrap(
        text, console.width, initial_indent=margin, subsequent_indent=hanging, break_on_hyphens=False
    )
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)


def _copyable(console: Console, text: str) -> None:
    """A path or a command on one line, which the terminal may wrap: so it can be copied whole."""
    console.print(Text(" " * _INDENT + text, style="cyan"), soft_wrap=True)


def _own_command() -> str:
    """What to type for this command line: in a checkout, its environment need not be the active one."""
    if which("spark-cache") is not None:
        return "spark-cache"
    beside = Path(sys.executable).with_name("spark-cache")
    if not beside.exists():
        return shlex.join([sys.executable, "-m", "spark_cache.cli"])
    here = Path.cwd()
    return shlex.quote(str(beside.relative_to(here) if beside.is_relative_to(here) else beside))
