"""``spark-cache doctor``."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from spark_cache import CacheConfig
from spark_cache.config.secret import key_id
from spark_cache.events import StructlogSink
from spark_cache.maintenance.doctor import Level, examine
from spark_cache.maintenance.doctor.contents import hidden_folder
from spark_cache.maintenance.doctor.place import access, disk_space, file_system
from spark_cache.savings import Ledger

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
_NOBODY = 65534


@pytest.fixture
def doctor(command, monkeypatch):
    """Run the command with a cap that any disk holds; its exit code, and its findings by check."""
    monkeypatch.setenv("SPARK_CACHE_MAX_SIZE", "1MB")

    def run(*arguments, **environment):
        result = command("doctor", "--json", *arguments, **environment)
        shown = json.loads(result.stdout)
        assert shown["ok"] is (result.exit_code == 0)
        return result.exit_code, {found["check"]: found for found in shown["findings"]}

    return run


def levels(findings):
    """How each check came out, without the disk: how full it is is the machine's own affair."""
    return {check: found["level"] for check, found in findings.items() if check not in _MACHINE}


_MACHINE = {"disk space", "file system"}

_CHECKS = (
    "configuration directory mode access hidden-folder temporary-files ledger index entries clock encryption"
)
ALL_OK = {check.replace("-", " "): "ok" for check in _CHECKS.split()}


# -- as a whole -----------------------------------------------------------------------------------


def test_a_sound_cache_passes_every_check(doctor, store):
    """Every check says ok, and the exit code is 0."""
    store()
    code, findings = doctor()
    assert (code, levels(findings)) == (0, ALL_OK)
    assert set(findings) - set(ALL_OK) == _MACHINE
    assert findings["entries"]["found"] == "1 readable"


@pytest.mark.parametrize("problem", [False, True])
def test_nothing_is_written(doctor, store, development, listing, problem):
    """Not to a sound cache, and not to one with problems."""
    store(age=-3600 if problem else 0)
    left_behind(development)
    before = listing(development)
    assert doctor()[0] == problem
    assert listing(development) == before


def test_a_directory_that_is_not_there_is_not_made(doctor, development):
    """It would be made by the first entry, and by nothing else."""
    code, findings = doctor()
    assert (code, findings["directory"]["level"]) == (0, "ok")
    assert "not there yet" in findings["directory"]["found"]
    assert not development.exists()


def test_a_pipe_gets_one_line_for_each_check(command, development):
    """With the result first, what is to be done last, and the numbers below."""
    development.write_text("a file")
    result = command("doctor")
    heading, configuration, directory, _, summary = result.stdout.splitlines()
    assert heading.split() == ["result", "check", "found"]
    assert configuration.split()[:2] == ["ok", "configuration"]
    assert directory.split(maxsplit=2) == [
        "problem",
        "directory",
        f"{development} is not a directory. To do: remove it, or name another directory with SPARK_CACHE_DIR",
    ]
    assert (summary, result.exit_code) == ("1 problem, 0 notes", 1)


def test_another_directory_can_be_named(doctor, development, tmp_path):
    """``--dir`` wins over the configured directory, and over a store that has none."""
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    _, findings = doctor("--dir", str(other), SPARK_CACHE_STORE="memory")
    assert findings["directory"]["found"] == str(other)
    assert not development.exists()


def test_a_memory_store_has_no_directory_to_look_at(doctor, development):
    """That is no problem."""
    code, findings = doctor(SPARK_CACHE_STORE="memory")
    assert (code, list(findings)) == (0, ["configuration", "directory"])
    assert not development.exists()


# -- configuration --------------------------------------------------------------------------------


def test_an_unusable_configuration_is_a_problem_with_its_place(doctor, development):
    """Named with file and line; nothing else is looked at."""
    Path(".env").write_text("# settings\nSPARK_CACHE_TTL=soon\n", encoding="utf-8")
    code, findings = doctor()
    assert (code, levels(findings)) == (1, {"configuration": "problem"})
    assert ".env:2: SPARK_CACHE_TTL: " in findings["configuration"]["found"]
    assert not development.exists()


def test_every_problem_of_the_configuration_is_named(command, development):
    """Each on a line of its own."""
    result = command("doctor", SPARK_CACHE_TTL="soon", SPARK_CACHE_MODE="sometimes")
    assert result.exit_code == 1
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:3]] == [
        ["problem", "configuration"]
    ] * 2
    assert not development.exists()


@pytest.mark.parametrize("fault", ["mode", "link", "inside"])
def test_an_unsafe_key_file_is_a_problem(doctor, development, tmp_path, fault):
    """Open to others, reached by a link, or among the entries that it opens."""
    path = (development if fault == "inside" else tmp_path) / "keys"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(OLD)
    path.chmod(0o644 if fault == "mode" else 0o600)
    if fault == "link":
        path = path.rename(tmp_path / "real").parent / "keys"
        path.symlink_to("real")
    code, findings = doctor(SPARK_CACHE_ENCRYPTION_KEY_FILE=str(path))
    assert (code, findings["configuration"]["level"]) == (1, "problem")
    words = {"mode": "chmod 600", "link": "symbolic link", "inside": "inside the cache directory"}
    assert words[fault] in findings["configuration"]["found"]


def test_a_key_file_inside_the_named_directory_is_a_problem(doctor, development, tmp_path):
    """What ``--dir`` makes wrong is found as well."""
    path = tmp_path / "other" / "keys"
    path.parent.mkdir(mode=0o700)
    path.write_text(OLD)
    path.chmod(0o600)
    code, findings = doctor("--dir", str(path.parent), SPARK_CACHE_ENCRYPTION_KEY_FILE=str(path))
    assert (code, levels(findings)) == (1, {"configuration": "problem"})
    assert not development.exists()


def test_an_unknown_profile_is_a_problem(doctor):
    """No traceback and no misuse: it is what was looked for."""
    code, findings = doctor("--profile", "developement")
    assert (code, findings["configuration"]["level"]) == (1, "problem")
    assert "development" in findings["configuration"]["found"]


# -- directory ------------------------------------------------------------------------------------


def test_a_directory_that_cannot_be_made_is_a_problem(doctor, development):
    """Here a file stands where a folder above it would be."""
    development.write_text("a file")
    code, findings = doctor("--dir", str(development / "below"))
    assert (code, findings["directory"]["level"]) == (1, "problem")
    assert f"{development} is not a directory" in findings["directory"]["found"]


def test_a_link_to_nowhere_is_a_problem(doctor, development):
    """The store could not make what it leads to."""
    development.symlink_to("nowhere")
    code, findings = doctor()
    assert (code, findings["directory"]["level"]) == (1, "problem")


@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_a_link_into_a_place_of_everybodys_is_a_problem(doctor, development, tmp_path, mode):
    """A link into a place of one's own is none."""
    place = tmp_path / "place"
    (place / "cache").mkdir(parents=True, mode=0o700)
    place.chmod(mode)
    development.symlink_to(place / "cache")
    code, findings = doctor()
    assert (code, findings["directory"]["level"]) == ((1, "problem") if mode == 0o777 else (0, "ok"))


def test_a_replay_without_recordings_is_worth_a_note(doctor, development):
    """Nothing would make the directory, so that every call fails."""
    code, findings = doctor(SPARK_CACHE_MODE="replay")
    assert (code, findings["directory"]["level"]) == (0, "note")
    assert not development.exists()


@pytest.mark.parametrize(("mode", "words"), [(0o750, "look into it"), (0o770, "change what is in it")])
def test_a_directory_open_to_others_is_worth_a_note(doctor, store, development, mode, words):
    """It says what they may do."""
    store()
    development.chmod(mode)
    code, findings = doctor()
    assert (code, findings["mode"]["level"]) == (0, "note")
    assert findings["mode"]["found"] == f"{mode:04o}: others may {words}"
    assert findings["mode"]["remedy"] == f"chmod 700 {development}"


@pytest.mark.parametrize("mode", ["read-write", "read-only"])
def test_the_directory_of_another_user_is_a_problem_to_a_writer(doctor, store, monkeypatch, mode):
    """A reader may read it."""
    store()
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    code, findings = doctor(SPARK_CACHE_MODE=mode)
    writes = mode == "read-write"
    assert (code, findings["access"]["level"]) == ((1, "problem") if writes else (0, "ok"))
    assert findings["hidden folder"]["level"] == ("problem" if writes else "note")


@pytest.fixture
def locked():
    """A folder that its owner may use as a mode says, seen as that owner, who is not root."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, _NOBODY, -1)
        os.seteuid(_NOBODY)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("mode", "writes", "level"),
    [
        (0o700, True, Level.OK),
        (0o500, True, Level.PROBLEM),
        (0o500, False, Level.OK),
        (0o300, False, Level.PROBLEM),
        (0o600, False, Level.PROBLEM),
    ],
)
def test_a_directory_has_to_allow_what_the_mode_does(locked, mode, writes, level):
    """Writing where answers are stored, and listing and entering in any case."""
    locked.chmod(mode)
    assert access(str(locked), writes=writes).level is level


@pytest.mark.parametrize(("writes", "level"), [(True, Level.PROBLEM), (False, Level.NOTE)])
def test_a_hidden_folder_has_to_be_open_to_a_writer(locked, writes, level):
    """A reader does without it."""
    locked.chmod(0o500)
    found = hidden_folder(str(locked), writes=writes)
    assert (found.level, found.remedy) == (level, f"chmod 700 {locked}")


def test_a_folder_that_cannot_be_listed_is_a_problem(locked):
    """It is said in the report, not raised."""
    folder = locked / "openai"
    folder.mkdir(mode=0o000)
    config = CacheConfig(enabled=True, cache_dir=locked)
    findings = list(examine(config, clock=time.time, sink=StructlogSink(), mounts=None, step=lambda: None))
    folder.chmod(0o700)
    assert (findings[-1].check, findings[-1].level) == ("entries", Level.PROBLEM)
    assert "EACCES" in findings[-1].found


# -- file system and disk -------------------------------------------------------------------------


def test_a_network_file_system_is_worth_a_note(tmp_path):
    """The innermost mount decides, the later of two in one place; blanks are written in octal."""
    place = tmp_path / "far away"
    place.mkdir()
    point = str(place).replace(" ", "\\040")
    mounts = f"disk / ext4 rw 0 0\nold {point} ext4 rw 0 0\nhost:/x {point} nfs4 rw 0 0\n"
    assert file_system(f"{place}/not/there", mounts).level is Level.NOTE
    assert file_system(str(tmp_path), mounts).found == "ext4"
    assert file_system(f"{place}r", mounts).found == "ext4"


def test_a_system_without_a_list_of_mounts_is_fine(tmp_path):
    """Then the kind is not known."""
    assert file_system(str(tmp_path), None).level is Level.OK


def test_a_disk_smaller_than_the_cap_is_a_problem(doctor, store):
    """No disk holds this."""
    store()
    code, findings = doctor(SPARK_CACHE_MAX_SIZE="900000GB")
    assert (code, findings["disk space"]["level"]) == (1, "problem")


def test_the_disk_is_of_no_concern_to_who_writes_nothing(doctor, store):
    """A reader needs no space."""
    store()
    _, findings = doctor(SPARK_CACHE_MAX_SIZE="900000GB", SPARK_CACHE_MODE="read-only")
    assert findings["access"]["found"] == "readable; nothing is to be written"
    assert "disk space" not in findings


@pytest.mark.parametrize(
    ("free", "left", "level"),
    [
        (5, None, Level.OK),
        (4, None, Level.NOTE),
        (4, 4, Level.NOTE),
        (50, 51, Level.PROBLEM),
        (50, 50, Level.OK),
    ],
)
def test_free_space_is_measured_against_the_cap_and_the_disk(free, left, level):
    """Less than the cache may still take is a problem, less than a twentieth a note."""
    assert disk_space(free=free, size=100, left=left).level is level


# -- what is in it --------------------------------------------------------------------------------


@pytest.mark.parametrize("link", [False, True])
def test_a_hidden_folder_that_is_none_is_a_problem(doctor, store, development, tmp_path, link):
    """A link would lead the cache's writes elsewhere."""
    store()
    hidden = development / ".spark-cache"
    shutil.rmtree(hidden)
    if link:
        (tmp_path / "elsewhere").mkdir()
        hidden.symlink_to(tmp_path / "elsewhere")
    else:
        hidden.write_text("a file")
    code, findings = doctor()
    assert (code, findings["hidden folder"]["level"]) == (1, "problem")
    assert findings["hidden folder"]["remedy"].startswith(f"delete {hidden}")


def test_a_hidden_folder_may_be_missing(doctor, store, development):
    """It is derived from the entries."""
    store()
    shutil.rmtree(development / ".spark-cache")
    assert doctor()[0] == 0


def left_behind(directory):
    """Temporary files of a writer that was stopped two hours ago, and of one at work."""
    folder = directory / ".spark-cache" / "temporary"
    for name, age in (("old", 7200), ("older", 9000), ("new", 60)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)


def test_old_temporary_files_are_counted(doctor, store, development):
    """Those of a writer at work are not."""
    store()
    left_behind(development)
    code, findings = doctor()
    assert (code, findings["temporary files"]["level"]) == (0, "note")
    assert findings["temporary files"]["found"].startswith("2 older than an hour")


def test_temporary_files_behind_a_link_are_a_problem(doctor, store, development):
    """The store writes through none, so it stores nothing."""
    store()
    folder = development / ".spark-cache" / "temporary"
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")
    code, findings = doctor()
    assert (code, findings["temporary files"]["level"]) == (1, "problem")


@pytest.fixture
def figures(store, development):
    """The file of past figures, as the ledger writes it."""
    store()
    ledger = Ledger(str(development / ".spark-cache"), clock=time.time)
    ledger.record("hit", provider="openai", model="gpt-4o", profile=None, keep=True)
    ledger.flush()
    return development / ".spark-cache" / "ledger.sqlite3"


def test_a_whole_ledger_passes(doctor, figures):
    """As it was written."""
    assert figures.is_file()
    assert doctor()[1]["ledger"]["found"] == "whole"


@pytest.mark.parametrize("damage", ["header", "page", "link"])
def test_a_damaged_ledger_is_to_be_deleted(doctor, figures, damage):
    """Whether it does not open, holds nonsense, or is no file; deleting it helps."""
    data = figures.read_bytes()
    if damage == "link":
        figures.rename(figures.with_name("other"))
        figures.symlink_to("other")
    else:
        start = 0 if damage == "header" else len(data) // 2
        figures.write_bytes(data[:start] + b"\xff" * 64 + data[start + 64 :])
    code, findings = doctor()
    assert (code, findings["ledger"]["level"]) == (1, "problem")
    assert findings["ledger"]["remedy"].startswith(f"delete {figures}")
    figures.unlink()
    assert doctor()[0] == 0


def test_a_ledger_in_use_is_not_taken_for_damaged(doctor, figures):
    """It is whole, and somebody holds it."""
    with closing(sqlite3.connect(figures, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        code, findings = doctor()
    assert (code, findings["ledger"]["level"]) == (0, "note")


def test_a_file_that_is_no_entry_is_worth_a_note(doctor, store):
    """It answers nothing, and the next answer replaces it."""
    store().write_text("nonsense")
    code, findings = doctor()
    assert (code, findings["entries"]["level"]) == (0, "note")
    assert "1 cannot be read" in findings["entries"]["found"]


@pytest.mark.parametrize(("ahead", "level"), [(240, "ok"), (3600, "problem")])
def test_entries_from_the_future_are_a_problem(doctor, store, ahead, level):
    """More than five minutes ahead they answer nothing."""
    store("Paris.")
    store("Rome.", age=-ahead)
    code, findings = doctor()
    assert (code, findings["clock"]["level"]) == (level == "problem", level)
    if level == "problem":
        assert findings["clock"]["found"].startswith("1 of 2 entries")


def test_the_clock_is_compared_with_some_entries(doctor, store, monkeypatch):
    """A million need not be looked at for it."""
    monkeypatch.setattr("spark_cache.maintenance.doctor.contents._DATED", 2)
    for content in ("Paris.", "Rome.", "Bern."):
        store(content, age=-3600)
    assert doctor()[1]["clock"]["found"].startswith("2 of 2 entries")


def test_a_replay_does_not_go_by_the_clock(doctor, store):
    """There entries answer whatever their date."""
    store(age=-3600)
    code, findings = doctor(SPARK_CACHE_MODE="replay")
    assert (code, findings["clock"]["level"]) == (0, "note")


# -- encryption -----------------------------------------------------------------------------------


def test_the_ids_of_the_keys_are_shown_and_the_keys_are_not(command, store):
    """Newest first, with the level."""
    store(encryption="all", encryption_keys=OLD)
    result = command("doctor", SPARK_CACHE_ENCRYPTION="all", SPARK_CACHE_ENCRYPTION_KEY=f"{NEW},{OLD}")
    assert f"all, key {key_id(NEW)}, {key_id(OLD)}" in result.stdout
    assert NEW not in result.output
    assert OLD not in result.output


def test_entries_under_a_lost_key_are_a_problem(doctor, store):
    """The key is named by its id."""
    store(encryption="all", encryption_keys=OLD)
    code, findings = doctor(SPARK_CACHE_ENCRYPTION_KEY=NEW)
    assert (code, findings["encryption"]["level"]) == (1, "problem")
    assert key_id(OLD) in findings["encryption"]["found"]


def test_plain_entries_where_all_are_to_be_encrypted_are_worth_a_note(doctor, store):
    """They are misses, and a command makes them answers."""
    store()
    code, findings = doctor(SPARK_CACHE_ENCRYPTION="all", SPARK_CACHE_ENCRYPTION_KEY=NEW)
    assert (code, findings["encryption"]["level"]) == (0, "note")
    assert "spark-cache encrypt" in findings["encryption"]["remedy"]
