"""The index between processes that write together, that fork, and that are killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import threading
import time
import traceback
from contextlib import closing, contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

import pytest

from spark_cache.stores import HIDDEN, INDEX_FILE, Address, added_up, block_size, file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.stores import FileStore

_BLOCK = 4096
_CAP = 100 * _BLOCK

_WRITER = """
store = open_store(sys.argv[1], cap_bytes=100.0 * 4096, cleanup_interval=0.01)
chance = random.Random(int(sys.argv[2]))
print("ready", flush=True)
until = time.monotonic() + float(sys.argv[3])
while time.monotonic() < until:
    at = Address("openai", chance.choice(["gpt-4o", "o1"]), f"{chance.randrange(400):04x}")
    what = chance.random()
    if what < 0.85:
        life = chance.choice([0.005, 1e6])
        store.write(at, b"x" * chance.randrange(9000), expires_at=time.time() + life)
    elif what < 0.93:
        store.remove(at)
    elif what < 0.97:
        store.totals(write=True)
    else:
        store.expire()
"""

_THREADS = """
from threading import Thread

store = open_store(sys.argv[1], cap_bytes=float(sys.argv[2]))

def fill(seed):
    chance = random.Random(seed)
    until = time.monotonic() + float(sys.argv[3])
    while time.monotonic() < until:
        at = Address("openai", chance.choice(["gpt-4o", "o1"]), f"{chance.randrange(2000):04x}")
        store.write(at, bytes(chance.randrange(12_000)), expires_at=float("inf"))

threads = [Thread(target=fill, args=[f"{os.getpid()} {number}"]) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


@pytest.fixture(autouse=True)
def _use_the_index(monkeypatch):
    """Use the index even for a few entries."""
    monkeypatch.setattr(file, "_FEW", 0)


@pytest.fixture
def root(tmp_path):
    """The cache directory."""
    return tmp_path / "cache"


def _at(number: int) -> Address:
    return Address("openai", "gpt-4o", f"{number:04x}")


def _occupied(store) -> int:
    return sum(block_size(stored.size_bytes) for stored in store.scan())


def _files(root) -> dict[tuple[str, int], int]:
    """Return the size in blocks of each file of an entry, by its path and its inode."""
    found = {}
    for path in root.glob("*/*/*.json"):
        with suppress(FileNotFoundError):
            status = path.stat()
            found[str(path), status.st_ino] = block_size(status.st_size)
    return found


def _lasting(before: dict, after: dict) -> int:
    """Return the size of the files that were there between two listings: all of them existed at one moment."""
    return sum(size for name, size in before.items() if name in after)


def _check(store) -> None:
    """Check that the totals of a store are right, for readers and for writers, and its database is intact."""
    truth = sorted(added_up(store.scan()))
    assert sorted(store.totals(write=False).folders) == truth
    assert sorted(store.totals(write=True).folders) == truth
    with closing(sqlite3.connect(f"{store.root}/{HIDDEN}/{INDEX_FILE}")) as database:
        assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]


# -- writing together --------------------------------------------------------------------------------------------------------------


def test_threads_of_two_processes_never_exceed_the_cap(open_store, root, start):
    """The files of the entries never occupy more than the cap while sixteen threads write at full speed."""
    cap = 2**20
    writers = [start(_THREADS, root, cap, 2.5) for _ in range(2)]
    largest, before = 0, _files(root)
    while any(writer.poll() is None for writer in writers):
        after = _files(root)
        largest = max(largest, _lasting(before, after))
        before = after
    assert [writer.wait() for writer in writers] == [0, 0]
    assert cap * 0.5 < largest <= cap
    assert _occupied(open_store()) <= cap
    _check(open_store())


def test_processes_have_one_cap_and_one_count(open_store, root, start, clock):
    """Three processes that write, remove and clean up stay within their cap and are counted right."""
    clock.now = time.time()
    writers = [start(_WRITER, root, seed, 2.0) for seed in range(3)]
    largest, before = 0, _files(root)
    while any(writer.poll() is None for writer in writers):
        after = _files(root)
        largest = max(largest, _lasting(before, after))
        before = after
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert _CAP / 3 < largest <= _CAP
    assert _occupied(open_store()) <= _CAP
    _check(open_store(cap_bytes=float(_CAP)))


def test_the_cap_is_not_exceeded_for_a_moment(open_store, root, monkeypatch):
    """Room is made before an entry is put in place."""
    store = open_store(cap_bytes=float(_CAP))
    largest = 0
    replace = os.replace

    def place(source, target):
        nonlocal largest
        replace(source, target)
        largest = max(largest, sum(_files(root).values()))

    monkeypatch.setattr(os, "replace", place)
    chance = random.Random(5)
    for number in range(400):
        store.write(_at(number), bytes(chance.randrange(9000)), expires_at=float("inf"))
    assert _CAP * 0.95 < largest <= _CAP


# -- other programs ------------------------------------------------------------------------------------------------------------------


_OPENER = """
from contextlib import suppress
print("ready", flush=True)
while True:
    with suppress(FileNotFoundError), open(sys.argv[1], "rb") as opened:
        opened.read(100)
"""

_SELF_OPENER = """
from threading import Thread
store = open_store(sys.argv[1], cap_bytes=100.0 * 4096)
done = False

def open_and_close():
    while not done:
        with open(sys.argv[2], "rb") as opened:
            opened.read(100)

store.write(Address("openai", "gpt-4o", "00"), b"x")
Thread(target=open_and_close, daemon=True).start()
chance = random.Random(os.getpid())
until = time.monotonic() + float(sys.argv[3])
while time.monotonic() < until:
    at = Address("openai", chance.choice(["gpt-4o", "o1"]), f"{chance.randrange(400):04x}")
    store.write(at, bytes(chance.randrange(9000)), expires_at=float("inf"))
done = True
"""


def test_other_programs_may_read_the_database(open_store, root, tmp_path, start):
    """The database stays intact while another program opens and closes it and the cache is copied."""
    open_store().write(_at(0), b"x")
    database = root / HIDDEN / INDEX_FILE
    writers = [start(_SELF_OPENER, root, database, 2.0) for _ in range(2)]
    opener = start(_OPENER, database)
    copies = count()
    while any(writer.poll() is None for writer in writers):
        with suppress(shutil.Error):
            # Files that are evicted meanwhile are missing from the copy.
            shutil.copytree(root, tmp_path / f"copy {next(copies)}")
        shutil.rmtree(tmp_path / f"copy {next(copies) - 1}", ignore_errors=True)
    assert opener.poll() is None
    assert [writer.wait() for writer in writers] == [0, 0]
    _check(open_store(cap_bytes=float(_CAP)))
    assert _occupied(open_store()) <= _CAP


def test_a_copy_from_the_middle_of_writes_is_right(open_store, root, tmp_path, start):
    """A copy that was made while processes write has the totals of its own files."""
    open_store().write(_at(0), b"x")
    writers = [start(_WRITER, root, seed, 1.0) for seed in range(2)]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 2
    number = 0
    while any(writer.poll() is None for writer in writers):
        number += 1
        with suppress(shutil.Error):
            shutil.copytree(root, tmp_path / f"copy {number}")
    for chosen in {1, number // 2, number} & set(range(1, number + 1)):
        copy = open_store(tmp_path / f"copy {chosen}", cap_bytes=float(_CAP))
        assert copy.write(_at(1), b"x") is True
        _check(copy)


# -- writers that are killed ---------------------------------------------------------------------------------------------------------


def test_the_index_survives_writers_that_are_killed(open_store, root, start, clock):
    """The totals are right and the cap holds whenever a writer is killed."""
    open_store().write(_at(0), b"x")
    chance = random.Random(11)
    for seed in range(15):
        writer = start(_WRITER, root, seed, 60.0)
        assert writer.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        clock.now = time.time()
        store = open_store(cap_bytes=float(_CAP))
        assert _occupied(store) <= _CAP
        _check(store)


_KILLED = """
folder = sys.argv[1] + "/openai/gpt-4o"

def kill(*_arguments, **_keywords):
    # As on a kernel that takes the times of folders from a clock with coarse steps.
    os.utime(folder, ns=(seen_ns, seen_ns))
    os.kill(os.getpid(), signal.SIGKILL)

store = open_store(sys.argv[1], cap_bytes=10.0 * 4096)
store.write(Address("openai", "gpt-4o", "0a"), b"x")
seen_ns = os.stat(folder).st_mtime_ns
# patch
store.write(Address("openai", "gpt-4o", "0b"), b"x" * 9000)
"""


_BEFORE_THE_COMMIT = """
import sqlite3

class Killed(sqlite3.Connection):
    def execute(self, statement, *values):
        return kill() if statement == "COMMIT" else super().execute(statement, *values)

connect = sqlite3.connect
sqlite3.connect = lambda *values, **more: connect(*values, factory=Killed, **more)
store = open_store(sys.argv[1], cap_bytes=10.0 * 4096)
"""


@pytest.mark.parametrize(
    "patch",
    [
        "os.replace = kill",
        "real = os.replace\nos.replace = lambda *paths: (real(*paths), kill())",
        "real = os.unlink\nos.unlink = lambda path: (real(path), kill())",
        _BEFORE_THE_COMMIT,
    ],
    ids=["before the file", "after the file", "after an eviction", "before the commit"],
)
def test_a_write_that_was_cut_off_is_counted(open_store, root, start, clock, patch):
    """The totals and the cap are right after a kill at any step, even if the folder has the same time as before."""
    clock.now = time.time()
    store = open_store(cap_bytes=10.0 * _BLOCK)
    for number in range(10):
        store.write(_at(number), b"x")
    killed = start(_KILLED.replace("# patch", patch), root)
    assert killed.wait() == -signal.SIGKILL
    again = open_store(cap_bytes=10.0 * _BLOCK)
    _check(again)
    for number in range(5):
        clock.now += 1
        again.write(_at(0xFF00 + number), b"x")
        assert _occupied(again) <= 10 * _BLOCK
    _check(again)
    assert again.compare_index() == (1, 0)


# -- fork ----------------------------------------------------------------------------------------------------------------------------


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
ignores_threads = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def _in_child(verb: Callable[[], object]) -> int:
    """Fork, run a function in the child, and return the number of the child."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            verb()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


@contextmanager
def _writing(store: FileStore) -> Iterator[None]:
    """Write in another thread at full speed in a ``with`` block."""
    numbers, done = count(), threading.Event()

    def fill() -> None:
        while not done.is_set():
            store.write(_at(next(numbers) % 300), b"x" * 5000)

    writer = threading.Thread(target=fill)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


@ignores_threads
@needs_fork
def test_parent_and_child_have_the_same_index(open_store):
    """A forked child writes beside its parent, and the entries of both are counted."""
    store = open_store()
    for number in range(50):
        store.write(_at(number), b"x")

    def write_in_child() -> None:
        store.forget()
        for number in range(1000, 1100):
            store.write(_at(number), b"x")

    child = _in_child(write_in_child)
    for number in range(2000, 2100):
        store.write(_at(number), b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.compare_index() == (1, 0)
    assert [folder.entries for folder in store.totals(write=True).folders] == [250]


@ignores_threads
@needs_fork
def test_a_fork_in_the_middle_of_writes(open_store):
    """A child that is forked while another thread writes can write, and the entries of both are counted."""
    store = open_store(cap_bytes=float(_CAP))

    def write_in_child() -> None:
        store.forget()
        for number in range(1000, 1010):
            store.write(_at(number), b"x")

    with _writing(store):
        for _ in range(5):
            child = _in_child(write_in_child)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert _occupied(store) <= _CAP
    _check(store)


_FORKS = """
import warnings
from threading import Thread

warnings.simplefilter("ignore", DeprecationWarning)
store = open_store(sys.argv[1])
store.write(Address("openai", "gpt-4o", "00"), b"x")
done = False

def fill():
    number = 0
    while not done:
        number += 1
        store.write(Address("openai", "gpt-4o", f"{number % 300:04x}"), b"x" * 5000)

writer = Thread(target=fill)
writer.start()
for _ in range(5):
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os._exit(0)
    print(time.monotonic() - started, flush=True)
    os.waitpid(child, 0)
done = True
writer.join()
"""


@needs_fork
def test_a_fork_waits_for_one_transaction(root, start):
    """A fork while another thread writes takes no longer than a transaction of the index."""
    forks = start(_FORKS, root)
    output, _ = forks.communicate()
    assert len(output.split()) == 5
    assert max(map(float, output.split())) < 0.9
