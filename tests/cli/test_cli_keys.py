"""``spark-cache keys``."""

from __future__ import annotations

import json
import os
import stat

import pytest
from cryptography.fernet import Fernet

from spark_cache.cli.text import size_text
from spark_cache.config.secret import key_id, read_key_file
from spark_cache.maintenance.rotation import alone

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))
BOTH = f"{NEW},{OLD}"


@pytest.fixture
def encrypted(store):
    """Store encrypted answers as the program would have, each under a key."""

    def encrypted(key, *contents):
        return [store(content, encryption="all", encryption_keys=key) for content in contents]

    return encrypted


def ids_in(folder):
    """The ids of the keys that entries are under."""
    return [json.loads(path.read_bytes()).get("key_id") for path in folder.glob("*/*/*.json")]


# -- generate ---------------------------------------------------------------------------------------


def test_generate_writes_a_key_file_for_its_owner_alone(command, tmp_path):
    """Whatever the umask; what is printed has the id and no key."""
    path = tmp_path / "keys"
    before = os.umask(0o777)
    try:
        result = command("keys", "generate", "--file", str(path))
    finally:
        os.umask(before)
    (key,) = read_key_file(path, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert result.output.splitlines() == [
        f"wrote a key with the id {key_id(key)} to {path}",
        f"use it with SPARK_CACHE_ENCRYPTION_KEY_FILE={path}",
    ]


@pytest.mark.parametrize("link", [False, True])
def test_generate_overwrites_nothing(command, tmp_path, link):
    """A file that is there, or a link to one, stays as it was."""
    target = tmp_path / "precious"
    target.write_text("precious")
    path = tmp_path / "link" if link else target
    if link:
        path.symlink_to(target)
    result = command("keys", "generate", "--file", str(path))
    assert result.exit_code == 2
    assert "is there already" in result.stderr
    assert target.read_text() == "precious"


def test_generate_prints_a_key_to_a_pipe(command):
    """So that a secret manager can take it."""
    key = command("keys", "generate").stdout.strip()
    Fernet(key)
    assert command("keys", "generate").stdout.strip() != key


def test_generate_shows_no_key_on_a_terminal_unless_told_to(command, monkeypatch):
    """A key on a screen stays in its scrollback."""
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _self: True, raising=False)
    result = command("keys", "generate")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--show" in result.stderr
    Fernet(command("keys", "generate", "--show").stdout.strip())


def test_generate_as_json(command, tmp_path):
    """A program gets the id, and the key or the file that holds it."""
    printed = json.loads(command("keys", "generate", "--json").stdout)
    assert printed["id"] == key_id(printed["key"])
    path = tmp_path / "keys"
    assert json.loads(command("keys", "generate", "--json", "--file", str(path)).stdout) == {
        "id": key_id(path.read_text().strip()),
        "path": str(path),
    }


@pytest.mark.parametrize("arguments", [("--file", "x", "--show"), ("--file", "no/folder/x")])
def test_generate_says_what_is_wrong(command, arguments):
    """What excludes itself, or cannot be written, is misuse."""
    assert command("keys", "generate", *arguments).exit_code == 2


# -- list -------------------------------------------------------------------------------------------


def test_list_counts_the_entries_under_each_key(command, store, encrypted):
    """Newest first, with the keys that are not at hand and the plain entries."""
    sizes = [path.stat().st_size for path in (*encrypted(OLD, "a", "b"), *encrypted(OTHER, "c"), store("d"))]
    listed = json.loads(command("keys", "list", "--json", SPARK_CACHE_ENCRYPTION_KEY=BOTH).stdout)
    assert listed == {
        "keys": [
            {"id": key_id(NEW), "use": "writes", "entries": 0, "size_bytes": 0},
            {"id": key_id(OLD), "use": "reads", "entries": 2, "size_bytes": sum(sizes[:2])},
            {"id": key_id(OTHER), "use": "not at hand", "entries": 1, "size_bytes": sizes[2]},
        ],
        "plain": {"entries": 1, "size_bytes": sizes[3]},
        "unreadable": 0,
    }


def test_list_for_people(command, encrypted, development):
    """A table, and a word on files that are no entries."""
    (path,) = encrypted(OLD, "a")
    path.with_name("ab.json").write_text("broken")
    result = command("keys", "list", SPARK_CACHE_ENCRYPTION_KEY=OLD)
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["key", "id", "use", "entries", "size"],
        [key_id(OLD), "writes", "1", *size_text(path.stat().st_size).split()],
        ["plain", "0", "0", "B"],
    ]
    assert "not counted: 1 file that cannot be read as an entry" in result.stderr


# -- rotate -----------------------------------------------------------------------------------------


def test_rotate_brings_everything_under_the_first_key(command, encrypted, development):
    """Afterwards the second key is needed for nothing."""
    encrypted(OLD, "a", "b")
    result = command("keys", "rotate", SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert (result.exit_code, result.output) == (0, f"encrypted with the key {key_id(NEW)}: 2 entries\n")
    assert ids_in(development) == [key_id(NEW)] * 2


def test_rotate_tells_what_it_cannot_open(command, encrypted, development):
    """Entries of a lost key are a problem, and stay."""
    encrypted(OTHER, "a")
    result = command("keys", "rotate", SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 1
    assert "left 1 entry alone: undecryptable" in result.stderr
    printed = command("keys", "rotate", "--json", SPARK_CACHE_ENCRYPTION_KEY=BOTH).stdout
    assert json.loads(printed) == {"moved": 0, "superseded": 0, "kept": 0, "unusable": {"undecryptable": 1}}
    assert ids_in(development) == [key_id(OTHER)]


def test_rotate_needs_a_key(command, development):
    """Without one, the error says how to get one."""
    result = command("keys", "rotate")
    assert result.exit_code == 2
    assert "spark-cache keys generate" in result.stderr


def test_rotate_says_when_another_is_at_work(command, encrypted, development):
    """Two of them at once would be in each other's way."""
    encrypted(OLD, "a")
    with alone(str(development)):
        result = command("keys", "rotate", SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 2
    assert "another process is moving its entries" in result.stderr


def test_rotate_evicts_nothing(command, store, development):
    """An entry stands there twice for a moment; a full cache loses none for that."""
    for number in range(4):
        store(f"{number}" + "x" * 150_000, encryption="all", encryption_keys=OLD)
    environment = {"SPARK_CACHE_ENCRYPTION_KEY": BOTH, "SPARK_CACHE_MAX_SIZE": "1MB"}
    assert sum(path.stat().st_size for path in development.glob("*/*/*.json")) > 900_000
    assert command("keys", "rotate", **environment).exit_code == 0
    assert ids_in(development) == [key_id(NEW)] * 4


# -- retire -----------------------------------------------------------------------------------------


def test_retire_refuses_while_entries_need_the_key(command, encrypted, development):
    """It says how many, and what to do."""
    encrypted(OLD, "a", "b")
    result = command("keys", "retire", key_id(OLD), SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"2 entries need the key {key_id(OLD)}" in result.stderr
    assert "spark-cache keys rotate" in result.stderr
    assert ids_in(development) == [key_id(OLD)] * 2


def test_retire_with_purge_removes_what_needs_the_key(command, encrypted, development):
    """The entries of other keys stay."""
    encrypted(OLD, "a")
    encrypted(NEW, "b")
    result = command("keys", "retire", key_id(OLD), "--purge", SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 0
    assert result.stdout.startswith("removed 1 entry\n")
    assert ids_in(development) == [key_id(NEW)]


def test_retire_tells_where_the_key_is_set(command, development, tmp_path):
    """The environment is not the command's to change."""
    development.mkdir()
    retired = command("keys", "retire", key_id(OLD), SPARK_CACHE_ENCRYPTION_KEY=BOTH).stdout
    assert retired == (
        f"no entry in {development} needs the key {key_id(OLD)}; take key 2 of 2 out of SPARK_CACHE_ENCRYPTION_KEY (environment)\n"
    )
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".env").write_text(f"# keys\nSPARK_CACHE_ENCRYPTION_KEY={BOTH}\n")
    done = json.loads(command("keys", "retire", key_id(OLD), "--json").stdout)
    assert done["done"] == f"take key 2 of 2 out of SPARK_CACHE_ENCRYPTION_KEY ({tmp_path / '.env'}:2)"


def test_retire_takes_the_line_out_of_a_key_file(command, development, tmp_path):
    """In one step, for its owner alone, and leaves the comments; the file is usable afterwards."""
    development.mkdir()
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(f"# ours\n{NEW}\n  {OLD}\n# end\n")
    before = path.stat().st_ino
    result = command("keys", "retire", key_id(OLD), SPARK_CACHE_ENCRYPTION_KEY_FILE=str(path))
    assert result.stdout.endswith(f"needs the key {key_id(OLD)}; line 3 is gone from {path}\n")
    assert path.read_text() == f"# ours\n{NEW}\n# end\n"
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_ino == before) == (0o600, False)
    assert sorted(entry.name for entry in tmp_path.iterdir() if "keys" in entry.name) == ["keys"]


def test_retire_reads_the_key_file_as_the_configuration_does(command, development, tmp_path):
    """A byte order mark before the first key is no part of it."""
    development.mkdir()
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(f"{NEW}\n{OLD}\n", encoding="utf-8-sig")
    result = command("keys", "retire", key_id(OLD), SPARK_CACHE_ENCRYPTION_KEY_FILE=str(path))
    assert result.stdout.endswith(f"needs the key {key_id(OLD)}; line 2 is gone from {path}\n")
    assert path.read_text() == f"{NEW}\n"


def test_retire_does_not_take_a_missing_directory_for_an_empty_one(command, development, tmp_path):
    """Called in another folder than the program's, it would give a key away that entries need."""
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(f"{NEW}\n{OLD}\n")
    result = command("keys", "retire", key_id(OLD), SPARK_CACHE_ENCRYPTION_KEY_FILE=str(path))
    assert result.exit_code == 1
    assert f"there is no cache in {development}: name the directory with --dir" in result.stderr
    assert path.read_text() == f"{NEW}\n{OLD}\n"


def test_retire_tells_of_what_it_could_not_judge(command, store, development):
    """A file that is no entry keeps no key, and is spoken of."""
    store().write_bytes(b"broken")
    result = command("keys", "retire", key_id(OLD), SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 0
    assert "not counted: 1 file that cannot be read as an entry" in result.stderr


def test_retire_does_not_repeat_what_is_no_id(command, development):
    """It may be the key itself."""
    result = command("keys", "retire", OLD, SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 2
    assert "the id of a key is 16 hex digits" in result.stderr
    assert OLD not in result.output


def test_retire_refuses_the_key_that_entries_are_written_with(command, development):
    """Another one has to come first."""
    development.mkdir()
    result = command("keys", "retire", key_id(NEW), "--purge", SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 1
    assert "put another key first" in result.stderr


def test_retire_purges_the_entries_of_a_lost_key(command, encrypted, development):
    """Its id is enough, with or without another key at hand."""
    encrypted(OTHER, "a")
    result = command("keys", "retire", key_id(OTHER), "--purge")
    assert (result.exit_code, ids_in(development)) == (0, [])
    assert "it was not among the keys" in result.stdout


def test_retire_of_an_unknown_key_is_a_problem(command, development):
    """A mistyped id is not taken for done."""
    development.mkdir()
    result = command("keys", "retire", "0" * 16, SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 1
    assert "there is no key 0000000000000000" in result.stderr
