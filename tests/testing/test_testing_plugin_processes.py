"""The plugin in pytest-xdist workers, and in a suite that does not use it."""

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
    """Four workers record and replay like a single process, and their counts are added up."""
    first = suite.runpytest_subprocess("-n", "4")
    second = suite.runpytest_subprocess("-n", "4")

    first.stdout.fnmatch_lines(["spark-cache: 0 hits, 12 recorded, 12 misses"])
    second.stdout.fnmatch_lines(["spark-cache: 12 hits, 0 recorded, 0 misses; saved 12 calls, *"])
    assert calls(suite) == 12


def test_a_recording_used_by_any_worker_is_kept(suite):
    """A recording is unused only if no worker used it."""
    suite.runpytest_subprocess("-n", "2")
    make_suite(suite, MANY.replace("range(12)", "range(11)"))

    result = suite.runpytest_subprocess("-n", "2", "--spark-cache-prune")

    result.stdout.fnmatch_lines(["spark-cache: deleted 1 recording in tests/recordings that no test used"])
    assert len(recordings(suite.path / "tests" / "recordings")) == 11


def test_workers_report_tests_that_did_not_run(suite):
    """A run with workers deletes nothing if some tests did not run."""
    suite.runpytest_subprocess("-n", "2")

    result = suite.runpytest_subprocess("-n", "2", "--spark-cache-prune", "-k", "1 or 2")

    result.stdout.fnmatch_lines(["spark-cache: nothing was deleted: * of the tests that use recordings *"])
    assert len(recordings(suite.path / "tests" / "recordings")) == 12


def test_a_swallowed_miss_fails_in_a_worker(suite):
    """A swallowed miss fails the test in a worker as in a single process."""
    make_suite(suite, MANY.replace("import ask", "import ask_carelessly as ask").replace("assert ", ""))

    result = suite.runpytest_subprocess("-n", "2", "--spark-cache=replay")

    result.assert_outcomes(failed=12)


def test_a_suite_without_recordings_imports_only_the_plugin(pytester):
    """If no test uses the fixture or the marker, the plugin imports no other module of the package and no dependency."""
    names = {
        "spark_cache", "pydantic", "pydantic_settings", "orjson", "rich", "structlog", "cryptography", "click",
        "openai", "genai_prices", "filelock", "dotenv", "sqlite3",
    }  # fmt: skip
    pytester.makepyfile(LOADED.replace("{names}", repr(names)))

    others = ["randomly", "xdist", "cov", "pytest_httpx", "respx"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-s",
            "-q",
            *(part for name in others for part in ("-p", f"no:{name}")),
        ],
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
