"""The books between processes: those that write together, that fork, and that are killed in the middle."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from spark_cache.stores import Address, added_up, block_size, file
from spark_cache.stores.index import journal, maintenance

_BLOCK = 4096
_CAP = 100 * _BLOCK

_WRITER = """
import random, sys, time
from spark_cache.stores import Address, FileStore, file
from spark_cache.stores.index import maintenance

root, seed, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
maintenance._FOLDED_AT_ONCE = int(sys.argv[4])
file._FEW = 0
store = FileStore(root, clock=time.time, commit_entries=False, ends_at=lambda _: float("inf"), on_removed=lambda *_: None)
store.require(fsync=False, cap_bytes=100.0 * 4096, cleanup_interval=0.01)
chance = random.Random(seed)
print("ready", flush=True)
until = time.monotonic() + seconds
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


@pytest.fixture(autouse=True)
def _by_the_books(monkeypatch):
    """Have few entries counted like many."""
    monkeypatch.setattr(file, "_FEW", 0)


def _writer(root, seed: int, seconds: float, folded: int = 128) -> subprocess.Popen:
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(_WRITER),
        str(root),
        str(seed),
        str(seconds),
        str(folded),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def _occupied(store) -> int:
    return sum(block_size(stored.size_bytes) for stored in store.scan())


def test_processes_keep_one_cap_and_one_count(open_store, tmp_path, clock):
    """While three processes fill one directory, it exceeds its cap by one entry of each at the most, and is counted right."""
    root = tmp_path / "cache"
    clock.now = time.time()
    store = open_store(cap_bytes=float(_CAP))
    writers = [_writer(root, seed, 2.0, folded=16) for seed in range(3)]
    largest = 0
    while any(writer.poll() is None for writer in writers):
        largest = max(largest, _occupied(store))
        time.sleep(0.01)
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    for writer in writers:
        writer.stdout.close()
    assert _CAP / 2 < largest <= _CAP + 3 * block_size(9000)
    assert sorted(store.totals(write=False)) == sorted(added_up(store.scan()))


def test_books_survive_writers_that_are_killed(open_store, tmp_path, clock):
    """Writers are killed at any moment, also in the middle of a fold: the count is right, and the cap holds."""
    root = tmp_path / "cache"
    chance = random.Random(11)
    for seed in range(25):
        writer = _writer(root, seed, 60.0, folded=1 + seed % 5)
        time.sleep(chance.uniform(0.0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        clock.now = time.time()
        store = open_store(cap_bytes=float(_CAP))
        truth = sorted(added_up(store.scan()))
        assert sorted(store.totals(write=False)) == truth
        assert sorted(store.totals(write=True)) == truth
        assert _occupied(store) <= _CAP + block_size(9000)


def test_a_fold_that_was_done_is_not_done_again(open_store, monkeypatch):
    """A process that dies between the index and the journal leaves records that count once."""
    store = open_store()
    for number in range(50):
        store.write(Address("openai", "gpt-4o", f"{number:04x}"), b"x", expires_at=float("inf"))
    with monkeypatch.context() as patched:
        patched.setattr(store._index._transaction._journal, "begin", _die)
        patched.setattr(maintenance, "_FOLDED_AT_ONCE", 1)
        store.write(Address("openai", "gpt-4o", "0a0a"), b"x", expires_at=float("inf"))
    again = open_store()
    again.write(Address("openai", "gpt-4o", "0b0b"), b"x", expires_at=float("inf"))
    index_totals = again._index.index_totals(write=False)
    (model_totals,) = index_totals.folders.values()
    assert (model_totals.entries, model_totals.stale) == (52, 0)


def _die(*_args):
    raise BlockingIOError


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_parent_and_child_keep_the_same_books(open_store, monkeypatch):
    """A child that was forked while the books were open writes beside its parent, and both are counted."""
    monkeypatch.setattr(maintenance, "_FOLDED_AT_ONCE", 7)
    store = open_store()
    for number in range(50):
        store.write(Address("openai", "gpt-4o", f"{number:04x}"), b"x")
    child = os.fork()
    first = 1000 if child == 0 else 2000
    for number in range(first, first + 100):
        store.write(Address("openai", "gpt-4o", f"{number:04x}"), b"x")
    if child == 0:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    index_totals = store._index.index_totals(write=False)
    (model_totals,) = index_totals.folders.values()
    assert (model_totals.entries, model_totals.stale) == (250, 0)


_KILLED = """
import os, signal, sys, time
from spark_cache.stores import Address, FileStore
from spark_cache.stores.index import rows
from spark_cache.stores.index import maintenance

maintenance._FOLDED_AT_ONCE = 1
rows.Index.note_folded = lambda *_args: os.kill(os.getpid(), signal.SIGKILL)
store = FileStore(sys.argv[1], clock=time.time, commit_entries=False, ends_at=lambda _: float("inf"), on_removed=lambda *_: None)
store.require(fsync=False, cap_bytes=None, cleanup_interval=3600.0)
for number in range(1000, 1010):
    store.write(Address("openai", "gpt-4o", f"{number:04x}"), b"x")
"""


@pytest.mark.parametrize("write", [True, False], ids=["by a writer", "by a reader"])
def test_an_index_that_was_left_in_the_middle_is_asked_again(open_store, tmp_path, write):
    """Who is killed while the index is written leaves it to the next one, who notes changes as ever."""
    store = open_store()
    for number in range(300):
        store.write(Address("openai", "gpt-4o", f"{number:04x}"), b"x", expires_at=float("inf"))
    store.totals(write=True)
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "cache")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "cache" / ".spark-cache" / "index.sqlite3-journal").stat().st_size > 0
    again = open_store()
    assert sum(folder.entries for folder in again.totals(write=write)) > 300
    again.write(Address("openai", "gpt-4o", "ffff"), b"x")
    index_totals = again._index.index_totals(write=True)
    truth = sorted(added_up(again.scan()))
    (model_totals,) = index_totals.folders.values()
    assert (model_totals.entries, model_totals.stale) == (truth[0].entries, 0)


def test_a_change_that_the_folders_time_does_not_tell_is_known(open_store, tmp_path, monkeypatch):
    """Who changes something without the lock leaves word of it, for it may happen between two looks at the time."""
    monkeypatch.setattr(journal, "_PATIENCE", 0.005)
    store = open_store()
    store.write(Address("openai", "gpt-4o", "00"), b"x")
    folder = tmp_path / "cache" / "openai" / "gpt-4o"
    before = folder.stat()
    with open(tmp_path / "cache" / ".spark-cache" / "journal.lock", "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        open_store().write(Address("openai", "gpt-4o", "01"), b"xx")
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    reader = open_store()
    assert sorted(reader.totals(write=False)) == sorted(added_up(store.scan()))
    assert sorted(reader.totals(write=True)) == sorted(added_up(store.scan()))
    assert not (tmp_path / "cache" / ".spark-cache" / "unnoted").exists()
    reader.write(Address("openai", "gpt-4o", "02"), b"x")
    assert reader._index.index_totals(write=False).folders["openai", "gpt-4o"].stale == 0
    assert sorted(reader.totals(write=False)) == sorted(added_up(store.scan()))


def test_the_cap_is_not_exceeded_for_a_moment(open_store, monkeypatch):
    """Room is made before an entry is put in place, not after it."""
    store = open_store(cap_bytes=float(_CAP))
    largest = 0
    real = file.commit

    def place(*args, **keywords):
        nonlocal largest
        placed = real(*args, **keywords)
        largest = max(largest, _occupied(store))
        return placed

    monkeypatch.setattr(file, "commit", place)
    chance = random.Random(5)
    for number in range(400):
        data = b"x" * chance.randrange(9000)
        store.write(Address("openai", "gpt-4o", f"{number:04x}"), data, expires_at=float("inf"))
    assert _CAP * 0.95 < largest <= _CAP


_HOLDER = """
import fcntl, sys, time
with open(sys.argv[1], "rb") as journal:
    fcntl.flock(journal, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_stopped_holder_delays_writers_by_little(open_store, tmp_path, clock):
    """While a process that holds the books does not go on, others write on, and all is counted, then and in the end."""
    store = open_store()
    store.write(Address("openai", "gpt-4o", "00"), b"x")
    journal = tmp_path / "cache" / ".spark-cache" / "journal"
    with subprocess.Popen([sys.executable, "-c", _HOLDER, str(journal)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        started = time.monotonic()
        for number in range(3):
            assert store.write(Address("openai", "gpt-4o", f"{number + 1:02x}"), b"x") is True
        assert time.monotonic() - started < 5
        assert sum(folder.entries for folder in store.totals(write=True)) == 4
        holder.kill()
    assert sum(folder.entries for folder in store.totals(write=True)) == 4
