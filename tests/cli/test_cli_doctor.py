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
from spark_cache.maintenance.doctor.directory import access, disk_space, file_system
from spark_cache.savings import Savings

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
_NOBODY = 65534


@pytest.fixture
def doctor(command, monkeypatch):
    """Run the command with a small cap, and return its exit code and its findings by check."""
    monkeypatch.setenv("SPARK_CACHE_MAX_SIZE", "1MB")

    def run(*arguments, **environment):
        result = command("doctor", "--json", *arguments, **environment)
        shown = json.loads(result.stdout)
        assert shown["ok"] is (result.exit_code == 0)
        return result.exit_code, {found["check"]: found for found in shown["findings"]}

    return run


def levels(findings):
    """Return the level of each check, except for those that depend on the machine."""
    return {check: found["level"] for check, found in findings.items() if check not in _MACHINE_CHECKS}


_MACHINE_CHECKS = {"disk space", "file system"}

_CHECKS = (
    "configuration directory mode access hidden-folder temporary-files savings index entries clock encryption"
)
ALL_OK = {check.replace("-", " "): "ok" for check in _CHECKS.split()}


# -- the whole report -----------------------------------------------------------------------------


def test_a_healthy_cache_passes_every_check(doctor, store):
    """Every check is ok, and the exit code is 0."""
    store()
    code, findings = doctor()
    assert (code, levels(findings)) == (0, ALL_OK)
    assert set(findings) - set(ALL_OK) == _MACHINE_CHECKS
    assert findings["entries"]["found"] == "1 readable"


@pytest.mark.parametrize("problem", [False, True])
def test_nothing_is_written(doctor, store, development, listing, problem):
    """The command writes nothing, whether it finds a problem or not."""
    store(age=-3600 if problem else 0)
    left_behind(development)
    before = listing(development)
    assert doctor()[0] == problem
    assert listing(development) == before


def test_a_missing_directory_is_not_created(doctor, development):
    """Only the first entry creates the directory."""
    code, findings = doctor()
    assert (code, findings["directory"]["level"]) == (0, "ok")
    assert "does not exist yet" in findings["directory"]["found"]
    assert not development.exists()


def test_the_table_has_one_line_for_each_check(command, development):
    """Each line begins with the result and ends with the remedy. The last line contains the totals."""
    development.write_text("a file")
    result = command("doctor")
    heading, configuration, directory, _, summary = result.stdout.splitlines()
    assert heading.split() == ["result", "check", "found"]
    assert configuration.split()[:2] == ["ok", "configuration"]
    assert directory.split(maxsplit=2) == [
        "problem",
        "directory",
        f"{development} is not a directory. To do: remove it, or set SPARK_CACHE_DIR to another directory",
    ]
    assert (summary, result.exit_code) == ("1 problem, 0 notes", 1)


def test_another_directory_can_be_selected(doctor, development, tmp_path):
    """``--dir`` takes precedence over the configured directory, and over a store without one."""
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    _, findings = doctor("--dir", str(other), SPARK_CACHE_STORE="memory")
    assert findings["directory"]["found"] == str(other)
    assert not development.exists()


def test_a_memory_store_has_no_directory(doctor, development):
    """The missing directory is not a problem."""
    code, findings = doctor(SPARK_CACHE_STORE="memory")
    assert (code, list(findings)) == (0, ["configuration", "directory"])
    assert not development.exists()


# -- configuration --------------------------------------------------------------------------------


def test_an_invalid_configuration_is_a_problem(doctor, development):
    """The finding contains the file and the line. No other check runs."""
    Path(".env").write_text("# settings\nSPARK_CACHE_TTL=soon\n", encoding="utf-8")
    code, findings = doctor()
    assert (code, levels(findings)) == (1, {"configuration": "problem"})
    assert ".env:2: SPARK_CACHE_TTL: " in findings["configuration"]["found"]
    assert not development.exists()


def test_every_problem_of_the_configuration_is_reported(command, development):
    """Each problem has its own line."""
    result = command("doctor", SPARK_CACHE_TTL="soon", SPARK_CACHE_MODE="sometimes")
    assert result.exit_code == 1
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:3]] == [
        ["problem", "configuration"]
    ] * 2
    assert not development.exists()


@pytest.mark.parametrize("fault", ["mode", "link", "inside"])
def test_an_unsafe_key_file_is_a_problem(doctor, development, tmp_path, fault):
    """A key file must not be readable by others, a link, or inside the cache directory."""
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


def test_a_key_file_inside_the_selected_directory_is_a_problem(doctor, development, tmp_path):
    """Problems that result from ``--dir`` are found as well."""
    path = tmp_path / "other" / "keys"
    path.parent.mkdir(mode=0o700)
    path.write_text(OLD)
    path.chmod(0o600)
    code, findings = doctor("--dir", str(path.parent), SPARK_CACHE_ENCRYPTION_KEY_FILE=str(path))
    assert (code, levels(findings)) == (1, {"configuration": "problem"})
    assert not development.exists()


def test_an_unknown_profile_is_a_problem(doctor):
    """An unknown profile is a finding, not a usage error."""
    code, findings = doctor("--profile", "developement")
    assert (code, findings["configuration"]["level"]) == (1, "problem")
    assert "development" in findings["configuration"]["found"]


# -- directory ------------------------------------------------------------------------------------


def test_a_directory_that_cannot_be_created_is_a_problem(doctor, development):
    """A file blocks the path of a parent folder."""
    development.write_text("a file")
    code, findings = doctor("--dir", str(development / "below"))
    assert (code, findings["directory"]["level"]) == (1, "problem")
    assert f"{development} is not a directory" in findings["directory"]["found"]


def test_a_dangling_link_is_a_problem(doctor, development):
    """The store cannot create the target of the link."""
    development.symlink_to("nowhere")
    code, findings = doctor()
    assert (code, findings["directory"]["level"]) == (1, "problem")


@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_a_link_into_a_shared_folder_is_a_problem(doctor, development, tmp_path, mode):
    """A link into a folder that only the user can change is ok."""
    place = tmp_path / "place"
    (place / "cache").mkdir(parents=True, mode=0o700)
    place.chmod(mode)
    development.symlink_to(place / "cache")
    code, findings = doctor()
    assert (code, findings["directory"]["level"]) == ((1, "problem") if mode == 0o777 else (0, "ok"))


def test_a_replay_without_recordings_is_noted(doctor, development):
    """In replay mode nothing creates the directory, so every call fails."""
    code, findings = doctor(SPARK_CACHE_MODE="replay")
    assert (code, findings["directory"]["level"]) == (0, "note")
    assert not development.exists()


@pytest.mark.parametrize(("mode", "words"), [(0o750, "read its contents"), (0o770, "change its contents")])
def test_a_directory_that_others_can_access_is_noted(doctor, store, development, mode, words):
    """The note says what other users may do."""
    store()
    development.chmod(mode)
    code, findings = doctor()
    assert (code, findings["mode"]["level"]) == (0, "note")
    assert findings["mode"]["found"] == f"{mode:04o}: other users may {words}"
    assert findings["mode"]["remedy"] == f"chmod 700 {development}"


@pytest.mark.parametrize("mode", ["read-write", "read-only"])
def test_the_directory_of_another_user_is_a_problem_for_a_writer(
    doctor, store, development, monkeypatch, mode
):
    """A reader may use the directory of another user."""
    store()
    if os.geteuid() == 0:
        # A directory of root may be a volume.
        os.chown(development, _NOBODY, -1)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    code, findings = doctor(SPARK_CACHE_MODE=mode)
    writes = mode == "read-write"
    assert (code, findings["access"]["level"]) == ((1, "problem") if writes else (0, "ok"))
    assert findings["hidden folder"]["level"] == ("problem" if writes else "note")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory of root for another user")
def test_a_writable_directory_of_root_is_a_volume(locked):
    """A container mounts a volume as root's, and lets others write to it."""
    os.seteuid(0)
    os.chown(locked, 0, 0)
    locked.chmod(0o777)
    os.seteuid(_NOBODY)
    found = access(str(locked), writes=True)
    assert (found.level, found.found) == (Level.OK, "readable and writable: a volume that belongs to root")


@pytest.fixture
def locked():
    """A folder whose mode applies, because the process does not act as root."""
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
def test_a_directory_must_allow_what_the_configuration_needs(locked, mode, writes, level):
    """The directory must be readable, and writable if the configuration stores entries."""
    locked.chmod(mode)
    assert access(str(locked), writes=writes).level is level


@pytest.mark.parametrize(("writes", "level"), [(True, Level.PROBLEM), (False, Level.NOTE)])
def test_a_hidden_folder_must_be_accessible_to_a_writer(locked, writes, level):
    """A reader does not need the hidden folder."""
    locked.chmod(0o500)
    found = hidden_folder(str(locked), writes=writes)
    assert (found.level, found.remedy) == (level, f"chmod 700 {locked}")


def test_a_folder_that_cannot_be_listed_is_a_problem(locked):
    """The error is reported as a finding."""
    folder = locked / "openai"
    folder.mkdir(mode=0o000)
    config = CacheConfig(enabled=True, cache_dir=locked)
    findings = list(examine(config, clock=time.time, sink=StructlogSink(), mounts=None, step=lambda: None))
    folder.chmod(0o700)
    assert (findings[-1].check, findings[-1].level) == ("entries", Level.PROBLEM)
    assert "EACCES" in findings[-1].found


# -- file system and disk -------------------------------------------------------------------------


def test_a_network_file_system_is_noted(tmp_path):
    """The innermost mount decides, or the later of two on one mount point. Spaces are written in octal."""
    place = tmp_path / "far away"
    place.mkdir()
    point = str(place).replace(" ", "\\040")
    mounts = f"disk / ext4 rw 0 0\nold {point} ext4 rw 0 0\nhost:/x {point} nfs4 rw 0 0\n"
    assert file_system(f"{place}/not/there", mounts).level is Level.NOTE
    assert file_system(str(tmp_path), mounts).found == "ext4"
    assert file_system(f"{place}r", mounts).found == "ext4"


def test_a_system_without_a_list_of_mounts_is_ok(tmp_path):
    """The type of the file system is unknown."""
    assert file_system(str(tmp_path), None).level is Level.OK


def test_a_disk_smaller_than_the_cap_is_a_problem(doctor, store):
    """No disk has room for this cap."""
    store()
    code, findings = doctor(SPARK_CACHE_MAX_SIZE="900000GB")
    assert (code, findings["disk space"]["level"]) == (1, "problem")


def test_a_reader_needs_no_disk_space(doctor, store):
    """The check is skipped if the configuration stores no entries."""
    store()
    _, findings = doctor(SPARK_CACHE_MAX_SIZE="900000GB", SPARK_CACHE_MODE="read-only")
    assert findings["access"]["found"] == "readable; the configuration stores no entries"
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
    """Less space than the cache may still use is a problem. Less than 5 % of the disk is a note."""
    assert disk_space(free=free, size=100, left=left).level is level


# -- contents -------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", [False, True])
def test_a_hidden_folder_that_is_not_a_folder_is_a_problem(doctor, store, development, tmp_path, link):
    """A link would redirect the writes of the cache."""
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
    """The hidden folder is derived from the entries."""
    store()
    shutil.rmtree(development / ".spark-cache")
    assert doctor()[0] == 0


def left_behind(directory):
    """Create temporary files of writers that were interrupted hours ago, and of an active one."""
    folder = directory / ".spark-cache" / "temporary"
    for name, age in (("old", 7200), ("older", 9000), ("new", 60)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)


def test_old_temporary_files_are_counted(doctor, store, development):
    """The files of an active writer are not counted."""
    store()
    left_behind(development)
    code, findings = doctor()
    assert (code, findings["temporary files"]["level"]) == (0, "note")
    assert findings["temporary files"]["found"].startswith("2 older than an hour")


def test_a_linked_folder_of_temporary_files_is_a_problem(doctor, store, development):
    """The store does not write through a link, so it stores nothing."""
    store()
    folder = development / ".spark-cache" / "temporary"
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")
    code, findings = doctor()
    assert (code, findings["temporary files"]["level"]) == (1, "problem")


@pytest.fixture
def savings_file(store, development):
    """The database of past totals, with one recorded hit."""
    store()
    savings = Savings(str(development / ".spark-cache"), clock=time.time)
    savings.ledger.record("hit", provider="openai", model="gpt-4o", profile=None, keep=True)
    savings.flush()
    return development / ".spark-cache" / "savings.sqlite3"


def test_an_intact_savings_database_passes(doctor, savings_file):
    """A savings database is ok as it was written."""
    assert savings_file.is_file()
    assert doctor()[1]["savings"]["found"] == "intact"


@pytest.mark.parametrize("damage", ["header", "page", "link"])
def test_a_damaged_savings_database_is_a_problem(doctor, savings_file, damage):
    """A savings database that cannot be opened, is damaged or is a link must be deleted."""
    data = savings_file.read_bytes()
    if damage == "link":
        savings_file.rename(savings_file.with_name("other"))
        savings_file.symlink_to("other")
    else:
        start = 0 if damage == "header" else len(data) // 2
        savings_file.write_bytes(data[:start] + b"\xff" * 64 + data[start + 64 :])
    code, findings = doctor()
    assert (code, findings["savings"]["level"]) == (1, "problem")
    assert findings["savings"]["remedy"].startswith(f"delete {savings_file}")
    savings_file.unlink()
    assert doctor()[0] == 0


def test_a_savings_database_in_use_is_not_damaged(doctor, savings_file):
    """A savings database that another program has locked is a note."""
    with closing(sqlite3.connect(savings_file, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        code, findings = doctor()
    assert (code, findings["savings"]["level"]) == (0, "note")


@pytest.mark.parametrize("length", [0, 50, 300])
def test_a_damaged_entry_is_noted(doctor, store, length):
    """An entry that was cut off is never used, and the next response replaces it."""
    path = store()
    path.write_bytes(path.read_bytes()[:length])
    code, findings = doctor()
    assert (code, findings["entries"]["level"]) == (0, "note")
    assert "1 cannot be read" in findings["entries"]["found"]


def test_a_foreign_file_is_not_noted(doctor, store):
    """A file that was never an entry is not the cache's concern."""
    store("Paris.")
    store("Rome.").write_text("nonsense")
    code, findings = doctor()
    assert (code, findings["entries"]["level"]) == (0, "ok")
    assert findings["entries"]["found"].startswith("1 ")


@pytest.mark.parametrize(("ahead", "level"), [(240, "ok"), (3600, "problem")])
def test_entries_from_the_future_are_a_problem(doctor, store, ahead, level):
    """Entries that are dated more than five minutes in the future are not used."""
    store("Paris.")
    store("Rome.", age=-ahead)
    code, findings = doctor()
    assert (code, findings["clock"]["level"]) == (level == "problem", level)
    if level == "problem":
        assert findings["clock"]["found"].startswith("1 of 2 entries")


def test_the_clock_is_compared_with_some_entries(doctor, store, monkeypatch):
    """In a large cache, the dates of only some entries are checked."""
    monkeypatch.setattr("spark_cache.maintenance.doctor.contents._MAX_DATED", 2)
    for content in ("Paris.", "Rome.", "Bern."):
        store(content, age=-3600)
    assert doctor()[1]["clock"]["found"].startswith("2 of 2 entries")


def test_a_replay_ignores_the_clock(doctor, store):
    """In replay mode, entries are used whatever their date."""
    store(age=-3600)
    code, findings = doctor(SPARK_CACHE_MODE="replay")
    assert (code, findings["clock"]["level"]) == (0, "note")


# -- encryption -----------------------------------------------------------------------------------


def test_the_ids_of_the_keys_are_shown_and_the_keys_are_not(command, store):
    """The finding contains the level and the IDs, newest first."""
    store(encryption="all", encryption_keys=OLD)
    result = command("doctor", SPARK_CACHE_ENCRYPTION="all", SPARK_CACHE_ENCRYPTION_KEY=f"{NEW},{OLD}")
    assert f"all, key {key_id(NEW)}, {key_id(OLD)}" in result.stdout
    assert NEW not in result.output
    assert OLD not in result.output


def test_entries_under_a_lost_key_are_a_problem(doctor, store):
    """The finding contains the ID of the key."""
    store(encryption="all", encryption_keys=OLD)
    code, findings = doctor(SPARK_CACHE_ENCRYPTION_KEY=NEW)
    assert (code, findings["encryption"]["level"]) == (1, "problem")
    assert key_id(OLD) in findings["encryption"]["found"]


def test_plain_entries_that_must_be_encrypted_are_noted(doctor, store):
    """Plain entries are not used, and the remedy names the command that encrypts them."""
    store()
    code, findings = doctor(SPARK_CACHE_ENCRYPTION="all", SPARK_CACHE_ENCRYPTION_KEY=NEW)
    assert (code, findings["encryption"]["level"]) == (0, "note")
    assert "spark-cache encrypt" in findings["encryption"]["remedy"]
