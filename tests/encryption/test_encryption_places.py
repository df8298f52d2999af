"""Files and folders are private to their owner, and planted files change nothing outside the cache."""

from __future__ import annotations

import os
import stat

import pytest
from encryption_world import NEW, OLD, answer, ask, entry_files, manager_of, put, turn

from spark_cache.entries.keyring import KeyRing
from spark_cache.errors import StoreError

OUTSIDE = b"not yours"


@pytest.fixture
def outside(tmp_path):
    """Create a file outside the cache that must not change, not even in its time."""
    path = tmp_path / "outside" / "file"
    path.parent.mkdir()
    path.write_bytes(OUTSIDE)
    os.utime(path, (1e9, 1e9))
    before = _look(path)
    yield path
    assert _look(path) == before
    assert os.listdir(path.parent) == ["file"]


def _look(path):
    status = path.stat()
    return path.read_bytes(), status.st_mode, status.st_mtime, status.st_uid


def modes(folder):
    """Return the modes of a folder and of everything below it, by kind."""
    paths = [folder, *folder.rglob("*")]
    return {(path.is_dir(), stat.S_IMODE(path.lstat().st_mode)) for path in paths}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777])
def test_the_umask_changes_no_mode(cache_dir, umask):
    """Files have mode 0600 and folders 0700, even after a rotation, with any umask."""
    before = os.umask(umask)
    try:
        put(manager_of(cache_dir, OLD), "one")
        cache = manager_of(cache_dir, NEW, OLD)
        cache.get(ask(cache, "one"))
        turn(cache, NEW, OLD)
        cache.flush()
    finally:
        os.umask(before)
    assert len(entry_files(cache_dir)) == 1
    assert modes(cache_dir) == {(True, 0o700), (False, 0o600)}


def test_a_directory_of_another_user_is_not_used(cache_dir, sink, monkeypatch):
    """Nothing is read from or written to the directory, and one warning says why."""
    key = put(manager_of(cache_dir, NEW), "one")
    before = {
        path: path.stat().st_mtime_ns for path in cache_dir.rglob("*") if ".spark-cache" not in path.parts
    }
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    cache = manager_of(cache_dir, NEW, sink=sink, clock=lambda: 2e9)
    assert cache.get(key) is None
    assert not cache.set(ask(cache, "two"), "openai", "gpt-4o", {}, answer("two"))
    assert {
        path: path.stat().st_mtime_ns for path in cache_dir.rglob("*") if ".spark-cache" not in path.parts
    } == before
    reported = [(event.operation, event.error) for event in sink.events if event.name == "cache.error"]
    assert reported == [
        ("read", "the entry belongs to another user"),
        ("write", "the directory belongs to another user"),
    ]


_REACHED_BY_OTHERS = (
    "a symbolic link on its path belongs to another user, or leads to a place that everybody may write to"
)


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_into_a_world_writable_folder_is_not_used(tmp_path, sink, exists):
    """A cache directory that is a link into a world-writable folder is neither read nor written, and the warning says why."""
    public = tmp_path / "public"
    public.mkdir()
    public.chmod(0o1777)
    target = public / "cache"
    if exists:
        put(manager_of(target, NEW), "one")
    link = tmp_path / "link"
    link.symlink_to(target)
    cache = manager_of(link, NEW, sink=sink)
    key = ask(cache, "one")
    assert cache.get(key) is None
    assert not cache.set(key, "openai", "gpt-4o", {}, answer("two"))
    assert target.exists() == exists
    reported = {event.error for event in sink.events if event.name == "cache.error"}
    assert reported == {_REACHED_BY_OTHERS}


def test_a_link_above_the_directory_is_checked_too(tmp_path, sink):
    """A link above the directory is treated like a directory that is a link."""
    public = tmp_path / "public"
    public.mkdir()
    public.chmod(0o1777)
    (public / "home").mkdir()
    (tmp_path / "link").symlink_to(public / "home")
    cache = manager_of(tmp_path / "link" / "deep" / "cache", NEW, sink=sink)
    assert not cache.set(ask(cache, "one"), "openai", "gpt-4o", {}, answer("one"))
    assert not list((public / "home").iterdir())
    assert {event.error for event in sink.events if event.name == "cache.error"} == {_REACHED_BY_OTHERS}


def test_a_link_of_another_user_is_not_followed(tmp_path, sink, monkeypatch):
    """The owner of the link could redirect it to another directory of this user."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    if os.getuid() == 0:
        os.lchown(tmp_path / "link", 12345, -1)
        monkeypatch.setattr(os, "geteuid", os.getuid)
    cache = manager_of(tmp_path / "link", NEW, sink=sink)
    assert not cache.set(ask(cache, "one"), "openai", "gpt-4o", {}, answer("one"))
    assert {event.error for event in sink.events if event.name == "cache.error"} == {_REACHED_BY_OTHERS}


def test_a_link_to_an_own_folder_is_used(tmp_path):
    """A link that no other user can change is used like the directory."""
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    cache = manager_of(tmp_path / "link", NEW)
    assert cache.get(put(cache, "one")) == answer("answer to one")


TRICKS = {
    "symlink": lambda path, outside: path.symlink_to(outside),
    "hard link": lambda path, outside: path.hardlink_to(outside),
    "pipe": lambda path, _outside: os.mkfifo(path),
    "folder": lambda path, _outside: path.mkdir(),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_planted_file_in_place_of_an_entry_is_a_miss(cache_dir, outside, trick):
    """Reading, writing, rotating and removing neither follow it, nor wait for it, nor replace it."""
    cache = manager_of(cache_dir, NEW, OLD, clock=lambda: 2e9)
    key = ask(cache, "one")
    folder = cache_dir / "openai" / "gpt-4o"
    folder.mkdir(parents=True)
    paths = [folder / f"{name}.json" for name in KeyRing([NEW, OLD]).names(key)]
    for path in paths:
        TRICKS[trick](path, outside)
    before = [path.lstat().st_ino for path in paths]
    assert cache.get(key) is None
    assert turn(cache, NEW, OLD).moved == 0
    assert not cache.set(key, "openai", "gpt-4o", {}, answer("one"))
    assert cache.get(key) is None
    assert not cache.remove_entry(key)
    assert cache.clear_all() == 0
    assert [path.lstat().st_ino for path in paths] == before


def test_a_hard_linked_entry_is_not_touched(cache_dir, tmp_path):
    """A hit does not update the time of a file with hard links, such as one in a backup."""
    cache = manager_of(cache_dir, NEW, clock=lambda: 2e9)
    key = put(cache, "one")
    (path,) = entry_files(cache_dir)
    backup = tmp_path / "backup.json"
    backup.hardlink_to(path)
    os.utime(backup, (1e9, 1e9))
    assert cache.get(key) == answer("answer to one")
    assert (backup.stat().st_atime, backup.stat().st_mtime) == (1e9, 1e9)


@pytest.mark.parametrize("place", ["openai", "openai/gpt-4o"])
def test_a_linked_folder_is_not_written_through(cache_dir, outside, place):
    """Nothing is written to a folder of entries that leads out of the cache."""
    path = cache_dir / place
    path.parent.mkdir(parents=True)
    path.symlink_to(outside.parent)
    cache = manager_of(cache_dir, NEW)
    key = ask(cache, "one")
    assert not cache.set(key, "openai", "gpt-4o", {}, answer("one"))
    assert cache.get(key) is None
    cache.clear_all()


FOLDERS = (".spark-cache", ".spark-cache/temporary", ".spark-cache/locks")
FILES = (
    *(".spark-cache/savings.sqlite3", ".spark-cache/index.sqlite3", ".gitignore"),
    ".spark-cache/locks/index",
)


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("place", FOLDERS + FILES)
def test_a_planted_file_in_the_hidden_folder(cache_dir, outside, trick, place):
    """No folder or file of the hidden folder leads out of the cache."""
    path = cache_dir / place
    path.parent.mkdir(parents=True)
    TRICKS[trick](path, outside.parent if trick == "symlink" and place in FOLDERS else outside)
    cache = manager_of(cache_dir, NEW)
    key = ask(cache, "one")
    cache.set(key, "openai", "gpt-4o", {}, answer("one"))
    assert cache.get(key) in (None, answer("one"))
    cache.flush()
    cache.get_stats()


@pytest.mark.parametrize("trick", TRICKS)
def test_a_planted_file_in_place_of_the_rotation_lock(cache_dir, outside, trick):
    """A lock file is neither followed out of the cache nor written to."""
    put(manager_of(cache_dir, OLD), "one")
    TRICKS[trick](cache_dir / ".spark-cache" / "locks" / "rotation", outside)
    new = manager_of(cache_dir, NEW, OLD)
    if trick in ("symlink", "folder"):
        with pytest.raises(StoreError, match="cannot lock the directory"):
            turn(new, NEW, OLD)
    else:
        assert turn(new, NEW, OLD).moved == 1
    assert new.get(ask(new, "one")) == answer("answer to one")
