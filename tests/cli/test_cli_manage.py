"""``spark-cache rm``, ``cleanup`` and ``clear``."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def entries(store):
    """An entry of each of three models, of two providers."""
    return {
        "gpt-4o": store("a", model="gpt-4o"),
        "GPT-5": store("b", model="GPT-5"),
        "claude": store("c", provider="anthropic", model="claude"),
    }


def left(entries):
    return {name for name, path in entries.items() if path.exists()}


def test_rm_removes_one_entry(command, entries):
    """The entry that is named goes, and no other."""
    path = entries["gpt-4o"]

    result = command("rm", path.stem[:12])

    assert (result.exit_code, result.stdout) == (0, f"removed {path}\n")
    assert left(entries) == {"GPT-5", "claude"}


def test_rm_as_json(command, entries):
    """Programs are told what was removed."""
    path = entries["claude"]

    assert json.loads(command("rm", path.stem, "--json").stdout) == {"removed": 1, "path": str(path)}


def test_rm_of_an_unknown_key_is_a_problem(command, entries):
    """A key that no entry has gives exit code 1, and nothing is removed."""
    result = command("rm", "ffffffffffff0")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no entry in" in result.stderr
    assert left(entries) == {"gpt-4o", "GPT-5", "claude"}


def test_rm_of_several_entries_is_a_problem(command, store):
    """What stands for several entries removes none."""
    paths = [store("a", key="abc1"), store("b", key="abc2")]

    result = command("rm", "abc")

    assert result.exit_code == 1
    assert all(path.exists() for path in paths)


def test_rm_removes_what_is_no_entry(command, store):
    """A damaged file can be removed like an entry."""
    path = store()
    path.write_bytes(b"")

    assert command("rm", path.stem).exit_code == 0
    assert not path.exists()


def test_rm_of_what_cannot_be_removed_is_one_message(command, store):
    """A fault of the machine is said once, with exit code 2."""
    path = store()
    path.unlink()
    path.mkdir()

    result = command("rm", path.stem)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: cannot remove: ")


def test_cleanup_removes_what_is_over(command, store):
    """Entries whose lifetime is over go, the others stay."""
    over, fresh = store("a", age=86401), store("b", age=86000)

    result = command("cleanup")

    assert (result.exit_code, over.exists(), fresh.exists()) == (0, False, True)
    assert result.stdout.startswith("removed 1 entry from ")


def test_cleanup_can_be_narrowed(command, store, development):
    """``--provider`` leaves the entries of others alone."""
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
def test_clear_removes_what_it_is_told_to(command, entries, arguments, kept):
    """Everything, a provider's entries or a model's go, and nothing is asked."""
    result = command("clear", *arguments, "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["removed"] == 3 - len(kept)
    assert left(entries) == kept


def test_clear_reads_as_a_sentence(command, entries, development):
    """A person is told how many entries went, and from where."""
    assert command("clear", "--all").stdout == f"removed 3 entries from {development}\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["--model", "gpt-4o"], ["--all", "--provider", "openai"], ["--all", "--model", "gpt-4o"]],
    ids=["nothing", "a model alone", "all and a provider", "all and a model"],
)
def test_clear_without_saying_what_is_misuse(command, entries, arguments):
    """Unless it is clear what should go, nothing goes."""
    result = command("clear", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--all, or --provider NAME, or --provider NAME --model NAME" in result.stderr
    assert left(entries) == {"gpt-4o", "GPT-5", "claude"}


def test_a_cache_that_is_off_can_be_cleared(command, entries, development):
    """Managing works on the directory, whether or not caching is on."""
    result = command("clear", "--all", "--dir", str(development), ENVIRONMENT="production")

    assert (result.exit_code, left(entries)) == (0, set())
