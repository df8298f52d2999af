"""Faults of the machine: each one is an error that names its cause, and leaves nothing behind."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from json import loads
from pathlib import Path
from typing import Any

import pytest

from spark_cache.errors import StoreError
from spark_cache.stores import HIDDEN, address, atomic
from spark_cache.types import MissReason

_AT = address("openai", "gpt-4o", "ab" * 32)
_NOBODY = 65534
_is_root = os.geteuid() == 0


class _FailingOs:
    """The functions of ``os``, one of which fails, from its ``after``-th call on."""

    def __init__(self, name: str, code: int, after: int = 0) -> None:
        self._name, self._code, self._left = name, code, after

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name != self._name:
            return real

        def fail(*args: Any, **keywords: Any) -> Any:
            if self._left:
                self._left -= 1
                return real(*args, **keywords)
            raise OSError(self._code, os.strerror(self._code), *args[:1])

        return fail


class _HaltingOs(_FailingOs):
    """The functions of ``os``, with writes that take seven bytes at a time."""

    def __init__(self) -> None:
        super().__init__("nothing", 0)

    def write(self, fd: int, data: bytes) -> int:
        """Write a little."""
        return os.write(fd, data[:7])


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS], ids=errno.errorcode.get
)
@pytest.mark.parametrize("function", ["open", "fchmod", "write", "utime", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_entry_and_nothing_else(
    open_store, tmp_path, files, monkeypatch, function, code
):
    """A write that fails at any step leaves the old entry and no temporary file, and the next write works."""
    store = open_store(fsync=True)
    store.write(_AT, b"old")
    before = files(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(atomic, "os", _FailingOs(function, code))
        with pytest.raises(StoreError) as failed:
            store.write(_AT, b"new")
    assert failed.value.operation == "write"
    assert failed.value.cause.startswith(errno.errorcode[code])
    assert files(tmp_path) == before
    assert store.read(_AT, note_use=True) == b"old"
    assert store.write(_AT, b"new") is True
    assert store.read(_AT, note_use=True) == b"new"


def test_a_folder_that_cannot_be_synced_is_an_error(open_store, tmp_path, files, monkeypatch):
    """If the file reaches the disk and its folder does not, the write fails and the entry is complete."""
    store = open_store(fsync=True)
    store.write(_AT, b"old")
    before = files(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(atomic, "os", _FailingOs("fsync", errno.EIO, after=1))
        with pytest.raises(StoreError, match="EIO"):
            store.write(_AT, b"new")
    assert files(tmp_path) == before
    assert store.read(_AT, note_use=True) == b"new"


def test_an_interrupted_write_leaves_nothing_behind(open_store, tmp_path, files, monkeypatch):
    """A write that is interrupted leaves no temporary file."""
    store = open_store()
    store.write(_AT, b"old")
    before = files(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(atomic, "os", _HaltingOs())
        patched.setattr(_HaltingOs, "write", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.write(_AT, b"new")
    assert files(tmp_path) == before


def _interrupt(*_args):
    raise KeyboardInterrupt


def test_a_write_of_some_of_the_bytes_is_continued(open_store, monkeypatch):
    """All bytes are written if the system call writes only a few of them at a time."""
    store = open_store()
    with monkeypatch.context() as patched:
        patched.setattr(atomic, "os", _HaltingOs())
        store.write(_AT, bytes(range(256)))
    assert store.read(_AT, note_use=True) == bytes(range(256))


@pytest.mark.parametrize("function", ["open", "fstat", "read"])
def test_a_failed_read_names_its_cause_without_the_path(open_store, tmp_path, monkeypatch, function):
    """The error of a disk that cannot be read has the symbolic name of the error and no private path."""
    store = open_store()
    store.write(_AT, b"data")
    monkeypatch.setattr(atomic, "os", _FailingOs(function, errno.EIO))
    with pytest.raises(StoreError) as failed:
        store.read(_AT, note_use=True)
    assert str(failed.value) == "cannot read: EIO (Input/output error)"
    assert str(tmp_path) not in repr(failed.value)


def test_no_file_is_left_open(open_store, monkeypatch):
    """Faults close the files that were opened."""
    store = open_store(fsync=True)
    store.write(_AT, b"old")
    # Objects of earlier tests must not be collected meanwhile.
    gc.collect()
    before = _open_files()
    for function in ("write", "fsync", "replace", "fstat", "read"):
        with monkeypatch.context() as patched:
            patched.setattr(atomic, "os", _FailingOs(function, errno.EIO))
            for verb in (lambda: store.write(_AT, b"new"), lambda: store.read(_AT, note_use=True)):
                try:
                    verb()
                except StoreError:
                    continue
    assert _open_files() <= before


def _open_files() -> int:
    return sum(1 for fd in range(256) if _is_open(fd))


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_gitignore_is_complete_or_missing(open_store, tmp_path, monkeypatch):
    """A full disk leaves no incomplete ``.gitignore``, and a later write creates it."""
    store = open_store()
    with monkeypatch.context() as patched:
        patched.setattr(atomic, "os", _FailingOs("write", errno.ENOSPC))
        with pytest.raises(StoreError, match="ENOSPC"):
            store.write(_AT, b"data")
    assert not (tmp_path / "cache" / ".gitignore").exists()
    store.write(_AT, b"data")
    assert "*" in (tmp_path / "cache" / ".gitignore").read_text().split()


# -- other users, and full and read-only disks ------------------------------------------------------------------------------

_TRY = """
import json, os, sys, time
from spark_cache.errors import StoreError
from spark_cache.stores import EntryFormat, FileStore, Proof, address

at = address("openai", "gpt-4o", "ab" * 32)
root = sys.argv[1]

def tried(verb):
    try:
        result = verb()
    except StoreError as error:
        return str(error)
    return result.decode() if isinstance(result, bytes) else result

def store_at(root, **bounds):
    every = EntryFormat(lambda *_: Proof.ENTRY, lambda _: (0.0, float("inf")))
    store = FileStore(
        root, clock=time.time, commit_entries=False, entry_format=every, on_removed=lambda *_: None
    )
    store.require(**{"fsync": False, "cap_bytes": None, "cleanup_interval": 3600.0, **bounds})
    return store

store = store_at(root)
"""
"""What the child programs below begin with."""

_AS_NOBODY = f"""
if os.geteuid() == 0:
    # Modules that are needed later: another user may not be able to read them.
    import filelock, sqlite3, spark_cache.events.types, spark_cache.redaction, spark_cache.stores.index.index
    os.setgroups([])
    os.setgid({_NOBODY})
    os.setuid({_NOBODY})
print(json.dumps({{
    "read": tried(lambda: store.read(at, note_use=False)),
    "read and note": tried(lambda: store.read(at, note_use=True)),
    "write": tried(lambda: store.write(at, b"new")),
    "remove": tried(lambda: store.remove(at)),
    "list": tried(lambda: len(list(store.scan()))),
}}))
"""


def _run(body: str, *arguments: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_TRY + body), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return loads(done.stdout)


@pytest.fixture
def shared_root(open_store):
    """A cache with one entry that belongs to an unprivileged user, where this user can reach it."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    root = place / "cache"
    open_store(root).write(_AT, b"data")
    if _is_root:
        _give(root, _NOBODY)
    yield root
    for folder in (root, *root.rglob("*")):
        if folder.is_dir():
            folder.chmod(0o700)
    shutil.rmtree(place)


def _give(root: Path, user: int) -> None:
    for path in (root, *root.rglob("*")):
        os.chown(path, user, user)


def test_an_owner_can_do_everything(shared_root):
    """The user to whom a cache belongs can use every verb."""
    done = _run(_AS_NOBODY, shared_root)
    assert done == {"read": "data", "read and note": "data", "write": True, "remove": True, "list": 0}


@pytest.mark.skipif(not _is_root, reason="only root can make a directory of root for another user")
@pytest.mark.parametrize(("group", "mode"), [(_NOBODY, 0o2775), (0, 0o777)], ids=["fsGroup", "emptyDir"])
def test_the_mount_point_of_a_volume_is_used(tmp_path, group, mode):
    """A volume that belongs to root and that others may write to is used, and what the cache creates is private."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    root = place / "volume"
    root.mkdir()
    os.chown(root, 0, group)
    root.chmod(mode)
    done = _run(_AS_NOBODY, root)
    (made,) = [path for path in root.iterdir() if path.name == HIDDEN]
    assert (done["write"], done["remove"]) == (True, True)
    assert (made.stat().st_uid, made.stat().st_mode & 0o777) == (_NOBODY, 0o700)
    shutil.rmtree(place)


@pytest.mark.skipif(not _is_root, reason="only root can make a directory of root for another user")
def test_an_unwritable_directory_of_root_is_not_used(tmp_path):
    """A write to a directory of root without write access is an error and creates nothing."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    done = _run(_AS_NOBODY, place)
    assert done["write"] == "cannot write: the directory belongs to another user"
    assert list(place.iterdir()) == []
    place.rmdir()


def test_a_folder_that_cannot_be_created_is_an_error(open_store):
    """A folder that cannot be created below an existing one, as in ``/proc``, is an error."""
    store = open_store(Path("/proc/nope/cache"))
    with pytest.raises(StoreError, match="ENOENT"):
        store.write(_AT, b"data")


def test_an_unwritable_directory_still_answers(shared_root):
    """In a read-only directory, entries are read, and writes and removals name the cause."""
    for folder in (shared_root, *[path for path in shared_root.rglob("*") if path.is_dir()]):
        folder.chmod(0o500)
    done = _run(_AS_NOBODY, shared_root)
    assert (done["read"], done["read and note"], done["list"]) == ("data", "data", 1)
    assert done["write"] == "cannot write: EACCES (Permission denied)"
    assert done["remove"] == "cannot remove: EACCES (Permission denied)"


def test_a_directory_that_cannot_be_read_is_an_error(shared_root):
    """In a directory without read access, every verb names the cause."""
    shared_root.chmod(0o000)
    done = _run(_AS_NOBODY, shared_root)
    assert set(done) == {verb for verb, result in done.items() if "EACCES (Permission denied)" in result}


def test_an_unreadable_entry_is_an_error(shared_root):
    """An entry without read access is an error for its reader, and its owner can replace it."""
    (shared_root / f"openai/gpt-4o/{_AT.name}.json").chmod(0o000)
    done = _run(_AS_NOBODY, shared_root)
    assert done["read"] == "cannot read: EACCES (Permission denied)"
    assert done["write"] is True


_WITH_A_READ_ONLY_INDEX = (
    _AS_NOBODY.rpartition("print(")[0]
    + """
os.chmod(root + "/.spark-cache/index.sqlite3", 0o400)
places = [address("openai", "gpt-4o", f"{number:064x}") for number in range(300)]
found = {"write": [tried(lambda: store.write(place, b"new")) for place in places]}
found["read"] = [tried(lambda: store.read(place, note_use=True)) for place in places]
found["totals"] = sum(folder.entries for folder in store.totals(write=True).folders)
print(json.dumps(found))
"""
)


def test_a_read_only_database_stops_nobody(shared_root):
    """Reads, writes and totals are right if the database may not be written to."""
    done = _run(_WITH_A_READ_ONLY_INDEX, shared_root)
    assert done == {"write": [True] * 300, "read": ["new"] * 300, "totals": 301}


@pytest.mark.skipif(not _is_root, reason="only root can make files of another user")
def test_a_directory_of_another_user_is_read_and_never_written(shared_root, listing):
    """A directory of another user is read and never written to, whatever its modes allow."""
    _give(shared_root, 0)
    for path in (shared_root, *shared_root.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    before = listing(shared_root)
    done = _run(_AS_NOBODY.replace('"remove": tried(lambda: store.remove(at)),', ""), shared_root)
    assert done["read"] == "data"
    assert done["read and note"] == "cannot read: the entry belongs to another user"
    assert done["write"] == "cannot write: the directory belongs to another user"
    assert listing(shared_root) == before


@pytest.mark.skipif(not _is_root, reason="only root can make files of another user")
def test_an_entry_of_another_user_is_not_served_to_a_writer(shared_root):
    """An entry of another user in the cache is not returned to a reader that notes uses."""
    os.chown(shared_root / f"openai/gpt-4o/{_AT.name}.json", 0, 0)
    (shared_root / f"openai/gpt-4o/{_AT.name}.json").chmod(0o644)
    assert _run(_AS_NOBODY, shared_root)["read and note"] == "cannot read: the entry belongs to another user"


_ON_A_SMALL_DISK = """
import subprocess
subprocess.run(["mount", "-t", "tmpfs", "-o", sys.argv[2], "none", root], check=True)
store = store_at(root + "/cache", fsync=True)
places = [address("openai", "gpt-4o", f"{number:064x}") for number in range(64)]
def kept():
    return sum(store.read(at, note_use=True) == at.name.encode() * 1000 for at in places)
def temporary():
    return len(os.listdir(root + "/cache/.spark-cache/temporary"))
results = [tried(lambda: store.write(at, at.name.encode() * 1000)) for at in places]
written = sum(result is True for result in results)
found = {"results": sorted({str(result) for result in results}), "lost": written - kept()}
found["temporary"] = temporary()
store.remove(places[0])
found["after room was made"] = tried(lambda: store.write(places[0], b"small"))
import gc
# No file of the directory may be open for writing when it becomes read-only.
del store
gc.collect()
subprocess.run(["mount", "-o", "remount,ro", root], check=True)
store = store_at(root + "/cache")
found["read-only"] = [
    tried(lambda: store.write(places[0], b"x")),
    tried(lambda: store.read(places[0], note_use=True)),
    tried(lambda: store.remove(places[0])),
]
print(json.dumps(found))
"""


def _can_mount() -> bool:
    if not _is_root or shutil.which("unshare") is None:
        return False
    probe = "mount -t tmpfs -o size=1m none /mnt"
    return (
        subprocess.run(["unshare", "-m", "sh", "-c", probe], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not _can_mount(), reason="mounting a small disk takes root and mount namespaces")
@pytest.mark.parametrize("disk", ["size=1m", "nr_inodes=48"])
def test_full_and_read_only_disks_do_no_harm(tmp_path, disk):
    """On a full disk, stored entries stay complete, no temporary file is left, and freed space is used again."""
    program = textwrap.dedent(_TRY + _ON_A_SMALL_DISK)
    done = subprocess.run(
        ["unshare", "-m", sys.executable, "-c", program, str(tmp_path), disk],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert loads(done.stdout) == {
        "results": ["True", "cannot write: ENOSPC (No space left on device)"],
        "lost": 0,
        "temporary": 0,
        "after room was made": True,
        "read-only": [
            "cannot write: EROFS (Read-only file system)",
            "small",
            "cannot remove: EROFS (Read-only file system)",
        ],
    }


def test_a_miss_is_not_an_error(open_store):
    """A read of a missing entry returns the reason."""
    assert open_store().read(_AT, note_use=True) is MissReason.ABSENT
