"""The notes of misses and removals."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from multiprocessing import get_context

import pytest

from spark_cache.savings import SAVINGS_FILE, Savings

_NOW = 1_700_000_000.0


class Clock:
    """A clock that a test sets."""

    now = _NOW

    def __call__(self) -> float:
        """Return the time in seconds since the epoch."""
        return self.now


@pytest.fixture
def clock():
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def folder(tmp_path):
    """The hidden folder of an existing cache directory."""
    return tmp_path / ".spark-cache"


@pytest.fixture
def open_savings(folder, clock):
    """Return a function that opens the miss log in the folder, as another process does."""
    return lambda: Savings(str(folder), clock=clock)


@pytest.fixture
def savings(open_savings):
    """The miss log in the folder."""
    return open_savings()


def miss(savings, name, **facts):
    savings.miss_log.missed(name, **{"provider": "openai", "model": "gpt-4o", "reason": "absent", **facts})


def names(savings, prefix=""):
    return [note.name for note in savings.misses(prefix)]


def rows(folder, table):
    with closing(sqlite3.connect(folder / SAVINGS_FILE)) as database:
        return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_misses_come_back_newest_first(savings, open_savings, clock):
    """Another process reads the notes with all their fields, newest first."""
    miss(savings, "a", digests={"messages": "1234"})
    clock.now += 1
    miss(savings, "b", reason="expired")
    savings.flush()

    newest, oldest = open_savings().misses()

    assert newest == (_NOW + 1, "b", "openai", "gpt-4o", "expired", {})
    assert oldest == (_NOW, "a", "openai", "gpt-4o", "absent", {"messages": "1234"})


def test_misses_by_the_start_of_a_name(savings):
    """A prefix finds written and pending notes."""
    for name in ("ab1", "ab2", "ac1"):
        miss(savings, name)
    savings.flush()
    miss(savings, "ab3")
    miss(savings, "ad1")

    assert names(savings, "ab") == ["ab3", "ab2", "ab1"]
    assert names(savings, "ac1") == ["ac1"]


def test_pending_notes_are_read_too(savings):
    """Notes that are not written yet are returned too."""
    miss(savings, "a")
    savings.miss_log.removed("b", "evict")

    assert names(savings) == ["a"]
    assert [note.why for note in savings.removals("b")] == ["evict"]
    assert savings.removals("a") == []


def test_removals_come_back_newest_first(savings, clock):
    """If an entry was removed twice, both removals are returned."""
    savings.miss_log.removed("a", "evict")
    savings.flush()
    clock.now += 1
    savings.miss_log.removed("a", "expire")

    assert [(note.at, note.why) for note in savings.removals("a")] == [(_NOW + 1, "expire"), (_NOW, "evict")]


@pytest.mark.parametrize("is_written", [True, False])
def test_removals_of_many_entries(savings, is_written):
    """A clear concerns the entries of its folders only, and an unknown folder only a clear of everything."""
    savings.miss_log.cleared("clear", None)
    savings.miss_log.cleared("cleanup", "openai")
    savings.miss_log.cleared("clear", "openai", "gpt-4o")
    if is_written:
        savings.flush()

    def found(*folders):
        return [
            (note.why, note.provider_folder, note.model_folder) for note in savings.removals("a", *folders)
        ]

    everything, provider, model = ("clear", "", ""), ("cleanup", "openai", ""), ("clear", "openai", "gpt-4o")
    assert found("openai", "gpt-4o") == [model, provider, everything]
    assert found("openai", "o3") == [provider, everything]
    assert found("gemini", "gpt-4o") == [everything]
    assert found() == [everything]


def test_counts_and_notes_are_written_together(savings, folder):
    """One background writer brings both into the database within a second."""
    miss(savings, "a")
    savings.miss_log.removed("a", "evict")
    savings.ledger.record("miss", provider="openai", model="gpt-4o", profile=None, keep=True)
    ends = time.monotonic() + 10
    while not _has_rows(folder):
        assert time.monotonic() < ends
        time.sleep(0.02)

    assert [rows(folder, table) for table in ("counts", "misses", "removals")] == [1, 1, 1]


def _has_rows(folder):
    try:
        return bool(rows(folder, "counts"))
    except sqlite3.Error:
        return False


def test_the_file_is_bounded(savings, folder):
    """The database keeps the newest notes, and does not grow with the number of notes."""
    digests = {f"body.{part}": "0123456789abcdef" for part in ("messages", "model", "tools", "seed", "stop")}
    sizes = []
    for number in range(30_000):
        miss(savings, f"{number:064}", digests=digests)
        savings.miss_log.removed(f"{number:064}", "evict")
        if number % 1000 == 999:
            savings.flush()
            sizes.append((folder / SAVINGS_FILE).stat().st_size)

    assert (rows(folder, "misses"), rows(folder, "removals")) == (5000, 5000)
    assert sizes[-1] == max(sizes) < 4 * 2**20
    assert sizes[-1] < 1.1 * sizes[9]
    assert names(savings)[0] == f"{29_999:064}"
    assert names(savings)[-1] == f"{25_000:064}"


def test_evictions_do_not_displace_misses(savings):
    """Misses and removals have a bound each."""
    miss(savings, "a")
    for number in range(12_000):
        savings.miss_log.removed(f"{number:064}", "evict")
        if number % 1000 == 0:
            savings.flush()

    assert names(savings) == ["a"]


def test_pending_notes_are_bounded(tmp_path, clock):
    """Memory use is bounded if nothing can be written, and the newest notes are kept."""
    savings = Savings(str(tmp_path / "missing" / ".spark-cache"), clock=clock)
    for number in range(12_000):
        miss(savings, str(number))
        if number % 4000 == 0:
            savings.flush()
    savings.flush()

    assert names(savings) == [str(number) for number in range(11_999, 6_999, -1)]


def test_pending_notes_are_written_once_the_directory_exists(tmp_path, clock):
    """A miss that precedes the first stored entry is written with the next batch."""
    savings = Savings(str(tmp_path / "cache" / ".spark-cache"), clock=clock)
    miss(savings, "a")
    savings.flush()
    miss(savings, "b")
    (tmp_path / "cache").mkdir()
    savings.flush()

    assert names(Savings(str(tmp_path / "cache" / ".spark-cache"), clock=clock)) == ["b", "a"]


@pytest.mark.parametrize(
    "damage",
    [
        "at = 9e999",
        "at = -1",
        "name = x'ff'",
        "provider = 5, model = 1.5",
        "reason = x'ff00'",
        "digests = '['",
        "digests = '[]'",
        "digests = 'null'",
        """digests = '{"messages": 1}'""",
        f"digests = '{'[' * 100_000}'",
        "digests = x'fffe00'",
    ],
)
def test_damaged_values_break_nothing(savings, open_savings, folder, damage):
    """A damaged note is left out, or only its digests are. The other notes are read."""
    miss(savings, "a", digests={"messages": "1234"})
    miss(savings, "b", digests={"messages": "1234"})
    savings.flush()
    with closing(sqlite3.connect(folder / SAVINGS_FILE)) as database, database:
        database.execute(f"UPDATE misses SET {damage} WHERE name = 'a'")

    found = {note.name: note.digests for note in open_savings().misses()}

    assert found.pop("b") == {"messages": "1234"}
    assert all(isinstance(name, str) for name in found)
    if damage.startswith("digests = '"):
        assert found == {"a": {}}


def test_a_name_with_a_lone_surrogate(savings, open_savings):
    """A name from an argument that is not UTF-8 is noted in a stable form."""
    miss(savings, "a", provider="\udc80", model="gpt-\udcff", digests={"\udc81": "12"})
    pending = savings.misses()
    savings.flush()

    assert open_savings().misses() == pending
    assert (pending[0].provider, pending[0].model) == ("\\udc80", "gpt-\\udcff")


def test_without_a_folder_everything_stays_in_memory(clock):
    """The miss log of a memory store lasts as long as the program runs."""
    savings = Savings(None, clock=clock)
    miss(savings, "a")
    savings.flush()

    assert names(savings) == ["a"]


def _note_many(folder, worker):
    savings = Savings(folder, clock=Clock())
    for number in range(500):
        miss(savings, f"{worker}{number:03}")
        if number % 7 == 0:
            savings.flush()
    savings.flush()


def test_processes_share_the_file(open_savings, folder):
    """Two processes that write at the same time lose no note."""
    context = get_context("spawn")
    workers = [context.Process(target=_note_many, args=(str(folder), worker)) for worker in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert len(set(names(open_savings()))) == 1000


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_starts_empty(savings, open_savings):
    """Only the parent writes its notes, once."""
    miss(savings, "a")
    child = os.fork()
    if child == 0:
        savings.flush()
        os._exit(0)
    os.waitpid(child, 0)
    savings.flush()

    assert names(open_savings()) == ["a"]


def test_pending_notes_are_written_at_exit(open_savings, folder):
    """A program that exits within a second of a miss loses no note."""
    code = (
        "import sys, time; from spark_cache.savings import Savings\n"
        "savings = Savings(sys.argv[1], clock=time.time)\n"
        "savings.miss_log.missed('a', provider='p', model='m', reason='absent')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)

    assert names(open_savings()) == ["a"]
