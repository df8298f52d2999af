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
    """Exported entries can be imported into another directory. Both commands print the number of entries."""
    for number in range(3):
        store(f"Answer {number}")

    exported = command("export", FILE)
    imported = command("import", FILE, "--dir", "there/new")

    assert exported.exit_code == imported.exit_code == 0
    assert exported.stdout.startswith("exported 3 entries (")
    assert exported.stdout.endswith(f" to {FILE}\n")
    assert imported.stdout == f"imported 3 entries into {Path.cwd() / 'there/new'}\n"
    assert entries("there/new") == entries(development)


def test_export_and_import_as_json(command, store):
    """Both commands print their counts as JSON."""
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
    """The options select entries by provider, model and age."""
    store("a")
    store("b", age=7200)
    store("c", model="GPT-5")
    store("d", provider="anthropic", model="claude")

    assert json.loads(command("export", FILE, "--json", *options).stdout)["entries"] == number


def test_an_invalid_time_is_a_usage_error(command, store):
    """The message contains the value and examples of valid ones."""
    store()

    result = command("export", FILE, "--since", "yesterday")

    assert result.exit_code == 2
    assert "'yesterday' is neither a date such as 2026-11-20 nor a span such as 7d" in result.stderr


def test_damaged_files_are_a_problem(command, store):
    """Damaged entries are left out and counted, and the exit code is 1."""
    store("a")
    damaged = store("b")
    damaged.write_bytes(damaged.read_bytes()[:-40])

    result = command("export", FILE)

    assert result.exit_code == 1
    assert result.stdout.startswith("exported 1 entry ")
    assert result.stderr == "left out 1 file: corrupt\n"


def test_a_foreign_file_is_not_exported(command, store):
    """A file that was never an entry is neither exported nor reported."""
    store("a")
    store("b").write_text("notes")

    result = command("export", FILE)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("exported 1 entry ")


def test_an_import_counts_the_entries_that_it_skips(command, store):
    """Identical entries and entries that are not newer are counted apart from imported ones."""
    same, newer, removed = store("same"), store("newer", age=60), store("removed")
    command("export", FILE)
    newer.write_text(newer.read_text().replace('"timestamp": 1', '"timestamp": 2'))
    removed.unlink()

    result = command("import", FILE)

    assert result.stdout.splitlines() == [
        f"imported 1 entry into {Path.cwd() / 'dev_cache'}",
        "1 already in the cache",
        "left out 1 because the cache has an entry that is as new",
    ]
    assert same.exists()


def test_a_bad_archive_is_refused(command, store, development, listing):
    """The command prints one message, writes nothing, and exits with code 2."""
    store()
    before = listing(development)
    Path(FILE).write_bytes(gzip.compress(b"x" * 5000))

    result = command("import", FILE)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: cannot import: ")
    assert result.stderr.endswith("; nothing was imported\n")
    assert listing(development) == before


def test_an_import_is_limited_to_the_size_of_the_cache(command, store):
    """An archive that exceeds the cap of the cache is refused, and the message names the setting."""
    for number in range(3):
        store("x" * 500_000 + str(number))
    command("export", FILE)

    result = command("import", FILE, "--dir", "small", SPARK_CACHE_MAX_SIZE="1MB")

    assert result.exit_code == 2
    assert (
        "its entries exceed the available space of 1 MB (SPARK_CACHE_MAX_SIZE or free disk space)"
        in result.stderr
    )
    assert not Path("small").exists()


def test_plain_entries_stay_out_of_an_encrypted_cache(command, store):
    """If encryption is required, an archive with plain entries is refused."""
    from cryptography.fernet import Fernet  # noqa: PLC0415 - for this test alone

    store()
    command("export", FILE)
    required = {"SPARK_CACHE_ENCRYPTION": "all", "SPARK_CACHE_ENCRYPTION_KEY": Fernet.generate_key().decode()}

    result = command("import", FILE, "--dir", "encrypted", **required)

    assert result.exit_code == 2
    assert (
        "it contains plain entries of openai/gpt-4o, which must be encrypted in this cache" in result.stderr
    )
    assert not Path("encrypted").exists()


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
    path.write_text(json.dumps(json.loads(path.read_text()) | changes | {"checksum": None}))


def diff(command, *options):
    return command("diff", "before", "after", *options)


def test_equal_caches(command, recordings):
    """For two equal caches, only the number of entries is printed."""
    assert diff(command).stdout == "3 unchanged\n"


def test_re_recorded_entries(command, recordings):
    """The time of a recording, the duration of the call, and the IDs of the provider do not count as changes."""
    edit(find(recordings, "Rome."), timestamp=1.5, latency_seconds=9.9, raw={"id": "x", "created": 5})
    edit(find(Path("before"), "Rome."), raw={"id": "y", "created": 4})

    assert diff(command).stdout == "3 unchanged (1 of them re-recorded)\n"


def test_a_changed_response(command, recordings):
    """The changes of a response are shown by path, from the old value to the new one."""
    path = find(recordings, "Rome.")
    edit(path, content="Roma.", stop_reason="max_tokens")

    assert diff(command).stdout.splitlines() == [
        f"~ openai/gpt-4o {path.stem[:12]}, changed response",
        '    content: "Rome." -> "Roma."',
        '    stop_reason: "end_turn" -> "max_tokens"',
        "1 with a changed response, 2 unchanged",
    ]


def test_a_change_in_the_providers_json_alone(command, recordings):
    """If the rest of the response is equal, changes in the provider's own JSON are shown."""
    edit(find(Path("before"), "Rome."), raw={"id": "1", "logprobs": [0.1]})
    edit(find(recordings, "Rome."), raw={"id": "2", "logprobs": [0.2]})

    assert "    raw.logprobs[0]: 0.1 -> 0.2\n" in diff(command).stdout


def test_added_and_removed_entries(command, store, recordings, development):
    """Entries that only one cache contains are listed with a plus or a minus sign."""
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
        "1 added, 1 removed, 2 unchanged",
    ]


def test_a_changed_request(command, store, recordings):
    """An entry with a changed request is listed with the entry that it replaces and with the changes."""
    old, new = find(recordings, "Oslo."), store("Oslo and Bergen.")
    shutil.move(new, recordings / "openai" / "gpt-4o")
    old.unlink()

    assert diff(command).stdout.splitlines() == [
        f"~ openai/gpt-4o {new.stem[:12]}, changed request, replaces {old.stem[:12]}",
        '    body.messages[0].content: differs from character 23: "…that Oslo…" / "…that Oslo and Bergen…"',
        "1 with a changed request, 2 unchanged",
    ]


def test_encrypted_entries_are_compared_without_their_text(command, store, development):
    """With the encryption key, the changed parts are named. Without it, the files are counted as unreadable."""
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
    as_json = json.loads(diff(command, "--json").stdout)

    assert "    content: differs\n" in with_key.stdout
    assert as_json["unreadable"] == {"undecryptable": 2}
    assert "swordfish" not in with_key.output
    assert (without.stdout, without.stderr) == ("0 unchanged\n", "not compared: 2 files: undecryptable\n")


def test_differences_as_json(command, recordings):
    """The JSON output contains the entries and the differences as lists."""
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


def test_a_diff_writes_nothing(command, recordings, listing):
    """The command does not write to either directory, and creates no hidden folder."""
    before = listing(Path.cwd())

    diff(command)

    assert listing(Path.cwd()) == before
