"""The ledger adds up what happened, loses at most a second, and never stands in the way."""

from __future__ import annotations

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

from spark_cache.savings import Ledger, Totals, ledger_file

_NOW = 1_700_000_000.0


@pytest.fixture
def folder(tmp_path):
    """The hidden folder of a cache directory that is there."""
    return tmp_path / ".spark-cache"


@pytest.fixture
def open_ledger(folder):
    """Open a ledger in the folder."""
    return lambda: Ledger(str(folder), clock=lambda: _NOW)


def _hit(book: Ledger, tokens: int | None = None, **more) -> None:
    usage = None if tokens is None else {"total_tokens": tokens}
    asked = {"provider": "openai", "model": "gpt-4o", "profile": "testing", "keep": True}
    book.record("hit", **{**asked, "usage": usage, **more})


def _miss(book: Ledger, reason: str, **more) -> None:
    book.record(
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
    query = "SELECT day, profile, provider, model, event, reason, count, tokens, seconds FROM ledger ORDER BY event, day"
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as database:
        return database.execute(query).fetchall()


def test_what_happened_is_added_up(open_ledger):
    """Counts, reasons, tokens and seconds of a process come to what was recorded."""
    book = open_ledger()
    _hit(book, tokens=10, seconds=0.5)
    _hit(book, tokens=5, seconds=1.0, model="o1")
    _miss(book, "absent")
    _miss(book, "absent", provider="anthropic")
    _miss(book, "expired")
    for event in ("store", "evict", "expire"):
        book.record(event, provider="openai", model="gpt-4o", profile=None, keep=True)
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
    assert book.process() == expected
    assert book.lifetime() == expected
    assert expected.hit_rate == 0.4


def test_nothing_asked_is_no_rate():
    """Before the first question the hit rate is zero."""
    assert Totals().hit_rate == 0.0


def test_the_file_holds_a_line_for_what_is_counted_apart(open_ledger, folder):
    """A day, profile, provider, model, event and reason have one line, however often it happened."""
    book = open_ledger()
    for _ in range(3):
        _hit(book, tokens=10, seconds=0.5)
        _miss(book, "absent")
        book.flush()
    assert _rows(folder) == [
        ("2023-11-14", "testing", "openai", "gpt-4o", "hit", "", 3, 30, 1.5),
        ("2023-11-14", "", "openai", "gpt-4o", "miss", "absent", 3, 0, 0.0),
    ]


def test_days_are_counted_apart(folder):
    """What happened on another day, in UTC, is another line."""
    now = [1_700_006_399.0]
    book = Ledger(str(folder), clock=lambda: now[0])
    _hit(book)
    now[0] += 1
    _hit(book)
    book.flush()
    assert [row[0] for row in _rows(folder)] == ["2023-11-14", "2023-11-15"]
    assert book.lifetime().hits == 2


def test_counts_are_written_within_a_second_or_so(open_ledger, folder):
    """Nobody has to ask for what is counted to reach the file, and a burst is one batch."""
    book = open_ledger()
    before = time.monotonic()
    for _ in range(50):
        _hit(book)
    assert not folder.exists()
    while not (folder / "ledger.sqlite3").exists() or not _written(folder):
        assert time.monotonic() < before + 10
        time.sleep(0.02)
    assert time.monotonic() - before > 0.5
    assert _rows(folder)[0][6] == 50


def _written(folder) -> bool:
    try:
        return bool(_rows(folder))
    except sqlite3.Error:
        return False


def test_threads_lose_nothing(open_ledger):
    """Eight threads that count at once, and flush between, come to the right sum."""
    book = open_ledger()

    def count(_):
        for number in range(200):
            _hit(book, tokens=1)
            if number % 50 == 0:
                book.flush()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert book.process().hits == book.lifetime().hits == book.lifetime().tokens_saved == 1600


_COUNT = """
import sys, time
from spark_cache.savings import Ledger
book = Ledger(sys.argv[1], clock=time.time)
for number in range(int(sys.argv[2])):
    book.record("hit", provider="openai", model="gpt-4o", profile=None, keep=True)
    if number % 10 == 0:
        book.flush()
"""


def test_processes_add_up(open_ledger, folder, tmp_path):
    """Several processes that count at once come to the sum of all, and the last ones are written when a process ends."""
    programs = [
        subprocess.Popen([sys.executable, "-c", _COUNT, str(folder), "95"], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for program in programs:
        assert program.communicate(timeout=60)[1] == b""
    book = open_ledger()
    assert book.lifetime().hits == 3 * 95
    assert book.process().hits == 0


def test_a_killed_process_loses_a_second_at_most(open_ledger, folder):
    """What was counted more than a batch ago survives ``kill -9``."""
    program = """
        import sys, time
        from spark_cache.savings import Ledger
        book = Ledger(sys.argv[1], clock=time.time)
        for number in range(10**9):
            book.record("hit", provider="openai", model="gpt-4o", profile=None, keep=True)
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
    # A batch waits one second; another one is what a slow machine may take to write it.
    safe = sum(1 for moment in times if moment < killed - 2.0)
    assert safe <= open_ledger().lifetime().hits <= len(times)
    assert open_ledger().lifetime().hits > 0


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_costs_the_past_alone(open_ledger, folder, damage):
    """A ledger that cannot be read is begun anew, and what is counted from then on is right."""
    folder.mkdir()
    (folder / "ledger.sqlite3").write_bytes(damage)
    book = open_ledger()
    _hit(book)
    assert book.lifetime().hits == 1
    assert open_ledger().lifetime().hits == 1


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE other (x)",
        "CREATE TABLE ledger (day, event)",
        "CREATE TABLE ledger (day, profile, provider, model, event, reason, count, tokens, seconds)",
    ],
)
def test_a_foreign_file_never_raises(open_ledger, folder, table):
    """A database of another make is no reason to fail: the figures of this process are there all the same."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as database, database:
        database.execute(table)
        if "count" in table:
            row = (None, 1, b"\xff", 2.5, "hit", None, "many", None, "long")
            database.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    book = open_ledger()
    _hit(book, tokens=3)
    assert book.process().hits == 1
    assert book.lifetime().hits == 1
    assert book.lifetime().tokens_saved == 3


def test_a_deleted_file_is_made_anew(open_ledger, folder):
    """Whoever deletes the ledger loses the past figures, and nothing else."""
    book = open_ledger()
    _hit(book)
    book.flush()
    (folder / "ledger.sqlite3").unlink()
    _hit(book)
    assert book.lifetime().hits == 1
    assert book.process().hits == 2


def test_a_deleted_directory_is_not_made_again(tmp_path):
    """The ledger makes its own folder and never the cache directory: its figures wait until that is there."""
    root = tmp_path / "cache"
    book = Ledger(str(root / ".spark-cache"), clock=lambda: _NOW)
    _hit(book)
    book.flush()
    assert not root.exists()
    assert book.lifetime().hits == 1
    root.mkdir()
    book.flush()
    assert Ledger(str(root / ".spark-cache"), clock=lambda: _NOW).lifetime().hits == 1


def test_an_unwritable_file_loses_nothing_meanwhile(open_ledger, folder, monkeypatch):
    """On a fault the counts wait in memory, and are written once when the fault is over."""
    book = open_ledger()
    with monkeypatch.context() as patched:
        patched.setattr(ledger_file.sqlite3, "connect", _refuse)
        _hit(book)
        book.flush()
        _hit(book)
        book.flush()
    assert book.lifetime().hits == 2
    assert open_ledger().lifetime().hits == 2


def _refuse(*_args, **_keywords):
    raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize("kind", ["symlink", "file", "fifo"])
def test_what_stands_in_the_folders_place_is_left_alone(open_ledger, folder, tmp_path, kind):
    """Nothing is written through a link, or over a file, that stands where the cache keeps its own."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    match kind:
        case "symlink":
            folder.symlink_to(elsewhere)
        case "file":
            folder.write_text("mine")
        case _:
            os.mkfifo(folder)
    book = open_ledger()
    _hit(book)
    assert book.lifetime().hits == 1
    assert list(elsewhere.iterdir()) == []
    if kind == "file":
        assert folder.read_text() == "mine"


def test_a_link_in_the_files_place_is_not_followed(open_ledger, folder, tmp_path):
    """The ledger is not written to wherever a link leads."""
    folder.mkdir()
    (folder / "ledger.sqlite3").symlink_to(tmp_path / "elsewhere")
    book = open_ledger()
    _hit(book)
    assert book.lifetime().hits == 1
    assert not (tmp_path / "elsewhere").exists()


def test_the_file_is_the_owners_alone(open_ledger, folder):
    """The folder is 0700 and the file 0600."""
    before = os.umask(0)
    try:
        book = open_ledger()
        _hit(book)
        book.flush()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())]
    assert modes == [0o700, 0o600]


def test_a_reader_that_writes_nothing_writes_nothing(open_ledger, folder, tmp_path):
    """What is not to be kept reaches no file, and the figures of others are read without a trace."""
    book = open_ledger()
    _hit(book)
    book.flush()
    before = {path: path.stat() for path in (tmp_path, folder, *folder.iterdir())}
    reader = open_ledger()
    _hit(reader, keep=False)
    assert reader.lifetime().hits == 1
    assert reader.process().hits == 1
    reader.flush()
    assert {path: _unchanged(path.stat()) for path in (tmp_path, folder, *folder.iterdir())} == {
        path: _unchanged(status) for path, status in before.items()
    }


def _unchanged(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode


def test_a_reader_makes_nothing(folder):
    """Without a file, the lifetime is that of this process, and nothing is made to find out."""
    reader = Ledger(str(folder), clock=lambda: _NOW)
    _hit(reader, keep=False)
    assert reader.lifetime().hits == 1
    assert not folder.exists()


def test_a_ledger_without_a_folder_counts_in_memory():
    """A store in memory has figures, and no file."""
    book = Ledger(None, clock=lambda: _NOW)
    _hit(book)
    book.flush()
    assert book.lifetime() == book.process() == Totals(hits=1)


@pytest.mark.parametrize("name", ["what?", "100%", "a#b", "ü 漢", "with'quote", "%3f"])
def test_any_path_will_do(tmp_path, name):
    """Characters that mean something in a URI are part of a path like others."""
    (tmp_path / name).mkdir()
    path = str(tmp_path / name / ".spark-cache")
    book = Ledger(path, clock=lambda: _NOW)
    _hit(book)
    book.flush()
    assert Ledger(path, clock=lambda: _NOW).lifetime().hits == 1


def test_a_machine_without_threads_loses_no_call(open_ledger, monkeypatch):
    """Where no thread can be started, counting goes on and the next occasion writes."""

    def refuse(_self):
        raise RuntimeError("can't start new thread")

    book = open_ledger()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        _hit(book)
    assert book.process().hits == 1
    book.flush()
    assert open_ledger().lifetime().hits == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_counts_for_itself(open_ledger):
    """A child begins at zero, writes its own counts once, and does not repeat its parent's."""
    book = open_ledger()
    _hit(book)
    book._lock.acquire()
    child = os.fork()
    if child == 0:
        # As if the thread that holds the lock had stayed behind: nobody releases it here.
        _in_child(book)
    book._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert book.process().hits == 1
    assert book.lifetime().hits == 1 + 2


def _in_child(book: Ledger) -> None:
    done = []

    def count():
        assert book.process().hits == 0
        _hit(book)
        _hit(book)
        book.flush()
        done.append(True)

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    thread.join(10)
    os._exit(0 if done else 1)


def test_a_ledger_that_is_let_go_is_collected(open_ledger):
    """Neither the end of the program nor a fork keeps a ledger alive."""
    book = open_ledger()
    _hit(book, keep=False)
    gone = weakref.ref(book)
    del book
    gc.collect()
    assert gone() is None
