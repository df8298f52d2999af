"""How the ledger counts usage, and which counts of a file it believes."""

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

from spark_cache.savings import SAVINGS_FILE, UNKNOWN_SIZE, Line, Savings, Sums

_NOW = 1_700_000_000.0
_USAGE = {
    "input_tokens": 1500,
    "output_tokens": 200,
    "total_tokens": 1700,
    "cached_tokens": 1000,
    "reasoning_tokens": 150,
    "cache_write_tokens": 300,
}


@pytest.fixture
def folder(tmp_path):
    """The hidden folder of an existing cache directory."""
    return tmp_path / ".spark-cache"


@pytest.fixture
def open_savings(folder):
    """Return a function that opens the ledger in the folder."""
    return lambda: Savings(str(folder), clock=lambda: _NOW)


def _hit(savings: Savings, usage=None, **more) -> None:
    request = {"provider": "openai", "model": "gpt-4o", "profile": "testing", "keep": True}
    savings.ledger.record("hit", **{**request, "usage": usage, **more})


def _line(size: int, day: str = "2023-11-14", event: str = "hit", reason: str = "") -> Line:
    return Line(day, "testing", "openai", "gpt-4o", event, reason, size)


def test_tokens_are_kept_by_kind(open_savings):
    """Input, output, reasoning, cached and cache-write tokens have separate sums, in the file and in memory."""
    savings = open_savings()
    _hit(savings, _USAGE, seconds=0.5)
    _hit(savings, _USAGE, seconds=1.0)
    expected = {_line(16): Sums(2, 3400, 3000, 400, 2000, 300, 600, 1.5)}
    assert savings.lines() == expected
    assert open_savings().lines() == expected


@pytest.mark.parametrize(
    ("tokens", "size"), [(0, 16), (1, 16), (16_000, 16), (16_001, 17), (200_000, 200), (200_001, 201)]
)
def test_calls_of_different_lengths_are_different_lines(open_savings, tokens, size):
    """Long calls are separated by their input in thousands of tokens, because their prices differ."""
    savings = open_savings()
    _hit(savings, {"input_tokens": tokens, "output_tokens": 1})
    assert list(savings.lines()) == [_line(size)]


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
def test_incomplete_usage_counts_only_the_total(open_savings, usage, tokens):
    """A call whose input and output are unknown or impossible is counted with its total only."""
    savings = open_savings()
    _hit(savings, usage)
    assert savings.lines() == {_line(UNKNOWN_SIZE): Sums(1, tokens)}


def test_a_missing_total_is_input_plus_output(open_savings):
    """If a usage has no total, the total is the sum of input and output."""
    savings = open_savings()
    _hit(savings, {"input_tokens": 15, "output_tokens": 8})
    assert savings.lines() == {_line(16): Sums(1, 23, 15, 8)}


def test_usage_is_copied(open_savings):
    """Changing the usage of a response after the event does not change the count."""
    savings = open_savings()
    usage = dict(_USAGE)
    _hit(savings, usage)
    usage.clear()
    assert savings.lines() == {_line(16): Sums(1, 1700, 1500, 200, 1000, 150, 300)}


def test_readers_see_each_count_once(open_savings):
    """A reader sees each count once while other threads count and write."""
    savings = open_savings()
    _hit(savings)

    def count(_):
        for number in range(300):
            _hit(savings)
            if number % 100 == 0:
                savings.flush()

    with ThreadPoolExecutor(4) as pool:
        counting = pool.map(count, range(3))
        seen = [savings.ledger.process().hits for _ in range(20)] + [
            savings.lifetime().hits for _ in range(20)
        ]
        list(counting)
    assert seen[:20] == sorted(seen[:20])
    assert seen[20:] == sorted(seen[20:])
    assert savings.ledger.process().hits == savings.lifetime().hits == 901


# -- the file ----------------------------------------------------------------------------------------------------


def test_a_later_file_is_left_alone(open_savings, folder):
    """A file of a later release is neither read nor changed, and the counts of this process stay in memory."""
    folder.mkdir()
    path = folder / SAVINGS_FILE
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE counts (day TEXT, something_new TEXT)")
        database.execute("PRAGMA user_version = 1000")
    before = path.read_bytes()
    savings = open_savings()
    _hit(savings)
    savings.flush()
    assert savings.lifetime().hits == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    ["count = 0", "count = -1", "tokens = -5", "cached_tokens = -1", "seconds = -0.5", "seconds = 9e999"],
)
def test_impossible_values_are_ignored(open_savings, folder, damage):
    """A line of a damaged file with a count of zero or a negative sum is ignored. Other lines stay."""
    savings = open_savings()
    _hit(savings, _USAGE)
    _hit(savings, model="o3")
    savings.flush()
    with closing(sqlite3.connect(folder / SAVINGS_FILE)) as database, database:
        database.execute(f"UPDATE counts SET {damage} WHERE model = 'gpt-4o'")
    (line,) = open_savings().lines()
    assert line.model == "o3"


def test_a_killed_process_leaves_complete_counts(open_savings, folder):
    """After ``kill -9`` the file holds complete counts, each with all its tokens and seconds."""
    program = """
        import sys
        from spark_cache.savings import Savings
        savings = Savings(sys.argv[1], clock=lambda: 1_700_000_000.0)
        usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
        while True:
            savings.ledger.record("hit", provider="openai", model="gpt-4o", profile="testing", keep=True, seconds=0.5, usage=usage)
            savings.flush()
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
    (sums,) = open_savings().lines().values()
    assert printed <= sums.count <= printed + 1
    assert sums == Sums(sums.count, 5 * sums.count, 3 * sums.count, 2 * sums.count, seconds=0.5 * sums.count)


def test_counting_does_not_wait(open_savings):
    """Counting neither writes nor waits, even while another thread is writing."""
    savings = open_savings()
    with savings._writing:
        started = time.perf_counter()
        for _ in range(1000):
            _hit(savings, _USAGE)
        assert time.perf_counter() - started < 1.0
    assert savings.lifetime().hits == 1000
