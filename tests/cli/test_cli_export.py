"""``spark-cache export``, ``import`` and ``diff``."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

FILE = "moved.tar.gz"


def entries(folder):
    found = Path(folder).glob("*/*/*.json")
    return {path.name: path.read_bytes() for path in found if path.parts[-3][0] != "."}


def test_entries_move(command, store, development):
    """What is exported here is imported there, and both say how many."""
    for number in range(3):
        store(f"Answer {number}")

    exported = command("export", FILE)
    imported = command("import", FILE, "--dir", "there/new")

    assert exported.exit_code == imported.exit_code == 0
    assert exported.stdout.startswith("exported 3 entries (")
    assert exported.stdout.endswith(f" to {FILE}\n")
    assert imported.stdout == f"imported 3 entries into {Path.cwd() / 'there/new'}\n"
    assert entries("there/new") == entries(development)


def test_programs_are_told_what_was_moved(command, store):
    """As JSON, both commands give their counts."""
    path = store()

    exported = json.loads(command("export", FILE, "--json").stdout)
    assert exported == {"entries": 1, "size_bytes": path.stat().st_size, "file": FILE, "unusable": {}}
    assert json.loads(command("import", FILE, "--json").stdout) == {"placed": 0, "same": 1, "kept": 0}


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ((), 4),
        (("--provider", "anthropic"), 1),
        (("--model", "gpt-4o"), 2),
        (("--provider", "anthropic", "--model", "gpt-4o"), 0),
        (("--since", "1h"), 3),
        (("--since", "7d"), 4),
        (("--since", "2000-01-01"), 4),
        (("--since", "2999-01-01T12:00:00+02:00"), 0),
    ],
)
def test_a_part_of_the_cache(command, store, options, number):
    """Provider, model and age choose what is exported."""
    store("a")
    store("b", age=7200)
    store("c", model="GPT-5")
    store("d", provider="anthropic", model="claude")

    assert json.loads(command("export", FILE, "--json", *options).stdout)["entries"] == number


def test_a_time_that_is_none_is_misuse(command, store):
    """What is neither a date nor a span is named, with what would be."""
    store()

    result = command("export", FILE, "--since", "yesterday")

    assert result.exit_code == 2
    assert "'yesterday' is neither a date such as 2026-11-20 nor a span such as 7d" in result.stderr


def test_damaged_files_are_a_problem(command, store):
    """They are left out and counted, with exit code 1."""
    store("a")
    store("b").write_bytes(b"{")

    result = command("export", FILE)

    assert result.exit_code == 1
    assert result.stdout.startswith("exported 1 entry ")
    assert result.stderr == "left out 1 file: corrupt\n"


def test_what_is_there_is_counted(command, store):
    """Entries that were there, and newer ones, are told apart from those that were put in place."""
    same, newer, removed = store("same"), store("newer", age=60), store("removed")
    command("export", FILE)
    newer.write_text(newer.read_text().replace('"timestamp": 1', '"timestamp": 2'))
    removed.unlink()

    result = command("import", FILE)

    assert result.stdout.splitlines() == [
        f"imported 1 entry into {Path.cwd() / 'dev_cache'}",
        "1 stood there already",
        "left out 1 where an entry as new stands",
    ]
    assert same.exists()


def test_a_bad_archive_is_refused_in_one_message(command, store, development, listing):
    """What is wrong is said once, nothing is written, and the exit code says so."""
    store()
    before = listing(development)
    Path(FILE).write_bytes(gzip.compress(b"x" * 5000))

    result = command("import", FILE)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: cannot import: ")
    assert result.stderr.endswith("; nothing was imported\n")
    assert listing(development) == before


def test_an_archive_is_held_to_the_size_of_the_cache(command, store):
    """More than the cache may hold is refused, with the setting that decides it."""
    for number in range(3):
        store("x" * 500_000 + str(number))
    command("export", FILE)

    result = command("import", FILE, "--dir", "small", SPARK_CACHE_MAX_SIZE="1MB")

    assert result.exit_code == 2
    assert "more than there is room for, 1 MB (SPARK_CACHE_MAX_SIZE, or the disk)" in result.stderr
    assert not Path("small").exists()


def test_plain_entries_stay_out_of_an_encrypted_cache(command, store):
    """Where encryption is required, an archive of plain entries is refused whole."""
    from cryptography.fernet import Fernet  # noqa: PLC0415 - for this test alone

    store()
    command("export", FILE)
    required = {"SPARK_CACHE_ENCRYPTION": "all", "SPARK_CACHE_ENCRYPTION_KEY": Fernet.generate_key().decode()}

    result = command("import", FILE, "--dir", "sealed", **required)

    assert result.exit_code == 2
    assert "holds plain entries of openai/gpt-4o" in result.stderr
    assert not Path("sealed").exists()


# -- diff -----------------------------------------------------------------------------------------


@pytest.fixture
def recordings(store, development):
    """Two folders of the same recordings."""
    for text in ("Paris.", "Rome.", "Oslo."):
        store(text)
    shutil.copytree(development, "before")
    shutil.copytree(development, "after")
    return Path("after")


def find(folder, text):
    return next(path for path in folder.glob("*/*/*.json") if text in path.read_text())


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def diff(command, *options):
    return command("diff", "before", "after", *options)


def test_equal_caches(command, recordings):
    """Nothing but the number of entries is said of two equal caches."""
    assert diff(command).stdout == "3 the same\n"


def test_recordings_made_anew(command, recordings):
    """When it was recorded, how long that took, and the provider's numbers are no change."""
    edit(find(recordings, "Rome."), timestamp=1.5, latency_seconds=9.9, raw={"id": "x", "created": 5})
    edit(find(Path("before"), "Rome."), raw={"id": "y", "created": 4})

    assert diff(command).stdout == "3 the same (1 of them recorded anew)\n"


def test_another_answer(command, recordings):
    """A changed answer is shown by path, from the old to the new."""
    path = find(recordings, "Rome.")
    edit(path, content="Roma.", stop_reason="max_tokens")

    assert diff(command).stdout.splitlines() == [
        f"~ openai/gpt-4o {path.stem[:12]}, another answer",
        '    content: "Rome." -> "Roma."',
        '    stop_reason: "end_turn" -> "max_tokens"',
        "1 with another answer, 2 the same",
    ]


def test_another_answer_in_the_providers_json_alone(command, recordings):
    """Where the answer reads the same, a change in the provider's own JSON is shown."""
    edit(find(Path("before"), "Rome."), raw={"id": "1", "logprobs": [0.1]})
    edit(find(recordings, "Rome."), raw={"id": "2", "logprobs": [0.2]})

    assert "    raw.logprobs[0]: 0.1 -> 0.2\n" in diff(command).stdout


def test_entries_that_came_and_went(command, store, recordings, development):
    """Entries of one cache alone are listed with a sign."""
    gone = find(recordings, "Oslo.")
    gone.unlink()
    new = store("42", model="o9", response={"content": "six by nine"})
    edit(new, request={"messages": [{"role": "user", "content": "six by nine"}]})
    target = recordings / "openai" / "o9"
    target.mkdir()
    shutil.copy(new, target)

    assert diff(command).stdout.splitlines() == [
        f"- openai/gpt-4o {gone.stem[:12]}",
        f"+ openai/o9 {new.stem[:12]}",
        "1 added, 1 removed, 2 the same",
    ]


def test_a_request_that_changed(command, store, recordings):
    """A recording of a changed request stands beside the one whose place it takes, with what changed."""
    old, new = find(recordings, "Oslo."), store("Oslo and Bergen.")
    shutil.move(new, recordings / "openai" / "gpt-4o")
    old.unlink()

    assert diff(command).stdout.splitlines() == [
        f"~ openai/gpt-4o {new.stem[:12]}, another request instead of {old.stem[:12]}",
        '    messages[0].content: differs from character 23: "…that Oslo…" / "…that Oslo and Bergen…"',
        "1 with another request, 2 the same",
    ]


def test_encrypted_entries_are_compared_without_their_text(command, store, development):
    """With the key the parts that differ are named; without it they are counted as unreadable."""
    from cryptography.fernet import Fernet  # noqa: PLC0415 - for this test alone

    key = {"SPARK_CACHE_ENCRYPTION_KEY": Fernet.generate_key().decode()}
    store("swordfish")
    shutil.copytree(development, "before")
    edit(next(development.glob("*/*/*.json")), content="shark")
    shutil.copytree(development, "after")
    for folder in ("before", "after"):
        assert command("encrypt", "--dir", folder, **key).exit_code == 0

    with_key = command("diff", "before", "after", **key)
    without = diff(command)

    assert "    content: differs\n" in with_key.stdout
    assert "swordfish" not in with_key.output
    assert (without.stdout, without.stderr) == ("0 the same\n", "not compared: 2 files: undecryptable\n")


def test_differences_as_json(command, recordings):
    """Programs get the entries and the differences as lists."""
    path = find(recordings, "Rome.")
    edit(path, content="Roma.")
    item = {"provider": "openai", "model_id": "gpt-4o", "name": path.stem}

    assert json.loads(diff(command, "--json").stdout) == {
        "added": [],
        "removed": [],
        "requests": [],
        "answers": [
            {
                "item": item,
                "differences": [{"path": "content", "text": '"Rome." -> "Roma."'}],
                "instead_of": None,
            }
        ],
        "same": 2,
        "renewed": 0,
        "unreadable": {},
    }


def test_a_review_changes_nothing(command, recordings, listing):
    """Neither folder is written to, and no hidden folder is made in it."""
    before = listing(Path.cwd())

    diff(command)

    assert listing(Path.cwd()) == before
