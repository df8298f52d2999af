"""The ledger counts events, loses at most one second of them, and never breaks a call."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from spark_cache.savings import SAVINGS_FILE, Savings, Totals, database

_NOW = 1_700_000_000.0


@pytest.fixture
def folder(tmp_path):
    """The hidden folder of an existing cache directory."""
    return tmp_path / ".spark-cache"


@pytest.fixture
def open_savings(folder):
    """Return a function that opens the ledger in the folder."""
    return lambda: Savings(str(folder), clock=lambda: _NOW)


def _hit(savings: Savings, tokens: int | None = None, **more) -> None:
    usage = None if tokens is None else {"total_tokens": tokens}
    request = {"provider": "openai", "model": "gpt-4o", "profile": "testing", "keep": True}
    savings.ledger.record("hit", **{**request, "usage": usage, **more})


def _miss(savings: Savings, reason: str, **more) -> None:
    savings.ledger.record(
        "miss",
        **{
            "provider": "openai",
            "model": "gpt-4o",
            "profile": None,
            "keep": True,
            "reason": reason,
            **more,
        },
    )


def _rows(folder) -> list[tuple]:
    query = "SELECT day, profile, provider, model, event, reason, count, tokens, seconds FROM counts ORDER BY event, day"
    with closing(sqlite3.connect(folder / SAVINGS_FILE)) as database:
        return database.execute(query).fetchall()


def test_events_are_added_up(open_savings):
    """The totals of a process match the recorded counts, reasons, tokens and seconds."""
    savings = open_savings()
    _hit(savings, tokens=10, seconds=0.5)
    _hit(savings, tokens=5, seconds=1.0, model="o1")
    _miss(savings, "absent")
    _miss(savings, "absent", provider="anthropic")
    _miss(savings, "expired")
    for event in ("store", "evict", "expire"):
        savings.ledger.record(event, provider="openai", model="gpt-4o", profile=None, keep=True)
    expected = Totals(
        hits=2,
        misses=3,
        stores=1,
        evictions=1,
        expirations=1,
        misses_by_reason={"absent": 2, "expired": 1},
        tokens_saved=15,
        seconds_saved=1.5,
    )
    assert savings.ledger.process() == expected
    assert savings.lifetime() == expected
    assert expected.hit_rate == 0.4


def test_the_hit_rate_is_zero_without_lookups():
    """Before the first lookup the hit rate is zero."""
    assert Totals().hit_rate == 0.0


def test_the_file_holds_one_line_per_combination(open_savings, folder):
    """Each combination of day, profile, provider, model, event and reason has one line, however often it occurs."""
    savings = open_savings()
    for _ in range(3):
        _hit(savings, tokens=10, seconds=0.5)
        _miss(savings, "absent")
        savings.flush()
    assert _rows(folder) == [
        ("2023-11-14", "testing", "openai", "gpt-4o", "hit", "", 3, 30, 1.5),
        ("2023-11-14", "", "openai", "gpt-4o", "miss", "absent", 3, 0, 0.0),
    ]


def test_days_are_counted_separately(folder):
    """Events of different days, in UTC, are different lines."""
    now = [1_700_006_399.0]
    savings = Savings(str(folder), clock=lambda: now[0])
    _hit(savings)
    now[0] += 1
    _hit(savings)
    savings.flush()
    assert [row[0] for row in _rows(folder)] == ["2023-11-14", "2023-11-15"]
    assert savings.lifetime().hits == 2


def test_counts_are_written_within_about_a_second(open_savings, folder):
    """Counts reach the file without a flush, and a burst is written as one batch."""
    savings = open_savings()
    before = time.monotonic()
    for _ in range(50):
        _hit(savings)
    assert not folder.exists()
    while not (folder / SAVINGS_FILE).exists() or not _written(folder):
        assert time.monotonic() < before + 10
        time.sleep(0.02)
    assert time.monotonic() - before > 0.5
    assert _rows(folder)[0][6] == 50


def _written(folder) -> bool:
    try:
        return bool(_rows(folder))
    except sqlite3.Error:
        return False


def test_threads_lose_nothing(open_savings):
    """Eight threads that count and flush at the same time reach the correct total."""
    savings = open_savings()

    def count(_):
        for number in range(200):
            _hit(savings, tokens=1)
            if number % 50 == 0:
                savings.flush()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert savings.ledger.process().hits == savings.lifetime().hits == savings.lifetime().tokens_saved == 1600


_COUNT = """
import sys, time
from spark_cache.savings import Savings
savings = Savings(sys.argv[1], clock=time.time)
for number in range(int(sys.argv[2])):
    savings.ledger.record("hit", provider="openai", model="gpt-4o", profile=None, keep=True)
    if number % 10 == 0:
        savings.flush()
"""


def test_processes_add_up(open_savings, folder, tmp_path):
    """Processes that count at the same time reach the sum of all counts, and exit writes the last ones."""
    programs = [
        subprocess.Popen([sys.executable, "-c", _COUNT, str(folder), "95"], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for program in programs:
        assert program.communicate(timeout=60)[1] == b""
    savings = open_savings()
    assert savings.lifetime().hits == 3 * 95
    assert savings.ledger.process().hits == 0


def test_a_killed_process_loses_at_most_a_second(open_savings, folder):
    """Counts older than one batch survive ``kill -9``."""
    program = """
        import sys, time
        from spark_cache.savings import Savings
        savings = Savings(sys.argv[1], clock=time.time)
        for number in range(10**9):
            savings.ledger.record("hit", provider="openai", model="gpt-4o", profile=None, keep=True)
            print(time.monotonic(), flush=True)
            time.sleep(0.01)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(folder)], stdout=subprocess.PIPE, text=True
    ) as counting:
        assert counting.stdout is not None
        times = [float(counting.stdout.readline()) for _ in range(180)]
        counting.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        times += [float(line) for line in counting.stdout.read().splitlines()]
    # A batch waits one second. A slow system may take another second to write it.
    safe = sum(1 for moment in times if moment < killed - 2.0)
    assert safe <= open_savings().lifetime().hits <= len(times)
    assert open_savings().lifetime().hits > 0


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_loses_only_past_counts(open_savings, folder, damage):
    """A database that cannot be read is replaced, and later counts are correct."""
    folder.mkdir()
    (folder / SAVINGS_FILE).write_bytes(damage)
    savings = open_savings()
    _hit(savings)
    assert savings.lifetime().hits == 1
    assert open_savings().lifetime().hits == 1


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE other (x)",
        "CREATE TABLE counts (day, event)",
        "CREATE TABLE counts (day, profile, provider, model, event, reason, count, tokens, seconds)",
    ],
)
@pytest.mark.parametrize("version", [0, 1])
def test_a_foreign_database_is_replaced(open_savings, folder, table, version):
    """A foreign database in the place of the savings database is replaced, and no count is lost."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / SAVINGS_FILE)) as database, database:
        database.execute(table)
        if "count, tokens" in table:
            row = (None, 1, b"\xff", 2.5, "hit", None, "many", None, "long")
            database.execute("INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        database.execute(f"PRAGMA user_version = {version}")
    savings = open_savings()
    _hit(savings, tokens=3)
    assert savings.ledger.process().hits == 1
    assert savings.lifetime().hits == 1
    assert open_savings().lifetime().tokens_saved == 3


def test_a_deleted_file_is_recreated(open_savings, folder):
    """Deleting the file loses only past totals."""
    savings = open_savings()
    _hit(savings)
    savings.flush()
    (folder / SAVINGS_FILE).unlink()
    _hit(savings)
    assert savings.lifetime().hits == 1
    assert savings.ledger.process().hits == 2


def test_a_deleted_directory_is_not_recreated(tmp_path):
    """The hidden folder is created, but never the cache directory. Counts wait until the directory exists."""
    root = tmp_path / "cache"
    savings = Savings(str(root / ".spark-cache"), clock=lambda: _NOW)
    _hit(savings)
    savings.flush()
    assert not root.exists()
    assert savings.lifetime().hits == 1
    root.mkdir()
    savings.flush()
    assert Savings(str(root / ".spark-cache"), clock=lambda: _NOW).lifetime().hits == 1


def test_an_unwritable_file_loses_nothing(open_savings, folder, monkeypatch):
    """If writing fails, counts wait in memory and are written once when writing works again."""
    savings = open_savings()
    with monkeypatch.context() as patched:
        patched.setattr(database.sqlite3, "connect", _refuse)
        _hit(savings)
        savings.flush()
        _hit(savings)
        savings.flush()
    assert savings.lifetime().hits == 2
    assert open_savings().lifetime().hits == 2


def _refuse(*_args, **_keywords):
    raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize("kind", ["symlink", "file", "fifo"])
def test_a_foreign_object_in_place_of_the_folder_is_left_alone(open_savings, folder, tmp_path, kind):
    """Nothing is written through a link, or over a file, at the path of the hidden folder."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    match kind:
        case "symlink":
            folder.symlink_to(elsewhere)
        case "file":
            folder.write_text("mine")
        case _:
            os.mkfifo(folder)
    savings = open_savings()
    _hit(savings)
    assert savings.lifetime().hits == 1
    assert list(elsewhere.iterdir()) == []
    if kind == "file":
        assert folder.read_text() == "mine"


@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "fifo", "folder"])
def test_a_foreign_object_in_place_of_the_file_is_left_alone(open_savings, folder, tmp_path, kind):
    """A link, a pipe, a folder or a file with a second name is neither read nor written. Counts stay in memory."""
    folder.mkdir()
    elsewhere = Savings(str(tmp_path / "other" / ".spark-cache"), clock=lambda: _NOW)
    (tmp_path / "other").mkdir()
    _hit(elsewhere)
    elsewhere.flush()
    other, path = tmp_path / "other" / ".spark-cache" / SAVINGS_FILE, folder / SAVINGS_FILE
    before = other.read_bytes()
    {
        "link": lambda: path.symlink_to(other),
        "dangling link": lambda: path.symlink_to(tmp_path / "missing"),
        "hard link": lambda: path.hardlink_to(other),
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[kind]()
    savings = open_savings()
    _hit(savings)
    _hit(savings)
    savings.flush()
    # What has a second name can be read, but is not written.
    assert savings.lifetime().hits == (3 if kind == "hard link" else 2)
    assert other.read_bytes() == before
    assert not (tmp_path / "missing").exists()


def test_only_the_owner_can_read_the_file(open_savings, folder):
    """The folder is 0700 and the file 0600."""
    before = os.umask(0)
    try:
        savings = open_savings()
        _hit(savings)
        savings.flush()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())]
    assert modes == [0o700, 0o600]


def test_counts_that_are_not_kept_write_nothing(open_savings, folder, tmp_path):
    """Counts with ``keep=False`` reach no file, and reading the counts of others changes no file."""
    savings = open_savings()
    _hit(savings)
    savings.flush()
    before = {path: path.stat() for path in (tmp_path, folder, *folder.iterdir())}
    reader = open_savings()
    _hit(reader, keep=False)
    assert reader.lifetime().hits == 1
    assert reader.ledger.process().hits == 1
    reader.flush()
    assert {path: _unchanged(path.stat()) for path in (tmp_path, folder, *folder.iterdir())} == {
        path: _unchanged(status) for path, status in before.items()
    }


def _unchanged(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode


def test_counts_that_are_not_kept_create_nothing(folder):
    """Without a file, the lifetime totals are those of this process, and no file is created."""
    reader = Savings(str(folder), clock=lambda: _NOW)
    _hit(reader, keep=False)
    assert reader.lifetime().hits == 1
    assert not folder.exists()


def test_without_a_folder_everything_stays_in_memory():
    """A store in memory has totals but no file."""
    savings = Savings(None, clock=lambda: _NOW)
    _hit(savings)
    savings.flush()
    assert savings.lifetime() == savings.ledger.process() == Totals(hits=1)


@pytest.mark.parametrize("name", ["what?", "100%", "a#b", "ü 漢", "with'quote", "%3f"])
def test_special_characters_in_the_path(tmp_path, name):
    """Characters that are special in a URI are ordinary characters of a path."""
    (tmp_path / name).mkdir()
    path = str(tmp_path / name / ".spark-cache")
    savings = Savings(path, clock=lambda: _NOW)
    _hit(savings)
    savings.flush()
    assert Savings(path, clock=lambda: _NOW).lifetime().hits == 1


def test_without_threads_no_count_is_lost(open_savings, monkeypatch):
    """If no thread can be started, counting continues and the next flush writes."""

    def refuse(_self):
        raise RuntimeError("can't start new thread")

    savings = open_savings()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        _hit(savings)
    assert savings.ledger.process().hits == 1
    savings.flush()
    assert open_savings().lifetime().hits == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_counts_separately(open_savings):
    """A child starts at zero, writes its own counts once, and does not repeat those of its parent."""
    savings = open_savings()
    _hit(savings)
    savings.ledger._lock.acquire()
    child = os.fork()
    if child == 0:
        # The thread that holds the lock does not exist in the child, so the lock is never released here.
        _in_child(savings)
    savings.ledger._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert savings.ledger.process().hits == 1
    assert savings.lifetime().hits == 1 + 2


def _in_child(savings: Savings) -> None:
    done = []

    def count():
        assert savings.ledger.process().hits == 0
        _hit(savings)
        _hit(savings)
        savings.flush()
        done.append(True)

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    thread.join(10)
    os._exit(0 if done else 1)


def test_unreferenced_savings_are_collected(open_savings):
    """The hooks for exit and fork keep nothing alive."""
    savings = open_savings()
    _hit(savings, keep=False)
    gone = weakref.ref(savings)
    del savings
    gc.collect()
    assert gone() is None


def test_names_with_a_lone_surrogate(open_savings):
    """A name from an argument that is not UTF-8 is counted in one stable form, in memory and in the file."""
    savings = open_savings()
    for number in range(2):
        _hit(savings, model="gpt-\udcff", provider="\udc80", profile="\udc81")
        assert [line[1:4] for line in savings.ledger.lines()] == [("\\udc81", "\\udc80", "gpt-\\udcff")]
        assert [line[1:4] for line in savings.lines()] == [("\\udc81", "\\udc80", "gpt-\\udcff")]
        assert open_savings().lifetime().hits == number + 1


def test_a_cache_below_a_path_that_is_not_utf8(tmp_path):
    """The bytes of a path may be no text."""
    root = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    os.mkdir(root)
    savings = Savings(f"{root}/.spark-cache", clock=lambda: _NOW)
    _hit(savings)
    savings.flush()
    assert Savings(f"{root}/.spark-cache", clock=lambda: _NOW).lifetime().hits == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO, errno.EACCES])
def test_no_errno_breaks_anything(open_savings, monkeypatch, code):
    """If the file cannot be created, counts and notes wait in memory."""

    def refuse(*_arguments, **_options):
        raise OSError(code, os.strerror(code))

    savings = open_savings()
    with monkeypatch.context() as patched:
        patched.setattr(database, "create_file", refuse)
        _hit(savings)
        savings.miss_log.removed("ab", "evict")
        savings.flush()
        assert (savings.lifetime().hits, savings.ledger.process().hits) == (1, 1)
    savings.flush()
    assert open_savings().lifetime().hits == 1
    assert open_savings().removals("ab")[0].why == "evict"
