"""The ledger counts events, loses at most one second of them, and never breaks a call."""

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
    """The hidden folder of an existing cache directory."""
    return tmp_path / ".spark-cache"


@pytest.fixture
def open_ledger(folder):
    """Return a function that opens a ledger in the folder."""
    return lambda: Ledger(str(folder), clock=lambda: _NOW)


def _hit(ledger: Ledger, tokens: int | None = None, **more) -> None:
    usage = None if tokens is None else {"total_tokens": tokens}
    request = {"provider": "openai", "model": "gpt-4o", "profile": "testing", "keep": True}
    ledger.record("hit", **{**request, "usage": usage, **more})


def _miss(ledger: Ledger, reason: str, **more) -> None:
    ledger.record(
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


def test_events_are_added_up(open_ledger):
    """The totals of a process match the recorded counts, reasons, tokens and seconds."""
    ledger = open_ledger()
    _hit(ledger, tokens=10, seconds=0.5)
    _hit(ledger, tokens=5, seconds=1.0, model="o1")
    _miss(ledger, "absent")
    _miss(ledger, "absent", provider="anthropic")
    _miss(ledger, "expired")
    for event in ("store", "evict", "expire"):
        ledger.record(event, provider="openai", model="gpt-4o", profile=None, keep=True)
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
    assert ledger.process() == expected
    assert ledger.lifetime() == expected
    assert expected.hit_rate == 0.4


def test_the_hit_rate_is_zero_without_lookups():
    """Before the first lookup the hit rate is zero."""
    assert Totals().hit_rate == 0.0


def test_the_file_holds_one_line_per_combination(open_ledger, folder):
    """Each combination of day, profile, provider, model, event and reason has one line, however often it occurs."""
    ledger = open_ledger()
    for _ in range(3):
        _hit(ledger, tokens=10, seconds=0.5)
        _miss(ledger, "absent")
        ledger.flush()
    assert _rows(folder) == [
        ("2023-11-14", "testing", "openai", "gpt-4o", "hit", "", 3, 30, 1.5),
        ("2023-11-14", "", "openai", "gpt-4o", "miss", "absent", 3, 0, 0.0),
    ]


def test_days_are_counted_separately(folder):
    """Events of different days, in UTC, are different lines."""
    now = [1_700_006_399.0]
    ledger = Ledger(str(folder), clock=lambda: now[0])
    _hit(ledger)
    now[0] += 1
    _hit(ledger)
    ledger.flush()
    assert [row[0] for row in _rows(folder)] == ["2023-11-14", "2023-11-15"]
    assert ledger.lifetime().hits == 2


def test_counts_are_written_within_about_a_second(open_ledger, folder):
    """Counts reach the file without a flush, and a burst is written as one batch."""
    ledger = open_ledger()
    before = time.monotonic()
    for _ in range(50):
        _hit(ledger)
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
    """Eight threads that count and flush at the same time reach the correct total."""
    ledger = open_ledger()

    def count(_):
        for number in range(200):
            _hit(ledger, tokens=1)
            if number % 50 == 0:
                ledger.flush()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert ledger.process().hits == ledger.lifetime().hits == ledger.lifetime().tokens_saved == 1600


_COUNT = """
import sys, time
from spark_cache.savings import Ledger
ledger = Ledger(sys.argv[1], clock=time.time)
for number in range(int(sys.argv[2])):
    ledger.record("hit", provider="openai", model="gpt-4o", profile=None, keep=True)
    if number % 10 == 0:
        ledger.flush()
"""


def test_processes_add_up(open_ledger, folder, tmp_path):
    """Processes that count at the same time reach the sum of all counts, and exit writes the last ones."""
    programs = [
        subprocess.Popen([sys.executable, "-c", _COUNT, str(folder), "95"], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for program in programs:
        assert program.communicate(timeout=60)[1] == b""
    ledger = open_ledger()
    assert ledger.lifetime().hits == 3 * 95
    assert ledger.process().hits == 0


def test_a_killed_process_loses_at_most_a_second(open_ledger, folder):
    """Counts older than one batch survive ``kill -9``."""
    program = """
        import sys, time
        from spark_cache.savings import Ledger
        ledger = Ledger(sys.argv[1], clock=time.time)
        for number in range(10**9):
            ledger.record("hit", provider="openai", model="gpt-4o", profile=None, keep=True)
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
    assert safe <= open_ledger().lifetime().hits <= len(times)
    assert open_ledger().lifetime().hits > 0


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_loses_only_past_counts(open_ledger, folder, damage):
    """A ledger file that cannot be read is replaced, and later counts are correct."""
    folder.mkdir()
    (folder / "ledger.sqlite3").write_bytes(damage)
    ledger = open_ledger()
    _hit(ledger)
    assert ledger.lifetime().hits == 1
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
    """With a foreign database in its place, the ledger still has the counts of this process."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as database, database:
        database.execute(table)
        if "count" in table:
            row = (None, 1, b"\xff", 2.5, "hit", None, "many", None, "long")
            database.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    ledger = open_ledger()
    _hit(ledger, tokens=3)
    assert ledger.process().hits == 1
    assert ledger.lifetime().hits == 1
    assert ledger.lifetime().tokens_saved == 3


def test_a_deleted_file_is_recreated(open_ledger, folder):
    """Deleting the ledger file loses only past totals."""
    ledger = open_ledger()
    _hit(ledger)
    ledger.flush()
    (folder / "ledger.sqlite3").unlink()
    _hit(ledger)
    assert ledger.lifetime().hits == 1
    assert ledger.process().hits == 2


def test_a_deleted_directory_is_not_recreated(tmp_path):
    """The ledger creates its folder but never the cache directory. Its counts wait until the directory exists."""
    root = tmp_path / "cache"
    ledger = Ledger(str(root / ".spark-cache"), clock=lambda: _NOW)
    _hit(ledger)
    ledger.flush()
    assert not root.exists()
    assert ledger.lifetime().hits == 1
    root.mkdir()
    ledger.flush()
    assert Ledger(str(root / ".spark-cache"), clock=lambda: _NOW).lifetime().hits == 1


def test_an_unwritable_file_loses_nothing(open_ledger, folder, monkeypatch):
    """If writing fails, counts wait in memory and are written once when writing works again."""
    ledger = open_ledger()
    with monkeypatch.context() as patched:
        patched.setattr(ledger_file.sqlite3, "connect", _refuse)
        _hit(ledger)
        ledger.flush()
        _hit(ledger)
        ledger.flush()
    assert ledger.lifetime().hits == 2
    assert open_ledger().lifetime().hits == 2


def _refuse(*_args, **_keywords):
    raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize("kind", ["symlink", "file", "fifo"])
def test_a_foreign_object_in_place_of_the_folder_is_left_alone(open_ledger, folder, tmp_path, kind):
    """The ledger does not write through a link, or over a file, at the path of its folder."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    match kind:
        case "symlink":
            folder.symlink_to(elsewhere)
        case "file":
            folder.write_text("mine")
        case _:
            os.mkfifo(folder)
    ledger = open_ledger()
    _hit(ledger)
    assert ledger.lifetime().hits == 1
    assert list(elsewhere.iterdir()) == []
    if kind == "file":
        assert folder.read_text() == "mine"


def test_a_link_in_place_of_the_file_is_not_followed(open_ledger, folder, tmp_path):
    """The ledger does not write to the target of a link."""
    folder.mkdir()
    (folder / "ledger.sqlite3").symlink_to(tmp_path / "elsewhere")
    ledger = open_ledger()
    _hit(ledger)
    assert ledger.lifetime().hits == 1
    assert not (tmp_path / "elsewhere").exists()


def test_only_the_owner_can_read_the_file(open_ledger, folder):
    """The folder is 0700 and the file 0600."""
    before = os.umask(0)
    try:
        ledger = open_ledger()
        _hit(ledger)
        ledger.flush()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())]
    assert modes == [0o700, 0o600]


def test_a_read_only_ledger_writes_nothing(open_ledger, folder, tmp_path):
    """Counts with ``keep=False`` reach no file, and reading the counts of others changes no file."""
    ledger = open_ledger()
    _hit(ledger)
    ledger.flush()
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


def test_a_read_only_ledger_creates_nothing(folder):
    """Without a file, the lifetime totals are those of this process, and no file is created."""
    reader = Ledger(str(folder), clock=lambda: _NOW)
    _hit(reader, keep=False)
    assert reader.lifetime().hits == 1
    assert not folder.exists()


def test_a_ledger_without_a_folder_counts_in_memory():
    """A store in memory has totals but no file."""
    ledger = Ledger(None, clock=lambda: _NOW)
    _hit(ledger)
    ledger.flush()
    assert ledger.lifetime() == ledger.process() == Totals(hits=1)


@pytest.mark.parametrize("name", ["what?", "100%", "a#b", "ü 漢", "with'quote", "%3f"])
def test_special_characters_in_the_path(tmp_path, name):
    """Characters that are special in a URI are ordinary characters of a path."""
    (tmp_path / name).mkdir()
    path = str(tmp_path / name / ".spark-cache")
    ledger = Ledger(path, clock=lambda: _NOW)
    _hit(ledger)
    ledger.flush()
    assert Ledger(path, clock=lambda: _NOW).lifetime().hits == 1


def test_without_threads_no_count_is_lost(open_ledger, monkeypatch):
    """If no thread can be started, counting continues and the next flush writes."""

    def refuse(_self):
        raise RuntimeError("can't start new thread")

    ledger = open_ledger()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        _hit(ledger)
    assert ledger.process().hits == 1
    ledger.flush()
    assert open_ledger().lifetime().hits == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_counts_separately(open_ledger):
    """A child starts at zero, writes its own counts once, and does not repeat those of its parent."""
    ledger = open_ledger()
    _hit(ledger)
    ledger._lock.acquire()
    child = os.fork()
    if child == 0:
        # The thread that holds the lock does not exist in the child, so the lock is never released here.
        _in_child(ledger)
    ledger._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ledger.process().hits == 1
    assert ledger.lifetime().hits == 1 + 2


def _in_child(ledger: Ledger) -> None:
    done = []

    def count():
        assert ledger.process().hits == 0
        _hit(ledger)
        _hit(ledger)
        ledger.flush()
        done.append(True)

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    thread.join(10)
    os._exit(0 if done else 1)


def test_an_unreferenced_ledger_is_collected(open_ledger):
    """The hooks for exit and fork do not keep a ledger alive."""
    ledger = open_ledger()
    _hit(ledger, keep=False)
    gone = weakref.ref(ledger)
    del ledger
    gc.collect()
    assert gone() is None
