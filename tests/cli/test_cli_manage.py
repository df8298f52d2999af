"""``spark-cache rm``, ``cleanup`` and ``clear``."""

from __future__ import annotations

import errno
import json
import os

import pytest


@pytest.fixture
def entries(store):
    """Store one entry for each of three models of two providers."""
    return {
        "gpt-4o": store("a", model="gpt-4o"),
        "GPT-5": store("b", model="GPT-5"),
        "claude": store("c", provider="anthropic", model="claude"),
    }


def left(entries):
    """Return the names of the entries that still exist."""
    return {name for name, path in entries.items() if path.exists()}


def test_rm_removes_one_entry(command, entries):
    """Only the named entry is removed."""
    path = entries["gpt-4o"]

    result = command("rm", path.stem[:12])

    assert (result.exit_code, result.stdout) == (0, f"removed {path}\n")
    assert left(entries) == {"GPT-5", "claude"}


def test_rm_as_json(command, entries):
    """JSON output names what was removed."""
    path = entries["claude"]

    assert json.loads(command("rm", path.stem, "--json").stdout) == {"removed": 1, "path": str(path)}


def test_rm_of_an_unknown_key_is_a_problem(command, entries):
    """An unknown key gives exit code 1, and nothing is removed."""
    result = command("rm", "ffffffffffff0")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no entry in" in result.stderr
    assert left(entries) == {"gpt-4o", "GPT-5", "claude"}


def test_rm_of_several_entries_is_a_problem(command, store):
    """A prefix of several names removes nothing."""
    paths = [store("a", key="abc1"), store("b", key="abc2")]

    result = command("rm", "abc")

    assert result.exit_code == 1
    assert all(path.exists() for path in paths)


def test_rm_removes_a_damaged_file(command, store):
    """A damaged file is removed like an entry."""
    path = store()
    path.write_bytes(b"")

    assert command("rm", path.stem).exit_code == 0
    assert not path.exists()


def test_rm_that_fails_is_one_message(command, store, monkeypatch):
    """An I/O error is one message with exit code 2."""
    path = store()
    unlink = os.unlink

    def failing(name, *arguments, **options):
        if str(name) == str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        unlink(name, *arguments, **options)

    monkeypatch.setattr(os, "unlink", failing)
    result = command("rm", path.stem)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: cannot remove: EIO")
    assert path.exists()


@pytest.mark.parametrize("kind", ["text", "folder"])
def test_rm_of_a_foreign_file_is_a_problem(command, store, kind):
    """What was never an entry is not removed, and the exit code is 1."""
    path = store()
    path.unlink()
    if kind == "text":
        path.write_text("notes")
    else:
        path.mkdir()

    result = command("rm", path.stem)

    assert (result.exit_code, result.stdout) == (1, "")
    assert path.exists()


def test_cleanup_removes_expired_entries(command, store):
    """Expired entries are removed, and the others are kept."""
    expired, fresh = store("a", age=86401), store("b", age=86000)

    result = command("cleanup")

    assert (result.exit_code, expired.exists(), fresh.exists()) == (0, False, True)
    assert result.stdout.startswith("removed 1 entry from ")


def test_cleanup_can_be_filtered(command, store, development):
    """``--provider`` keeps the entries of other providers."""
    ours = store("a", age=86401)
    theirs = store("b", provider="anthropic", age=86401)

    result = command("cleanup", "--provider", "anthropic", "--json")

    assert json.loads(result.stdout) == {"removed": 1, "cache_dir": str(development)}
    assert (ours.exists(), theirs.exists()) == (True, False)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["--all"], set()),
        (["--provider", "openai"], {"claude"}),
        (["--provider", "openai", "--model", "GPT-5"], {"gpt-4o", "claude"}),
        (["--provider", "gemini"], {"gpt-4o", "GPT-5", "claude"}),
    ],
)
def test_clear_removes_the_selected_entries(command, entries, arguments, kept):
    """All entries, or those of a provider or a model, are removed without confirmation."""
    result = command("clear", *arguments, "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["removed"] == 3 - len(kept)
    assert left(entries) == kept


def test_clear_prints_a_sentence(command, entries, development):
    """The text output shows how many entries were removed, and from which directory."""
    assert command("clear", "--all").stdout == f"removed 3 entries from {development}\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["--model", "gpt-4o"], ["--all", "--provider", "openai"], ["--all", "--model", "gpt-4o"]],
    ids=["nothing", "a model alone", "all and a provider", "all and a model"],
)
def test_clear_without_a_selection_is_misuse(command, entries, arguments):
    """Without a clear selection nothing is removed."""
    result = command("clear", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--all, or --provider NAME, or --provider NAME --model NAME" in result.stderr
    assert left(entries) == {"gpt-4o", "GPT-5", "claude"}


def test_a_cache_that_is_off_can_be_cleared(command, entries, development):
    """The commands work on the directory whether or not caching is on."""
    result = command("clear", "--all", "--dir", str(development), ENVIRONMENT="production")

    assert (result.exit_code, left(entries)) == (0, set())
