"""How the ledger counts usage, and how it treats files of other releases."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from spark_cache.savings import UNKNOWN_SIZE, Ledger, Line, Sums

_NOW = 1_700_000_000.0
_USAGE = {
    "input_tokens": 1500,
    "output_tokens": 200,
    "total_tokens": 1700,
    "cached_tokens": 1000,
    "reasoning_tokens": 150,
    "cache_write_tokens": 300,
}
_FIRST_SCHEMA = """
CREATE TABLE ledger (
    day TEXT NOT NULL, profile TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    event TEXT NOT NULL, reason TEXT NOT NULL,
    count INTEGER NOT NULL, tokens INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (day, profile, provider, model, event, reason)
) WITHOUT ROWID
"""

_SECOND_SCHEMA = """
CREATE TABLE ledger (
    day TEXT NOT NULL, profile TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    event TEXT NOT NULL, reason TEXT NOT NULL, size INTEGER NOT NULL,
    count INTEGER NOT NULL, tokens INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (day, profile, provider, model, event, reason, size)
) WITHOUT ROWID
"""


@pytest.fixture
def folder(tmp_path):
    """The hidden folder of an existing cache directory."""
    return tmp_path / ".spark-cache"


@pytest.fixture
def open_ledger(folder):
    """Return a function that opens a ledger in the folder."""
    return lambda: Ledger(str(folder), clock=lambda: _NOW)


@pytest.fixture
def old_file(folder):
    """A ledger file as the first release wrote it."""
    folder.mkdir()
    path = folder / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(_FIRST_SCHEMA)
        rows = [
            ("2023-11-13", "testing", "openai", "gpt-4o", "hit", "", 2, 46, 1.5),
            ("2023-11-14", "testing", "openai", "gpt-4o", "miss", "absent", 3, 0, 0.0),
        ]
        database.executemany("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return path


def _hit(ledger: Ledger, usage=None, **more) -> None:
    request = {"provider": "openai", "model": "gpt-4o", "profile": "testing", "keep": True}
    ledger.record("hit", **{**request, "usage": usage, **more})


def _line(size: int, day: str = "2023-11-14", event: str = "hit", reason: str = "") -> Line:
    return Line(day, "testing", "openai", "gpt-4o", event, reason, size)


def test_tokens_are_kept_by_kind(open_ledger):
    """Input, output, reasoning, cached and cache-write tokens have separate sums, in the file and in memory."""
    ledger = open_ledger()
    _hit(ledger, _USAGE, seconds=0.5)
    _hit(ledger, _USAGE, seconds=1.0)
    expected = {_line(16): Sums(2, 3400, 3000, 400, 2000, 300, 600, 1.5)}
    assert ledger.lines() == expected
    assert open_ledger().lines() == expected


@pytest.mark.parametrize(
    ("tokens", "size"), [(0, 16), (1, 16), (16_000, 16), (16_001, 17), (200_000, 200), (200_001, 201)]
)
def test_calls_of_different_lengths_are_different_lines(open_ledger, tokens, size):
    """Long calls are separated by their input in thousands of tokens, because their prices differ."""
    ledger = open_ledger()
    _hit(ledger, {"input_tokens": tokens, "output_tokens": 1})
    assert list(ledger.lines()) == [_line(size)]


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (None, 0),
        ({}, 0),
        ({"total_tokens": 20}, 20),
        ({"input_tokens": 15, "total_tokens": 23}, 23),
        ({"input_tokens": 0, "output_tokens": 0, "total_tokens": 23}, 23),
        ({"input_tokens": 15, "output_tokens": 8, "total_tokens": 23, "cached_tokens": 16}, 23),
        ({"input_tokens": 9, "output_tokens": 8, "cached_tokens": 5, "cache_write_tokens": 5}, 0),
        ({"input_tokens": "15", "output_tokens": 8, "total_tokens": 23}, 23),
        ({"input_tokens": True, "output_tokens": 8, "total_tokens": -23}, 0),
        ({"input_tokens": 15, "output_tokens": 10**12, "total_tokens": [23]}, 0),
    ],
    ids=str,
)
def test_incomplete_usage_counts_only_the_total(open_ledger, usage, tokens):
    """A call whose input and output are unknown or impossible is counted with its total only."""
    ledger = open_ledger()
    _hit(ledger, usage)
    assert ledger.lines() == {_line(UNKNOWN_SIZE): Sums(1, tokens)}


def test_a_missing_total_is_input_plus_output(open_ledger):
    """If a usage has no total, the total is the sum of input and output."""
    ledger = open_ledger()
    _hit(ledger, {"input_tokens": 15, "output_tokens": 8})
    assert ledger.lines() == {_line(16): Sums(1, 23, 15, 8)}


def test_usage_is_copied(open_ledger):
    """Changing the usage of a response after the event does not change the count."""
    ledger = open_ledger()
    usage = dict(_USAGE)
    _hit(ledger, usage)
    usage.clear()
    assert ledger.lines() == {_line(16): Sums(1, 1700, 1500, 200, 1000, 150, 300)}


def test_readers_see_each_count_once(open_ledger):
    """A reader sees each count once while other threads count and write."""
    ledger = open_ledger()
    _hit(ledger)

    def count(_):
        for number in range(300):
            _hit(ledger)
            if number % 100 == 0:
                ledger.flush()

    with ThreadPoolExecutor(4) as pool:
        counting = pool.map(count, range(3))
        seen = [ledger.process().hits for _ in range(20)] + [ledger.lifetime().hits for _ in range(20)]
        list(counting)
    assert seen[:20] == sorted(seen[:20])
    assert seen[20:] == sorted(seen[20:])
    assert ledger.process().hits == ledger.lifetime().hits == 901


# -- files of other releases ----------------------------------------------------------------------------------------


def test_an_earlier_file_is_read_without_a_change(open_ledger, old_file):
    """Reading the file of an earlier release returns its lines and does not modify it."""
    before = old_file.read_bytes()
    assert open_ledger().lines() == {
        _line(UNKNOWN_SIZE, "2023-11-13"): Sums(2, 46, seconds=1.5),
        _line(UNKNOWN_SIZE, event="miss", reason="absent"): Sums(3),
    }
    assert old_file.read_bytes() == before


@pytest.mark.usefixtures("old_file")
def test_an_earlier_file_is_migrated(open_ledger):
    """The first write keeps the lines of an earlier release."""
    ledger = open_ledger()
    _hit(ledger, _USAGE)
    ledger.flush()
    assert open_ledger().lines() == {
        _line(UNKNOWN_SIZE, "2023-11-13"): Sums(2, 46, seconds=1.5),
        _line(UNKNOWN_SIZE, event="miss", reason="absent"): Sums(3),
        _line(16): Sums(1, 1700, 1500, 200, 1000, 150, 300),
    }


def test_a_file_of_the_second_schema(open_ledger, folder):
    """A file without cache-write tokens is read unchanged, and migrated by the next write."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as database, database:
        database.execute(_SECOND_SCHEMA)
        row = ("2023-11-13", "testing", "openai", "gpt-4o", "hit", "", 17, 2, 46, 40, 6, 30, 4, 1.5)
        database.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        database.execute("PRAGMA user_version = 2")
    before = {_line(17, "2023-11-13"): Sums(2, 46, 40, 6, 30, 4, seconds=1.5)}
    assert open_ledger().lines() == before
    ledger = open_ledger()
    _hit(ledger, _USAGE)
    ledger.flush()
    assert open_ledger().lines() == {**before, _line(16): Sums(1, 1700, 1500, 200, 1000, 150, 300)}


_COUNT_ONCE = """
import sys
from spark_cache.savings import Ledger
ledger = Ledger(sys.argv[1], clock=lambda: 1_700_000_000.0)
sys.stdin.readline()
ledger.record("hit", provider="openai", model="gpt-4o", profile="testing", keep=True)
"""


@pytest.mark.usefixtures("old_file")
def test_an_earlier_file_is_migrated_once(open_ledger, folder):
    """Processes that open it at the same time do not add its lines twice."""
    command = [sys.executable, "-c", _COUNT_ONCE, str(folder)]
    programs = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(4)]
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()
    for program in programs:
        program.communicate(timeout=60)
        assert program.returncode == 0
    assert (open_ledger().lifetime().hits, open_ledger().lifetime().misses) == (2 + 4, 3)


def test_a_later_file_is_left_alone(open_ledger, folder):
    """A file of a later release is neither read nor changed, and the counts of this process stay in memory."""
    folder.mkdir()
    path = folder / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE ledger (day TEXT, something_new TEXT)")
        database.execute("PRAGMA user_version = 1000")
    before = path.read_bytes()
    ledger = open_ledger()
    _hit(ledger)
    ledger.flush()
    assert ledger.lifetime().hits == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    ["count = 0", "count = -1", "tokens = -5", "cached_tokens = -1", "seconds = -0.5", "seconds = 9e999"],
)
def test_impossible_values_are_ignored(open_ledger, folder, damage):
    """A line of a damaged file with a count of zero or a negative sum is ignored. Other lines stay."""
    ledger = open_ledger()
    _hit(ledger, _USAGE)
    _hit(ledger, model="o3")
    ledger.flush()
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as database, database:
        database.execute(f"UPDATE ledger SET {damage} WHERE model = 'gpt-4o'")
    (line,) = open_ledger().lines()
    assert line.model == "o3"


def test_a_killed_process_leaves_complete_counts(open_ledger, folder):
    """After ``kill -9`` the file holds complete counts, each with all its tokens and seconds."""
    program = """
        import sys
        from spark_cache.savings import Ledger
        ledger = Ledger(sys.argv[1], clock=lambda: 1_700_000_000.0)
        usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
        while True:
            ledger.record("hit", provider="openai", model="gpt-4o", profile="testing", keep=True, seconds=0.5, usage=usage)
            ledger.flush()
            print("counted", flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(folder)], stdout=subprocess.PIPE
    ) as counting:
        assert counting.stdout is not None
        for _ in range(50):
            counting.stdout.readline()
        os.kill(counting.pid, signal.SIGKILL)
        printed = 50 + len(counting.stdout.read().splitlines())
    (sums,) = open_ledger().lines().values()
    assert printed <= sums.count <= printed + 1
    assert sums == Sums(sums.count, 5 * sums.count, 3 * sums.count, 2 * sums.count, seconds=0.5 * sums.count)


def test_counting_does_not_wait(open_ledger):
    """Counting neither writes nor waits, even while another thread is writing."""
    ledger = open_ledger()
    with ledger._writing:
        started = time.perf_counter()
        for _ in range(1000):
            _hit(ledger, _USAGE)
        assert time.perf_counter() - started < 1.0
    assert ledger.lifetime().hits == 1000
