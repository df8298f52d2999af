"""The plugin in other processes: workers of pytest-xdist, and a suite that does not use it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from plugin_world import calls, make_suite, recordings

pytest_plugins = ["pytester"]

MANY = """
import pytest
from program import ask

@pytest.mark.spark_cache
@pytest.mark.parametrize("number", range(12))
async def test_it(number):
    assert await ask(f"number {number}") == f"number {number}"
"""

LOADED = """
import sys

def test_it():
    pass

def test_what_is_loaded():
    print("LOADED", *sorted(name for name in sys.modules if name.split(".")[0] in {names}))
"""


@pytest.fixture
def suite(pytester):
    make_suite(pytester, MANY)
    return pytester


def test_workers_report_together(suite):
    """Four workers record and replay like one process, and their figures are added up."""
    first = suite.runpytest_subprocess("-n", "4")
    second = suite.runpytest_subprocess("-n", "4")

    first.stdout.fnmatch_lines(["spark-cache: 0 hits, 12 recorded, 12 misses"])
    second.stdout.fnmatch_lines(["spark-cache: 12 hits, 0 recorded, 0 misses; saved 12 calls, *"])
    assert calls(suite) == 12


def test_what_any_worker_read_is_in_use(suite):
    """With workers, too, a recording is unused only if none of them read it."""
    suite.runpytest_subprocess("-n", "2")
    make_suite(suite, MANY.replace("range(12)", "range(11)"))

    result = suite.runpytest_subprocess("-n", "2", "--spark-cache-prune")

    result.stdout.fnmatch_lines(["spark-cache: deleted 1 recording in tests/recordings that no test read"])
    assert len(recordings(suite.path / "tests" / "recordings")) == 11


def test_workers_know_of_tests_that_did_not_run(suite):
    """A run with workers that left tests out deletes nothing."""
    suite.runpytest_subprocess("-n", "2")

    result = suite.runpytest_subprocess("-n", "2", "--spark-cache-prune", "-k", "1 or 2")

    result.stdout.fnmatch_lines(["spark-cache: nothing was deleted: * of the tests that use recordings *"])
    assert len(recordings(suite.path / "tests" / "recordings")) == 12


def test_a_swallowed_miss_fails_in_a_worker(suite):
    """A worker fails a test for a miss like a single process."""
    make_suite(suite, MANY.replace("import ask", "import ask_carelessly as ask").replace("assert ", ""))

    result = suite.runpytest_subprocess("-n", "2", "--spark-cache=replay")

    result.assert_outcomes(failed=12)


def test_a_suite_that_does_not_use_it_loads_nothing_of_it(pytester):
    """Without fixture and marker, the plugin imports itself and nothing that takes time."""
    names = {
        "spark_cache", "pydantic", "pydantic_settings", "orjson", "rich", "structlog", "cryptography", "click",
        "openai", "genai_prices", "filelock", "dotenv", "sqlite3",
    }  # fmt: skip
    pytester.makepyfile(LOADED.replace("{names}", repr(names)))

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-s", "-q", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cov"],
        check=True,
        capture_output=True,
        text=True,
        cwd=pytester.path,
    )

    (line,) = [line for line in done.stdout.splitlines() if "LOADED" in line]
    assert line.partition("LOADED ")[2].split() == [
        "spark_cache",
        "spark_cache._lazy",
        "spark_cache.testing",
        "spark_cache.testing.plugin",
    ]
