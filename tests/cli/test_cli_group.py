"""The command group: its name, version, help and errors."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import click
import pytest

import spark_cache
from spark_cache.cli import main
from spark_cache.cli.progress import progress
from spark_cache.cli.text import counted, harmless, left_text, seconds_text, size_text, span_text


def run(*arguments, code=0):
    done = subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def test_the_package_runs_as_a_module():
    """``python -m spark_cache.cli`` is the same command and uses the name ``spark-cache``."""
    assert run("-m", "spark_cache.cli", "--help").stdout.startswith("Usage: spark-cache ")


def test_help_names_every_command(command):
    """``--help`` lists all commands, each with a description."""
    lines = command("--help").stdout.split("Commands:\n")[1].splitlines()

    assert [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "] == [
        "cleanup",
        "clear",
        "config",
        "decrypt",
        "demo",
        "diff",
        "doctor",
        "encrypt",
        "export",
        "import",
        "keys",
        "ls",
        "profile",
        "rm",
        "run",
        "savings",
        "show",
        "stats",
        "verify",
        "warm",
        "why",
    ]


def test_every_command_supports_json():
    """Each command has the option ``--json``, except the one whose output is another program's."""
    without = [words for words, found in leaves(main) if not any("--json" in p.opts for p in found.params)]
    assert without == [("run",)]


def test_the_version_is_the_same_with_and_without_click(command):
    """The shortcut for ``--version`` prints what click prints."""
    shortcut = run("-m", "spark_cache.cli", "--version").stdout

    assert shortcut == command("--version").stdout == f"spark-cache {spark_cache.__version__}\n"


def test_the_version_needs_no_import():
    """``--version`` imports neither click nor anything heavier."""
    code = (
        "import sys; sys.argv[1:] = ['--version']\n"
        "from spark_cache.cli.__main__ import run; run()\n"
        "print([name for name in ('click', 'rich', 'pydantic', 'typing', 'orjson') if name in sys.modules])"
    )

    assert run("-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}").stdout.endswith("\n[]\n")


def leaves(group, *names):
    """Yield every command below a group, with its words on the command line."""
    for name in group.list_commands(None):
        found = group.get_command(None, name)
        if isinstance(found, click.Group):
            yield from leaves(found, *names, name)
        else:
            yield (*names, name), found


def test_the_reference_names_every_command_and_option():
    """No command and no option is missing from the reference page."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    options = {
        option
        for _, found in leaves(main)
        for parameter in found.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }

    assert {" ".join(words) for words, _ in leaves(main) if f"`{' '.join(words)}" not in page} == set()
    assert {option for option in options if f"`{option}" not in page} == set()


def test_an_unknown_command_is_misuse(command):
    """An unknown command gives exit code 2."""
    result = command("lss")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such command 'lss'" in result.stderr


def test_the_package_has_no_other_names():
    """A misspelled import fails as for any module."""
    with pytest.raises(ImportError, match="nonsense"):
        from spark_cache.cli import nonsense  # noqa: F401, PLC0415 - the import is what is tested


# -- formats and progress bars --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (59.4, "59s"),
        (59.6, "1m"),
        (125, "2m 5s"),
        (3600, "1h"),
        (3601, "1h"),
        (86399, "23h 59m"),
        (86400, "1d"),
        (6 * 86400 + 7200, "6d 2h"),
        (-90, "-1m 30s"),
        (-0.2, "0s"),
    ],
)
def test_spans_of_time(seconds, text):
    """A duration is formatted in its two largest units, without gaps between them."""
    assert span_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KB"),
        (10 * 1024, "10 KB"),
        (5 * 2**20, "5.0 MB"),
        (3 * 2**50, "3072 TB"),
    ],
)
def test_sizes(size, text):
    """A size is formatted in units of 1024, with one decimal if it has one digit."""
    assert size_text(size) == text


def test_other_formats():
    """Measured times, numbers with nouns, time left and escaped text are formatted as documented."""
    assert [seconds_text(seconds) for seconds in (0.0034, 0.61, 12.34)] == ["3.4 ms", "0.61 s", "12.3 s"]
    assert [counted(number, "entry", "entries") for number in (0, 1, 1204)] == [
        "0 entries",
        "1 entry",
        "1,204 entries",
    ]
    assert [left_text(seconds) for seconds in (None, 0, -5, 90)] == [
        "no limit",
        "expired",
        "expired",
        "1m 30s",
    ]
    assert harmless("a\tb\n\x9bé") == "a\tb\n\\x9bé"


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("total", [3, None])
def test_progress_is_shown_on_a_terminal(monkeypatch, capsys, total):
    """On a terminal a progress bar with its label appears on standard error only."""
    monkeypatch.setattr(sys, "stderr", terminal := _Terminal())

    with progress("Counting sheep", total) as step:
        step()

    assert "Counting sheep" in terminal.getvalue()
    assert ("1/3" in terminal.getvalue()) == (total is not None)
    assert capsys.readouterr().out == ""


def test_progress_is_silent_in_a_pipe(capsys):
    """Without a terminal there is no progress bar."""
    with progress("Counting sheep", 3) as step:
        step()

    assert capsys.readouterr() == ("", "")
