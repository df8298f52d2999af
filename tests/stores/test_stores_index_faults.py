"""A machine that refuses while the books are kept: answers, caps and figures are right all the same."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from typing import Any

import filelock._native._unix
import pytest

from spark_cache.errors import StoreError
from spark_cache.stores import HIDDEN, Address, added_up, block_size, expiry, file, private, walk
from spark_cache.stores.index import database, journal, maintenance, removal, writer

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
    (private, "os", "open"),
    (private, "os", "fstat"),
    (private, "os", "fchmod"),
    (journal, "os", "fstat"),
    (journal, "os", "pread"),
    (journal, "os", "pwrite"),
    (journal, "os", "ftruncate"),
    (filelock._native._unix, "fcntl", "flock"),
    (database, "os", "fstat"),
    (database, "os", "unlink"),
    (removal, "os", "unlink"),
    (expiry, "os", "stat"),
    (expiry, "os", "utime"),
    (walk, "os", "lstat"),
    (walk, "os", "scandir"),
    (walk, "os", "rmdir"),
    (file, "os", "unlink"),
]
"""What is made to fail: the functions of the machine, by the module that calls them."""


class _Failing:
    """A module one of whose functions does something else, for some of its calls."""

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


def _tried(verb: Any) -> Any:
    """What a verb gives; its error, which may be a store's and no other."""
    try:
        return verb()
    except StoreError as error:
        return error


def _exercise(store: Any, clock: Any, kept: dict[int, bytes], numbers: range) -> None:
    """Write, replace, remove, use, count and clean up; keep what has to be there, and check every answer."""
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
        # It may have been evicted or have expired; never is it something else.
        assert not isinstance(found, bytes) or found == kept[number % 40]


@pytest.fixture(autouse=True)
def _short_breaks(monkeypatch):
    """Have few entries counted like many, folds come often, and the books tried again at once."""
    monkeypatch.setattr(file, "_FEW", 0)
    monkeypatch.setattr(maintenance, "_FOLDED_AT_ONCE", 5)
    monkeypatch.setattr(maintenance, "_LOOK_AROUND", 0.0)
    monkeypatch.setattr(journal, "_PATIENCE", 0.005)


def _check(store: Any, clock: Any, kept: dict[int, bytes]) -> None:
    """Once the machine works again, everything is as it should be."""
    _exercise(store, clock, kept, range(40, 80))
    truth = sorted(added_up(store.scan()))
    assert sorted(store.totals(write=True)) == truth
    assert sum(folder.occupied_bytes for folder in truth) <= _CAP
    clock.now += 10
    store.expire()
    for stored in store.scan():
        data = store.read(stored.address, note_use=False)
        assert data == kept[int(stored.address.name, 16)]
        assert float(data.split()[0]) > clock.now
    assert sorted(store.totals(write=True)) == sorted(added_up(store.scan()))


@pytest.mark.parametrize("code", _CODES, ids=errno.errorcode.get)
@pytest.mark.parametrize(("module", "room", "name"), _CALLS, ids=lambda part: getattr(part, "__name__", part))
def test_a_call_that_fails_harms_nothing(open_store, clock, monkeypatch, module, room, name, code):
    """Whichever call of the books or of a clean-up fails, once or for a while, answers and figures stay right."""
    # With every second kind of fault, the store has to do without books for the rest of the test.
    monkeypatch.setattr(writer, "_OUT_FOR", 60.0 * (_CODES.index(code) % 2))
    store = open_store(cap_bytes=float(_CAP), cleanup_interval=30.0)
    kept: dict[int, bytes] = {}
    _exercise(store, clock, kept, range(20))
    for calls in (range(1), range(3, 4), range(10, 14), range(10**9)):
        with monkeypatch.context() as patched:
            failing = _Failing(getattr(module, room), name, _refusal(code), calls)
            patched.setattr(module, room, failing)
            _exercise(store, clock, kept, range(20, 40))
    _check(store, clock, kept)


@pytest.mark.parametrize("calls", [range(1), range(4, 6), range(10**9)], ids=str)
@pytest.mark.parametrize("name", ["pread", "pwrite"])
def test_half_a_record_harms_nothing(open_store, clock, monkeypatch, name, calls):
    """Reads and writes of the journal that take only a part of the bytes leave right figures."""

    def half(real: Any, fd: int, what: Any, *place: int) -> Any:
        return real(fd, what // 2 if isinstance(what, int) else what[: len(what) // 2], *place)

    store = open_store(cap_bytes=float(_CAP), cleanup_interval=30.0)
    kept: dict[int, bytes] = {}
    _exercise(store, clock, kept, range(20))
    with monkeypatch.context() as patched:
        patched.setattr(journal, "os", _Failing(os, name, half, calls))
        _exercise(store, clock, kept, range(20, 40))
    _check(store, clock, kept)


def _failing_connection(code: int, calls: range) -> type[sqlite3.Connection]:
    count = 0

    class Failing(sqlite3.Connection):
        """A connection some of whose statements fail."""

        def _count(self) -> None:
            nonlocal count
            count += 1
            if count - 1 in calls:
                error = sqlite3.OperationalError("the machine refuses")
                error.sqlite_errorcode = code
                raise error

        def execute(self, *args: Any) -> Any:
            """Run a statement, or fail."""
            self._count()
            return super().execute(*args)

        def executemany(self, *args: Any) -> Any:
            """Run a statement many times, or fail."""
            self._count()
            return super().executemany(*args)

    return Failing


@pytest.mark.parametrize("out_for", [0.0, 60.0])
@pytest.mark.parametrize("calls", [range(1), range(9, 10), range(15, 16), range(10**9)], ids=str)
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
)
def test_an_index_that_fails_harms_nothing(open_store, clock, monkeypatch, code, calls, out_for):
    """Whichever statement of the index fails, answers and figures stay right, and the cap holds."""
    monkeypatch.setattr(writer, "_OUT_FOR", out_for)
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


def test_a_lock_that_somebody_keeps_stops_nobody(open_store, clock, tmp_path):
    """While another process holds the books and does not go on, entries are written, read, removed and counted."""
    store = open_store()
    kept: dict[int, bytes] = {}
    _exercise(store, clock, kept, range(10))
    with open(tmp_path / "cache" / HIDDEN / "journal.lock", "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        _exercise(store, clock, kept, range(10, 20))
        assert sorted(store.totals(write=True)) == sorted(added_up(store.scan()))
    _check(store, clock, kept)


def test_the_cap_holds_without_books(open_store, clock, monkeypatch):
    """Where no index can be had, a store is kept within its cap by looking through it."""
    monkeypatch.setattr(database.sqlite3, "connect", _refusal(errno.EIO))
    store = open_store(cap_bytes=20.0 * _BLOCK)
    for number in range(60):
        clock.now += 1
        assert store.write(_at(number), b"x") is True
        assert sum(block_size(stored.size_bytes) for stored in store.scan()) <= 21 * _BLOCK
    assert _at(59) in {stored.address for stored in store.scan()}


def test_no_file_is_left_open_by_faults(open_store, clock, monkeypatch):
    """Faults of the books close what they opened."""
    store = open_store(cap_bytes=float(_CAP))
    kept: dict[int, bytes] = {}
    _exercise(store, clock, kept, range(20))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for module, room, name in _CALLS:
        with monkeypatch.context() as patched:
            patched.setattr(
                module, room, _Failing(getattr(module, room), name, _refusal(errno.EIO), range(2, 9))
            )
            patched.setattr(writer, "_OUT_FOR", 0.0)
            _exercise(store, clock, kept, range(20, 30))
    _exercise(store, clock, kept, range(30, 40))
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after <= before
