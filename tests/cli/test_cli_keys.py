"""``spark-cache keys``."""

from __future__ import annotations

import json
import os
import stat

import pytest
from cryptography.fernet import Fernet

from spark_cache.cli.text import size_text
from spark_cache.config.secret import key_id, read_key_file
from spark_cache.maintenance.rotation import rotation_lock

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))
BOTH = f"{NEW},{OLD}"


@pytest.fixture
def encrypted(store):
    """Store encrypted entries under a key, as a program would."""

    def encrypted(key, *contents):
        return [store(content, encryption="all", encryption_keys=key) for content in contents]

    return encrypted


def ids_in(folder):
    """Return the key ID of each entry."""
    return [json.loads(path.read_bytes()).get("key_id") for path in folder.glob("*/*/*.json")]


# -- generate ---------------------------------------------------------------------------------------


def test_generate_writes_a_private_key_file(command, tmp_path):
    """The mode is 0600 whatever the umask is. The output contains the ID but not the key."""
    path = tmp_path / "keys"
    before = os.umask(0o777)
    try:
        result = command("keys", "generate", "--file", str(path))
    finally:
        os.umask(before)
    (key,) = read_key_file(path, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert result.output.splitlines() == [
        f"wrote a key with the ID {key_id(key)} to {path}",
        f"use it with SPARK_CACHE_ENCRYPTION_KEY_FILE={path}",
    ]


@pytest.mark.parametrize("link", [False, True])
def test_generate_overwrites_nothing(command, tmp_path, link):
    """An existing file, or a link to one, is not changed."""
    target = tmp_path / "precious"
    target.write_text("precious")
    path = tmp_path / "link" if link else target
    if link:
        path.symlink_to(target)
    result = command("keys", "generate", "--file", str(path))
    assert result.exit_code == 2
    assert f"{path} already exists, and keys are never overwritten" in result.stderr
    assert target.read_text() == "precious"


def test_generate_prints_a_key_to_a_pipe(command):
    """A secret manager can read the key from standard output."""
    key = command("keys", "generate").stdout.strip()
    Fernet(key)
    assert command("keys", "generate").stdout.strip() != key


def test_generate_shows_no_key_on_a_terminal_by_default(command, monkeypatch):
    """A key on a screen stays in the scrollback buffer."""
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _self: True, raising=False)
    result = command("keys", "generate")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--show" in result.stderr
    Fernet(command("keys", "generate", "--show").stdout.strip())


def test_generate_as_json(command, tmp_path):
    """The JSON output contains the ID, and the key or the path of its file."""
    printed = json.loads(command("keys", "generate", "--json").stdout)
    assert printed["id"] == key_id(printed["key"])
    path = tmp_path / "keys"
    assert json.loads(command("keys", "generate", "--json", "--file", str(path)).stdout) == {
        "id": key_id(path.read_text().strip()),
        "path": str(path),
    }


@pytest.mark.parametrize("arguments", [("--file", "x", "--show"), ("--file", "no/folder/x")])
def test_generate_usage_errors(command, arguments):
    """Options that exclude each other and paths that cannot be written are usage errors."""
    assert command("keys", "generate", *arguments).exit_code == 2


# -- list -------------------------------------------------------------------------------------------


def test_list_counts_the_entries_under_each_key(command, store, encrypted):
    """The list is ordered from newest to oldest. It includes keys that are not configured, and the plain entries."""
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


def test_list_as_a_table(command, encrypted, development):
    """The command prints a table, and the number of damaged entries."""
    (path,) = encrypted(OLD, "a")
    path.with_name("ab.json").write_bytes(path.read_bytes()[:20])
    result = command("keys", "list", SPARK_CACHE_ENCRYPTION_KEY=OLD)
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["key", "id", "use", "entries", "size"],
        [key_id(OLD), "writes", "1", *size_text(path.stat().st_size).split()],
        ["plain", "0", "0", "B"],
    ]
    assert "not counted: 1 file that cannot be read as an entry" in result.stderr


# -- rotate -----------------------------------------------------------------------------------------


def test_rotate_encrypts_everything_with_the_first_key(command, encrypted, development):
    """Afterwards, no entry needs the second key."""
    encrypted(OLD, "a", "b")
    result = command("keys", "rotate", SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert (result.exit_code, result.output) == (0, f"encrypted with the key {key_id(NEW)}: 2 entries\n")
    assert ids_in(development) == [key_id(NEW)] * 2


def test_rotate_reports_what_it_cannot_decrypt(command, encrypted, development):
    """Entries under a lost key are reported and not changed."""
    encrypted(OTHER, "a")
    result = command("keys", "rotate", SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 1
    assert "skipped 1 entry: undecryptable" in result.stderr
    printed = command("keys", "rotate", "--json", SPARK_CACHE_ENCRYPTION_KEY=BOTH).stdout
    assert json.loads(printed) == {"moved": 0, "superseded": 0, "kept": 0, "unusable": {"undecryptable": 1}}
    assert ids_in(development) == [key_id(OTHER)]


def test_rotate_needs_a_key(command, development):
    """Without a key, the error says how to generate one."""
    result = command("keys", "rotate")
    assert result.exit_code == 2
    assert "spark-cache keys generate" in result.stderr


def test_rotate_refuses_to_run_twice_at_once(command, encrypted, development):
    """Only one process at a time may rewrite the entries of a directory."""
    encrypted(OLD, "a")
    with rotation_lock(str(development)):
        result = command("keys", "rotate", SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 2
    assert "another process is rewriting its entries" in result.stderr


def test_rotate_evicts_nothing(command, store, development):
    """An entry briefly exists twice, but a full cache loses none because of that."""
    for number in range(4):
        store(f"{number}" + "x" * 150_000, encryption="all", encryption_keys=OLD)
    environment = {"SPARK_CACHE_ENCRYPTION_KEY": BOTH, "SPARK_CACHE_MAX_SIZE": "1MB"}
    assert sum(path.stat().st_size for path in development.glob("*/*/*.json")) > 900_000
    assert command("keys", "rotate", **environment).exit_code == 0
    assert ids_in(development) == [key_id(NEW)] * 4


# -- retire -----------------------------------------------------------------------------------------


def test_retire_refuses_while_entries_need_the_key(command, encrypted, development):
    """The error contains the number of entries and the remedies."""
    encrypted(OLD, "a", "b")
    result = command("keys", "retire", key_id(OLD), SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"2 entries need the key {key_id(OLD)}" in result.stderr
    assert "spark-cache keys rotate" in result.stderr
    assert ids_in(development) == [key_id(OLD)] * 2


def test_retire_with_purge_removes_what_needs_the_key(command, encrypted, development):
    """Entries under other keys are kept."""
    encrypted(OLD, "a")
    encrypted(NEW, "b")
    result = command("keys", "retire", key_id(OLD), "--purge", SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 0
    assert result.stdout.startswith("removed 1 entry\n")
    assert ids_in(development) == [key_id(NEW)]


def test_retire_shows_where_the_key_is_set(command, development, tmp_path):
    """The command cannot change the environment, so it shows which variable to change."""
    development.mkdir()
    retired = command("keys", "retire", key_id(OLD), SPARK_CACHE_ENCRYPTION_KEY=BOTH).stdout
    assert retired == (
        f"no entry in {development} needs the key {key_id(OLD)}; remove key 2 of 2 from SPARK_CACHE_ENCRYPTION_KEY (environment)\n"
    )
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".env").write_text(f"# keys\nSPARK_CACHE_ENCRYPTION_KEY={BOTH}\n")
    done = json.loads(command("keys", "retire", key_id(OLD), "--json").stdout)
    assert done["done"] == f"remove key 2 of 2 from SPARK_CACHE_ENCRYPTION_KEY ({tmp_path / '.env'}:2)"


def test_retire_removes_the_line_from_a_key_file(command, development, tmp_path):
    """The file is replaced in one step. Its mode is 0600, and its comments are kept."""
    development.mkdir()
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(f"# ours\n{NEW}\n  {OLD}\n# end\n")
    before = path.stat().st_ino
    result = command("keys", "retire", key_id(OLD), SPARK_CACHE_ENCRYPTION_KEY_FILE=str(path))
    assert result.stdout.endswith(f"needs the key {key_id(OLD)}; removed line 3 of {path}\n")
    assert path.read_text() == f"# ours\n{NEW}\n# end\n"
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_ino == before) == (0o600, False)
    assert sorted(entry.name for entry in tmp_path.iterdir() if "keys" in entry.name) == ["keys"]


def test_retire_reads_the_key_file_as_the_configuration_does(command, development, tmp_path):
    """A byte order mark before the first key is ignored."""
    development.mkdir()
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(f"{NEW}\n{OLD}\n", encoding="utf-8-sig")
    result = command("keys", "retire", key_id(OLD), SPARK_CACHE_ENCRYPTION_KEY_FILE=str(path))
    assert result.stdout.endswith(f"needs the key {key_id(OLD)}; removed line 2 of {path}\n")
    assert path.read_text() == f"{NEW}\n"


def test_retire_refuses_a_missing_directory(command, development, tmp_path):
    """If the command runs in the wrong folder, it must not remove a key that entries elsewhere need."""
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(f"{NEW}\n{OLD}\n")
    result = command("keys", "retire", key_id(OLD), SPARK_CACHE_ENCRYPTION_KEY_FILE=str(path))
    assert result.exit_code == 1
    assert f"there is no cache in {development}: set the directory with --dir" in result.stderr
    assert path.read_text() == f"{NEW}\n{OLD}\n"


def test_retire_reports_unreadable_files(command, store, development):
    """A damaged entry does not keep a key in use, but it is reported."""
    path = store()
    path.write_bytes(path.read_bytes()[:-40])
    result = command("keys", "retire", key_id(OLD), SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 0
    assert "not counted: 1 file that cannot be read as an entry" in result.stderr


def test_retire_does_not_repeat_an_invalid_id(command, development):
    """The argument may be the key itself."""
    result = command("keys", "retire", "--", OLD, SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 2
    assert "a key ID has 16 hex digits; `spark-cache keys list` shows the IDs" in result.stderr
    assert OLD not in result.output


def test_retire_refuses_the_first_key(command, development):
    """The first key encrypts new entries, so another key must come first."""
    development.mkdir()
    result = command("keys", "retire", key_id(NEW), "--purge", SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 1
    assert "put another key first" in result.stderr


def test_retire_purges_the_entries_of_a_lost_key(command, encrypted, development):
    """The ID is enough, whether another key is configured or not."""
    encrypted(OTHER, "a")
    result = command("keys", "retire", key_id(OTHER), "--purge")
    assert (result.exit_code, ids_in(development)) == (0, [])
    assert "the key was not configured" in result.stdout


def test_retire_of_an_unknown_key_is_a_problem(command, development):
    """A mistyped ID is reported as an error."""
    development.mkdir()
    result = command("keys", "retire", "0" * 16, SPARK_CACHE_ENCRYPTION_KEY=BOTH)
    assert result.exit_code == 1
    assert "there is no key 0000000000000000" in result.stderr
