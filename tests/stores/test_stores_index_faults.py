"""Faults of the machine while the index is used: answers, caps and totals stay right."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

import filelock._native._unix
import pytest

from spark_cache.errors import StoreError
from spark_cache.stores import HIDDEN, INDEX_FILE, LOCKS, Address, NewEntry, added_up, block_size, file, walk
from spark_cache.stores.index import database, index, removal, transaction, upkeep
from spark_cache.stores.lock_file import LockFile
from spark_cache.types import MissReason

_BLOCK = 4096
_CAP = 60 * _BLOCK
_CODES = (
    errno.EIO,
    errno.ENOSPC,
    errno.EACCES,
    errno.EMFILE,
    errno.EROFS,
    errno.ESTALE,
    errno.EINTR,
    errno.ENOENT,
)

_CALLS = [
    (filelock._native._unix, "fcntl", "flock"),
    (database, "os", "lstat"),
    (database, "os", "unlink"),
    (removal, "os", "unlink"),
    (transaction, "os", "utime"),
    (walk, "os", "lstat"),
    (walk, "os", "scandir"),
    (walk, "os", "rmdir"),
]
"""The functions that are made to fail, by the module that calls them."""

_LOCKED = "another process holds the lock of the index"


class _Failing:
    """A module of which one function does something else in some of its calls."""

    def __init__(self, module: Any, name: str, instead: Any, calls: range) -> None:
        self._module, self._name, self._instead, self._calls = module, name, instead, calls
        self._count = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._module, name)
        if name != self._name:
            return real

        def called(*args: Any, **keywords: Any) -> Any:
            self._count += 1
            if self._count - 1 in self._calls:
                return self._instead(real, *args, **keywords)
            return real(*args, **keywords)

        return called


def _refusal(code: int) -> Any:
    def refuse(_real: Any, *_args: Any, **_keywords: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return refuse


def _at(number: int) -> Address:
    return Address("openai", "gpt-4o", f"{number:04x}")


def _truth(store: Any) -> list[tuple]:
    return sorted(added_up(store.scan()))


def _figures(store: Any) -> list[tuple]:
    return sorted(store.totals(write=True).folders)


def _tried(verb: Any) -> Any:
    """Return the result of a verb, or the store error that it raises."""
    try:
        return verb()
    except StoreError as error:
        return error


def _exercise(store: Any, clock: Any, kept: dict[int, bytes], numbers: range) -> None:
    """Use every verb, check every answer, and keep what has been stored."""
    for number in numbers:
        clock.now += 1
        data = b"%d x" % (clock.now + (5 if number % 5 == 0 else 1e6)) + b"y" * number
        written = _tried(lambda data=data, number=number: store.write(_at(number % 40), data))
        if written is True:
            kept[number % 40] = data
        assert written is True or isinstance(written, StoreError)
        if number % 7 == 0:
            removed = _tried(lambda number=number: store.remove(_at(number % 40)))
            if removed is True:
                kept.pop(number % 40)
        if number % 20 == 0:
            _tried(store.expire)
            _tried(lambda: store.totals(write=True))
        found = _tried(lambda number=number: store.read(_at(number % 40), note_use=True))
        # The entry may have been evicted or have expired, but it is never another one.
        assert not isinstance(found, bytes) or found == kept[number % 40]


@pytest.fixture(autouse=True)
def _without_delays(monkeypatch):
    """Use the index for a few entries, and compare it with the folders before every change."""
    monkeypatch.setattr(file, "_FEW", 0)
    monkeypatch.setattr(upkeep, "_COMPARE_EVERY", 0.0)
    monkeypatch.setattr(upkeep, "_SHARE", 0)
    monkeypatch.setattr(index, "_PATIENCE", 0.02)


def _check(store: Any, clock: Any, kept: dict[int, bytes]) -> None:
    """Check that everything is right once the machine works again."""
    _exercise(store, clock, kept, range(40, 80))
    truth = _truth(store)
    assert _figures(store) == truth
    assert sum(folder.occupied_bytes for folder in truth) <= _CAP
    clock.now += 10
    store.expire()
    for stored in store.scan():
        data = store.read(stored.address, note_use=False)
        assert data == kept[int(stored.address.name, 16)]
        assert float(data.split()[0]) > clock.now
    assert _figures(store) == _truth(store)


def _cases() -> list[Any]:
    return [
        pytest.param(
            *call, code, id=f"{call[0].__name__.rpartition('.')[2]}-{call[2]}-{errno.errorcode[code]}"
        )
        for call in _CALLS
        for code in _CODES
        # A folder that does not exist has no entries.
        if call[2] != "scandir" or code != errno.ENOENT
    ]


@pytest.mark.parametrize(("module", "room", "name", "code"), _cases())
def test_a_call_that_fails_does_no_harm(open_store, clock, monkeypatch, module, room, name, code):
    """Answers and totals stay right whichever call of the machine fails, once or for a while."""
    # With every second code, the store works without the index for the rest of the test.
    monkeypatch.setattr(index, "_OUT_FOR", 60.0 * (_CODES.index(code) % 2))
    store = open_store(cap_bytes=float(_CAP), cleanup_interval=30.0)
    kept: dict[int, bytes] = {}
    _exercise(store, clock, kept, range(20))
    for calls in (range(1), range(3, 4), range(10, 14), range(10**9)):
        with monkeypatch.context() as patched:
            failing = _Failing(getattr(module, room), name, _refusal(code), calls)
            patched.setattr(module, room, failing)
            _exercise(store, clock, kept, range(20, 40))
    _check(store, clock, kept)


def _failing_connection(code: int, calls: range) -> type[sqlite3.Connection]:
    count = 0

    class Failing(sqlite3.Connection):
        """A connection of which some statements fail."""

        def execute(self, *args: Any) -> Any:
            """Run a statement, or fail."""
            nonlocal count
            count += 1
            if count - 1 in calls:
                error = sqlite3.OperationalError("the machine refuses")
                error.sqlite_errorcode = code
                raise error
            return super().execute(*args)

    return Failing


@pytest.mark.parametrize("out_for", [0.0, 60.0], ids=["used again", "not used again"])
@pytest.mark.parametrize(
    "calls", [range(1), range(9, 10), range(15, 16), range(200, 204), range(10**9)], ids=str
)
@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    ],
    ids=["IOERR", "FULL", "BUSY", "READONLY", "CANTOPEN", "CORRUPT", "NOTADB"],
)
def test_a_statement_that_fails_does_no_harm(open_store, clock, monkeypatch, code, calls, out_for):
    """Answers and totals stay right and the cap holds whichever statement of the database fails."""
    monkeypatch.setattr(index, "_OUT_FOR", out_for)
    store = open_store(cap_bytes=float(_CAP), cleanup_interval=30.0)
    kept: dict[int, bytes] = {}
    connect = sqlite3.connect
    with monkeypatch.context() as patched:
        factory = _failing_connection(code, calls)
        patched.setattr(
            database.sqlite3, "connect", lambda *args, **more: connect(*args, factory=factory, **more)
        )
        _exercise(store, clock, kept, range(40))
    _check(store, clock, kept)


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES], ids=errno.errorcode.get)
def test_a_write_that_fails_leaves_the_old_entry(open_store, monkeypatch, code):
    """When the status of a file cannot be found out, the write fails before the entry is replaced."""
    monkeypatch.setattr(index, "_OUT_FOR", 0.0)
    store = open_store()
    store.write(_at(1), b"old")
    for call in range(12):
        with monkeypatch.context() as patched:
            patched.setattr(walk, "os", _Failing(os, "lstat", _refusal(code), range(call, call + 1)))
            written = _tried(lambda: store.write(_at(1), b"new"))
        expected = b"new" if written is True else b"old"
        assert store.read(_at(1), note_use=False) == expected
        store.write(_at(1), b"old")


def test_a_database_that_another_program_locks_stops_nobody(open_store, clock, tmp_path):
    """While another program holds the database itself, the store works without its index."""
    store = open_store(cap_bytes=float(_CAP))
    kept: dict[int, bytes] = {}
    _exercise(store, clock, kept, range(20))
    with closing(sqlite3.connect(tmp_path / "cache" / HIDDEN / INDEX_FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        _exercise(store, clock, kept, range(20, 40))
        assert all(store.read(_at(number), note_use=False) for number in (38, 39))
        assert _figures(store) == _truth(store)
    _check(store, clock, kept)


def test_an_index_comes_back_after_its_break(open_store, clock, tmp_path, monkeypatch):
    """What was changed while the database was locked is counted once it is free."""
    monkeypatch.setattr(index, "_OUT_FOR", 0.0)
    store = open_store()
    store.write(_at(1), b"x")
    with closing(sqlite3.connect(tmp_path / "cache" / HIDDEN / INDEX_FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        store.write(_at(2), b"x")
        store.remove(_at(1))
    for number in (3, 4):
        store.write(_at(number), b"x")
    assert store.compare_index() == (1, 0)
    assert _figures(store) == _truth(store) == [("openai", "gpt-4o", 3, 3, 3 * _BLOCK)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every file")
def test_a_database_that_may_not_be_written_stops_nobody(open_store, clock, tmp_path):
    """With a database that is read-only, the store works without its index."""
    kept: dict[int, bytes] = {}
    _exercise(open_store(cap_bytes=float(_CAP)), clock, kept, range(20))
    (tmp_path / "cache" / HIDDEN / INDEX_FILE).chmod(0o400)
    store = open_store(cap_bytes=float(_CAP))
    _exercise(store, clock, kept, range(20, 40))
    _check(store, clock, kept)


def test_the_cap_holds_without_an_index(open_store, clock, monkeypatch):
    """Where the database cannot be opened, the store is kept within its cap by listing it."""
    monkeypatch.setattr(database.sqlite3, "connect", _refusal(errno.EIO))
    store = open_store(cap_bytes=20.0 * _BLOCK)
    for number in range(60):
        clock.now += 1
        assert store.write(_at(number), b"x") is True
        assert sum(block_size(stored.size_bytes) for stored in store.scan()) <= 21 * _BLOCK
    assert _at(59) in {stored.address for stored in store.scan()}


def test_no_file_is_left_open_by_faults(open_store, clock, monkeypatch):
    """Faults of the index close what they have opened."""
    store = open_store(cap_bytes=float(_CAP))
    kept: dict[int, bytes] = {}
    _exercise(store, clock, kept, range(20))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for module, room, name in _CALLS:
        with monkeypatch.context() as patched:
            patched.setattr(
                module, room, _Failing(getattr(module, room), name, _refusal(errno.EIO), range(2, 9))
            )
            patched.setattr(index, "_OUT_FOR", 0.0)
            _exercise(store, clock, kept, range(20, 30))
    _exercise(store, clock, kept, range(30, 40))
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after <= before


# -- the lock --------------------------------------------------------------------------------------------------------------------


_HOLDER = """
import sys
from spark_cache.stores.lock_file import LockFile
lock = LockFile(sys.argv[1])
lock.acquire(60)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def locked(tmp_path):
    """A store's lock that another process holds, after the store has written an entry."""
    path = tmp_path / "cache" / HIDDEN / LOCKS / "index"

    def hold() -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        holders.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    holders: list[subprocess.Popen] = []
    yield hold
    for process in holders:
        process.kill()
        process.communicate()


@pytest.fixture
def held_store(open_store, locked):
    """A store with one entry, whose lock another process holds."""
    store = open_store()
    store.write(_at(1), b"old")
    locked()
    return store


@pytest.mark.parametrize(
    "verb",
    [
        lambda store: store.write(_at(1), b"new"),
        lambda store: store.write(_at(2), b"new"),
        lambda store: store.write_many([NewEntry(_at(1), b"new"), NewEntry(_at(2), b"new")]),
        lambda store: store.remove(_at(1)),
        lambda store: store.clear(),
    ],
    ids=["replace", "write", "write many", "remove", "clear"],
)
def test_a_change_is_refused_while_the_lock_is_held(held_store, verb):
    """A change that cannot have the lock in time raises an error and changes nothing."""
    with pytest.raises(StoreError, match=_LOCKED):
        verb(held_store)
    assert [stored.address for stored in held_store.scan()] == [_at(1)]
    assert held_store.read(_at(1), note_use=False) == b"old"


def test_a_refused_write_leaves_no_temporary_file(held_store, files, tmp_path):
    """Nothing is left of a write that could not have the lock."""
    before = files(tmp_path)
    with pytest.raises(StoreError, match=_LOCKED):
        held_store.write(_at(2), b"new")
    assert files(tmp_path) == before


def test_reads_do_not_wait_for_the_lock(held_store, monkeypatch):
    """Reads and listings are right at once while another process holds the lock."""
    monkeypatch.setattr(LockFile, "acquire", _refusal(errno.EDEADLK))
    assert held_store.read(_at(1), note_use=True) == b"old"
    assert held_store.read(_at(2), note_use=True) is MissReason.ABSENT
    assert held_store.has(_at(1))
    assert held_store.find(_at(1).name) == [_at(1)]
    assert [stored.address for stored in held_store.scan()] == [_at(1)]


def test_totals_are_right_while_the_lock_is_held(held_store):
    """Totals are counted from the files if the index cannot be had."""
    assert _figures(held_store) == _truth(held_store) == [("openai", "gpt-4o", 1, 3, _BLOCK)]


def test_a_deadline_ends_the_wait_for_the_lock(held_store, monkeypatch):
    """A write gives up at its deadline although it would wait longer without one."""
    monkeypatch.setattr(index, "_PATIENCE", 60.0)
    started = time.monotonic()
    with pytest.raises(StoreError, match=_LOCKED):
        held_store.write(_at(2), b"new", deadline=started + 0.05)
    assert 0.05 <= time.monotonic() - started < 30


def test_only_one_write_waits_for_a_lock_that_is_never_free(held_store, monkeypatch):
    """After a write has waited in vain, the next ones try once."""
    with pytest.raises(StoreError, match=_LOCKED):
        held_store.write(_at(2), b"new")
    monkeypatch.setattr(index, "_PATIENCE", 60.0)
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(StoreError, match=_LOCKED):
            held_store.write(_at(2), b"new")
    assert time.monotonic() - started < 30


def test_a_stopped_holder_delays_writers_once(open_store, locked, monkeypatch):
    """While the holder of the lock is stopped, writes fail, and after its end they succeed and are counted."""
    store = open_store()
    store.write(_at(0), b"x")
    holder = locked()
    holder.send_signal(signal.SIGSTOP)
    with pytest.raises(StoreError, match=_LOCKED):
        store.write(_at(1), b"x")
    holder.kill()
    holder.wait()
    assert store.write(_at(1), b"x") is True
    assert _figures(store) == [("openai", "gpt-4o", 2, 2, 2 * _BLOCK)]


def test_without_locks_a_store_has_no_index(open_store, clock, monkeypatch):
    """On a file system without locks, entries are written, counted and kept within the cap by listing them."""
    monkeypatch.setattr(LockFile, "acquire", _refusal(errno.ENOLCK))
    store = open_store(cap_bytes=float(_CAP), cleanup_interval=30.0)
    kept: dict[int, bytes] = {}
    _exercise(store, clock, kept, range(40))
    _check(store, clock, kept)
