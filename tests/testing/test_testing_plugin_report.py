"""The end of a run: what the recordings saved, and which of them nobody needs."""

from __future__ import annotations

import re

import pytest
from plugin_world import INI, SUITE, make_suite, recordings

pytest_plugins = ["pytester"]

ONE = SUITE.partition("@pytest.mark.spark_cache\nasync def test_two")[0]
FAILING = f"{ONE}\n@pytest.mark.spark_cache\nasync def test_three():\n    raise AssertionError\n"
LEAVES_OUT = {
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
    """The recordings of a suite of two tests."""
    make_suite(pytester)
    pytester.runpytest_inprocess().assert_outcomes(passed=2)
    return pytester.path / "tests" / "recordings"


def summary(result):
    """The line of the summary."""
    (line,) = [line for line in result.outlines if re.match(r"spark-cache: [\d,]+ hit", line)]
    return line


def test_a_first_run_says_what_it_recorded(pytester):
    """A run that records says how much."""
    make_suite(pytester)

    assert summary(pytester.runpytest_inprocess()) == "spark-cache: 0 hits, 2 recorded, 2 misses"


def test_a_second_run_says_what_it_saved(pytester, folder):
    """A run that replays says how many calls it saved, their time and their price."""
    line = summary(pytester.runpytest_inprocess())

    # By the list price of gpt-4o: 1,000 tokens of input at $2.50 a million, 3 of output at $10, twice.
    assert re.fullmatch(
        r"spark-cache: 2 hits, 0 recorded, 0 misses; saved 2 calls, \d+\.\d s and \$0\.0051", line
    )


def test_a_model_without_a_price_is_named_unknown(pytester):
    """What the price table does not know costs an unknown price, not nothing."""
    make_suite(pytester, SUITE.replace('ask("two")', 'ask("two", Echo("a-model-of-mine"))'))
    program = pytester.path / "test_program.py"
    program.write_text(program.read_text().replace("import ask", "import Echo, ask"))
    pytester.runpytest_inprocess()

    line = summary(pytester.runpytest_inprocess())

    assert line.endswith("s and $0.0025 (for 1 no price is known)")


def test_an_answer_that_is_not_recorded_is_named_with_its_reason(pytester):
    """An answer that may not be stored is no silent gap."""
    make_suite(pytester, ONE.replace("import ask", "import Echo, ask"))
    program = pytester.path / "program.py"
    program.write_text(program.read_text().replace('"end_turn"', '"max_tokens"'))

    line = summary(pytester.runpytest_inprocess())

    assert line == "spark-cache: 0 hits, 0 recorded, 1 miss, 1 not recorded (truncated)"


@pytest.mark.parametrize("mode", ["read-write", "replay", "refresh"])
def test_what_every_test_uses_is_not_unused(pytester, folder, mode):
    """Recordings that were read, or written again, are in use."""
    result = pytester.runpytest_inprocess("--spark-cache-unused", f"--spark-cache={mode}")

    result.stdout.fnmatch_lines(["spark-cache: 0 recordings in tests/recordings were read by no test"])


def test_unused_recordings_are_listed(pytester, folder):
    """A recording whose test is gone is listed by its file, and stays."""
    make_suite(pytester, ONE)

    result = pytester.runpytest_inprocess("--spark-cache-unused")

    result.stdout.fnmatch_lines(
        ["spark-cache: 1 recording in tests/recordings was read by no test", "  openai/gpt-4o/*.json"]
    )
    assert recordings(folder) == ["one", "two"]


def test_unused_recordings_are_deleted_on_request(pytester, folder):
    """``--spark-cache-prune`` deletes what no test read, and nothing else."""
    make_suite(pytester, ONE)

    result = pytester.runpytest_inprocess("--spark-cache-prune")

    result.stdout.fnmatch_lines(
        ["spark-cache: deleted 1 recording in tests/recordings that no test read", "  openai/gpt-4o/*.json"]
    )
    assert recordings(folder) == ["one"]


def test_a_suite_without_any_use_prunes_its_folder(pytester, folder):
    """When the last test that used recordings is gone, all of them are unused."""
    make_suite(pytester, "def test_nothing(): pass")

    pytester.runpytest_inprocess("--spark-cache-prune").assert_outcomes(passed=1)

    assert recordings(folder) == []


@pytest.mark.parametrize(("suite", "arguments"), LEAVES_OUT.values(), ids=LEAVES_OUT)
def test_an_incomplete_run_deletes_nothing(pytester, folder, suite, arguments):
    """A run that left out a test, or failed, knows of no recording that nobody needs it."""
    make_suite(pytester, suite)

    result = pytester.runpytest_inprocess("--spark-cache-prune", *arguments)

    result.stdout.fnmatch_lines(["spark-cache: nothing was deleted: *"])
    assert recordings(folder) == ["one", "two"]


def test_a_run_of_the_configured_paths_is_complete(pytester, folder):
    """Paths that take in the whole suite leave nothing out."""
    make_suite(pytester, ONE)
    pytester.makeini(INI + "testpaths = test_program.py\n")

    pytester.runpytest_inprocess("--spark-cache-prune", ".").assert_outcomes(passed=1)

    assert recordings(folder) == ["one"]


def test_an_incomplete_run_lists_with_a_doubt(pytester, folder):
    """The list of an incomplete run says that it is one."""
    result = pytester.runpytest_inprocess("--spark-cache-unused", "-k", "one")

    result.stdout.fnmatch_lines(
        ["spark-cache: 1 recording * was read by no test; some may be in use, since 1 *"]
    )


def test_a_file_that_is_no_recording_is_left_alone(pytester, folder):
    """What somebody else keeps in the folder is neither listed nor deleted."""
    kept = folder / "openai" / "gpt-4o" / "notes.json"
    kept.write_text("{}")

    pytester.runpytest_inprocess("--spark-cache-prune").assert_outcomes(passed=2)

    assert kept.exists()


def test_each_folder_is_reported(pytester):
    """Folders that markers name are reported beside the suite's own."""
    make_suite(pytester, ONE.replace("mark.spark_cache", 'mark.spark_cache(dir="elsewhere")'))

    result = pytester.runpytest_inprocess("--spark-cache-unused")

    result.stdout.fnmatch_lines(
        [
            "spark-cache: 0 recordings in elsewhere were read by no test",
            "spark-cache: 0 recordings in tests/recordings were read by no test",
        ]
    )
