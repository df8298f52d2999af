"""The report at the end of a run: savings and unused recordings."""

from __future__ import annotations

import re

import pytest
from plugin_world import INI, SUITE, make_suite, recordings

pytest_plugins = ["pytester"]

ONE = SUITE.partition("@pytest.mark.spark_cache\nasync def test_two")[0]
FAILING = f"{ONE}\n@pytest.mark.spark_cache\nasync def test_three():\n    raise AssertionError\n"
INCOMPLETE_RUNS = {
    "keyword": (SUITE, ["-k", "one"]),
    "failure": (FAILING, []),
    "first failure": (FAILING, ["-x"]),
    "deselected": (SUITE, ["--deselect", "test_program.py::test_two"]),
    "one test": (SUITE, ["test_program.py::test_one"]),
    "one file": (ONE, ["test_program.py"]),
    "ignored": (ONE, ["--ignore", "other"]),
    "collected only": (SUITE, ["--collect-only"]),
    "skipped test": (
        f"{ONE}\n@pytest.mark.skip\n@pytest.mark.spark_cache\nasync def test_two(): pass\n",
        [],
    ),
    "skipped module": (f"{ONE}\npytest.skip(allow_module_level=True)\n", []),
    "skipped within": (
        f"{ONE}\n@pytest.mark.spark_cache\nasync def test_two():\n    pytest.skip()\n",
        [],
    ),
}


@pytest.fixture
def folder(pytester):
    """Record a suite of two tests and return the folder of its recordings."""
    make_suite(pytester)
    pytester.runpytest_inprocess().assert_outcomes(passed=2)
    return pytester.path / "tests" / "recordings"


def summary(result):
    """Return the summary line."""
    (line,) = [line for line in result.outlines if re.match(r"spark-cache: [\d,]+ hit", line)]
    return line


def test_the_first_run_reports_what_it_recorded(pytester):
    """The summary of a recording run shows the number of recordings."""
    make_suite(pytester)

    assert summary(pytester.runpytest_inprocess()) == "spark-cache: 0 hits, 2 recorded, 2 misses"


def test_the_second_run_reports_what_it_saved(pytester, folder):
    """The summary of a replaying run shows the number of saved calls, their time and their price."""
    line = summary(pytester.runpytest_inprocess())

    # The list price of gpt-4o for two calls: 1,000 input tokens at $2.50 and 3 output tokens at $10 per million.
    assert re.fullmatch(
        r"spark-cache: 2 hits, 0 recorded, 0 misses; saved 2 calls, \d+\.\d s and \$0\.0051", line
    )


def test_a_model_without_a_price_is_reported(pytester):
    """The summary counts the calls whose price is unknown, rather than treating them as free."""
    make_suite(pytester, SUITE.replace('ask("two")', 'ask("two", Echo("a-model-of-mine"))'))
    program = pytester.path / "test_program.py"
    program.write_text(program.read_text().replace("import ask", "import Echo, ask"))
    pytester.runpytest_inprocess()

    line = summary(pytester.runpytest_inprocess())

    assert line.endswith("s and $0.0025 (price unknown for 1 call)")


def test_a_response_that_is_not_recorded_is_reported_with_its_reason(pytester):
    """The summary counts responses that must not be stored, with the reason."""
    make_suite(pytester, ONE.replace("import ask", "import Echo, ask"))
    program = pytester.path / "program.py"
    program.write_text(program.read_text().replace('"end_turn"', '"max_tokens"'))

    line = summary(pytester.runpytest_inprocess())

    assert line == "spark-cache: 0 hits, 0 recorded, 1 miss, 1 not recorded (truncated)"


@pytest.mark.parametrize("mode", ["read-write", "replay", "refresh"])
def test_recordings_that_tests_use_are_not_listed(pytester, folder, mode):
    """A recording that was read or rewritten is in use."""
    result = pytester.runpytest_inprocess("--spark-cache-unused", f"--spark-cache={mode}")

    result.stdout.fnmatch_lines(["spark-cache: 0 recordings in tests/recordings were not used by any test"])


def test_unused_recordings_are_listed(pytester, folder):
    """A recording without a test is listed by its file name and kept."""
    make_suite(pytester, ONE)

    result = pytester.runpytest_inprocess("--spark-cache-unused")

    result.stdout.fnmatch_lines(
        ["spark-cache: 1 recording in tests/recordings was not used by any test", "  openai/gpt-4o/*.json"]
    )
    assert recordings(folder) == ["one", "two"]


def test_unused_recordings_are_deleted_on_request(pytester, folder):
    """``--spark-cache-prune`` deletes the recordings that no test used, and nothing else."""
    make_suite(pytester, ONE)

    result = pytester.runpytest_inprocess("--spark-cache-prune")

    result.stdout.fnmatch_lines(
        ["spark-cache: deleted 1 recording in tests/recordings that no test used", "  openai/gpt-4o/*.json"]
    )
    assert recordings(folder) == ["one"]


def test_a_suite_that_uses_no_recordings_prunes_its_folder(pytester, folder):
    """All recordings are unused if no remaining test uses recordings."""
    make_suite(pytester, "def test_nothing(): pass")

    pytester.runpytest_inprocess("--spark-cache-prune").assert_outcomes(passed=1)

    assert recordings(folder) == []


@pytest.mark.parametrize(("suite", "arguments"), INCOMPLETE_RUNS.values(), ids=INCOMPLETE_RUNS)
def test_an_incomplete_run_deletes_nothing(pytester, folder, suite, arguments):
    """A run that failed or excluded tests cannot tell which recordings are unused."""
    make_suite(pytester, suite)

    result = pytester.runpytest_inprocess("--spark-cache-prune", *arguments)

    result.stdout.fnmatch_lines(["spark-cache: nothing was deleted: *"])
    assert recordings(folder) == ["one", "two"]


def test_a_run_of_the_configured_paths_is_complete(pytester, folder):
    """A run is complete if its paths cover the whole suite."""
    make_suite(pytester, ONE)
    pytester.makeini(INI + "testpaths = test_program.py\n")

    pytester.runpytest_inprocess("--spark-cache-prune", ".").assert_outcomes(passed=1)

    assert recordings(folder) == ["one"]


def test_an_incomplete_run_lists_recordings_with_a_caveat(pytester, folder):
    """The list of an incomplete run states why it may be wrong."""
    result = pytester.runpytest_inprocess("--spark-cache-unused", "-k", "one")

    result.stdout.fnmatch_lines(
        ["spark-cache: 1 recording * was not used by any test; some may still be needed because 1 *"]
    )


def test_other_files_are_left_alone(pytester, folder):
    """A file that is not a recording is neither listed nor deleted."""
    kept = folder / "openai" / "gpt-4o" / "notes.json"
    kept.write_text("{}")

    pytester.runpytest_inprocess("--spark-cache-prune").assert_outcomes(passed=2)

    assert kept.exists()


def test_each_folder_is_reported(pytester):
    """Folders named by markers are reported along with the suite's default folder."""
    make_suite(pytester, ONE.replace("mark.spark_cache", 'mark.spark_cache(dir="elsewhere")'))

    result = pytester.runpytest_inprocess("--spark-cache-unused")

    result.stdout.fnmatch_lines(
        [
            "spark-cache: 0 recordings in elsewhere were not used by any test",
            "spark-cache: 0 recordings in tests/recordings were not used by any test",
        ]
    )
