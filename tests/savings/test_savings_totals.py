"""What the ledger makes of a stored answer's usage, and what becomes of the files of other releases."""

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
    """The hidden folder of a cache directory that is there."""
    return tmp_path / ".spark-cache"


@pytest.fixture
def open_ledger(folder):
    """Open a ledger in the folder."""
    return lambda: Ledger(str(folder), clock=lambda: _NOW)


@pytest.fixture
def old_file(folder):
    """The file that the first release wrote."""
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


def _hit(book: Ledger, usage=None, **more) -> None:
    asked = {"provider": "openai", "model": "gpt-4o", "profile": "testing", "keep": True}
    book.record("hit", **{**asked, "usage": usage, **more})


def _line(size: int, day: str = "2023-11-14", event: str = "hit", reason: str = "") -> Line:
    return Line(day, "testing", "openai", "gpt-4o", event, reason, size)


def test_tokens_are_kept_by_kind(open_ledger):
    """Input, output, reasoning, and what the provider's cache read and kept are added up apart, in the file as in memory."""
    book = open_ledger()
    _hit(book, _USAGE, seconds=0.5)
    _hit(book, _USAGE, seconds=1.0)
    expected = {_line(16): Sums(2, 3400, 3000, 400, 2000, 300, 600, 1.5)}
    assert book.lines() == expected
    assert open_ledger().lines() == expected


@pytest.mark.parametrize(
    ("tokens", "size"), [(0, 16), (1, 16), (16_000, 16), (16_001, 17), (200_000, 200), (200_001, 201)]
)
def test_calls_of_another_length_are_another_line(open_ledger, tokens, size):
    """Long calls are told apart by their input in thousands of tokens, because prices are."""
    book = open_ledger()
    _hit(book, {"input_tokens": tokens, "output_tokens": 1})
    assert list(book.lines()) == [_line(size)]


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
def test_what_tells_no_price_has_no_kinds(open_ledger, usage, tokens):
    """A call whose input and output are not known, or cannot be, is counted with its total alone."""
    book = open_ledger()
    _hit(book, usage)
    assert book.lines() == {_line(UNKNOWN_SIZE): Sums(1, tokens)}


def test_total_is_input_and_output_where_it_is_missing(open_ledger):
    """The total of a usage without one is the sum of its two parts."""
    book = open_ledger()
    _hit(book, {"input_tokens": 15, "output_tokens": 8})
    assert book.lines() == {_line(16): Sums(1, 23, 15, 8)}


def test_usage_counts_as_it_was(open_ledger):
    """What a caller does to the usage of an answer afterwards changes no figure."""
    book = open_ledger()
    usage = dict(_USAGE)
    _hit(book, usage)
    usage.clear()
    assert book.lines() == {_line(16): Sums(1, 1700, 1500, 200, 1000, 150, 300)}


def test_readers_see_a_burst_whole(open_ledger):
    """Whoever asks for the lines while others count and write finds each count once."""
    book = open_ledger()
    _hit(book)

    def count(_):
        for number in range(300):
            _hit(book)
            if number % 100 == 0:
                book.flush()

    with ThreadPoolExecutor(4) as pool:
        counting = pool.map(count, range(3))
        seen = [book.process().hits for _ in range(20)] + [book.lifetime().hits for _ in range(20)]
        list(counting)
    assert seen[:20] == sorted(seen[:20])
    assert seen[20:] == sorted(seen[20:])
    assert book.process().hits == book.lifetime().hits == 901


# -- files of other releases ----------------------------------------------------------------------------------------


def test_an_earlier_file_is_read_as_it_is(open_ledger, old_file):
    """Who only looks at the file of an earlier release gets its figures, and leaves it as it was."""
    before = old_file.read_bytes()
    assert open_ledger().lines() == {
        _line(UNKNOWN_SIZE, "2023-11-13"): Sums(2, 46, seconds=1.5),
        _line(UNKNOWN_SIZE, event="miss", reason="absent"): Sums(3),
    }
    assert old_file.read_bytes() == before


@pytest.mark.usefixtures("old_file")
def test_an_earlier_file_is_carried_over(open_ledger):
    """The first count that is written takes the figures of an earlier release along."""
    book = open_ledger()
    _hit(book, _USAGE)
    book.flush()
    assert open_ledger().lines() == {
        _line(UNKNOWN_SIZE, "2023-11-13"): Sums(2, 46, seconds=1.5),
        _line(UNKNOWN_SIZE, event="miss", reason="absent"): Sums(3),
        _line(16): Sums(1, 1700, 1500, 200, 1000, 150, 300),
    }


def test_a_file_of_the_second_schema(open_ledger, folder):
    """A file that knew nothing of what the provider's cache kept is read as it is, and carried over with the next count."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as database, database:
        database.execute(_SECOND_SCHEMA)
        row = ("2023-11-13", "testing", "openai", "gpt-4o", "hit", "", 17, 2, 46, 40, 6, 30, 4, 1.5)
        database.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        database.execute("PRAGMA user_version = 2")
    before = {_line(17, "2023-11-13"): Sums(2, 46, 40, 6, 30, 4, seconds=1.5)}
    assert open_ledger().lines() == before
    book = open_ledger()
    _hit(book, _USAGE)
    book.flush()
    assert open_ledger().lines() == {**before, _line(16): Sums(1, 1700, 1500, 200, 1000, 150, 300)}


_COUNT_ONCE = """
import sys
from spark_cache.savings import Ledger
book = Ledger(sys.argv[1], clock=lambda: 1_700_000_000.0)
sys.stdin.readline()
book.record("hit", provider="openai", model="gpt-4o", profile="testing", keep=True)
"""


@pytest.mark.usefixtures("old_file")
def test_an_earlier_file_is_carried_over_once(open_ledger, folder):
    """Processes that find it at the same time do not add its figures twice."""
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
    """What a later release wrote is neither read nor changed; the counts of this process stay in memory."""
    folder.mkdir()
    path = folder / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE ledger (day TEXT, something_new TEXT)")
        database.execute("PRAGMA user_version = 1000")
    before = path.read_bytes()
    book = open_ledger()
    _hit(book)
    book.flush()
    assert book.lifetime().hits == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    ["count = 0", "count = -1", "tokens = -5", "cached_tokens = -1", "seconds = -0.5", "seconds = 9e999"],
)
def test_figures_that_cannot_be_are_left_out(open_ledger, folder, damage):
    """A line of a damaged file that counts nothing, or less than nothing, is no line; the others stay."""
    book = open_ledger()
    _hit(book, _USAGE)
    _hit(book, model="o3")
    book.flush()
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as database, database:
        database.execute(f"UPDATE ledger SET {damage} WHERE model = 'gpt-4o'")
    (line,) = open_ledger().lines()
    assert line.model == "o3"


def test_a_killed_process_leaves_whole_lines(open_ledger, folder):
    """What ``kill -9`` leaves behind is a number of whole counts, each with all of its tokens and seconds."""
    program = """
        import sys
        from spark_cache.savings import Ledger
        book = Ledger(sys.argv[1], clock=lambda: 1_700_000_000.0)
        usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
        while True:
            book.record("hit", provider="openai", model="gpt-4o", profile="testing", keep=True, seconds=0.5, usage=usage)
            book.flush()
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


def test_a_count_is_cheap(open_ledger):
    """A count writes nothing and waits for nobody, also while another thread is writing."""
    book = open_ledger()
    with book._writing:
        started = time.perf_counter()
        for _ in range(1000):
            _hit(book, _USAGE)
        assert time.perf_counter() - started < 1.0
    assert book.lifetime().hits == 1000
