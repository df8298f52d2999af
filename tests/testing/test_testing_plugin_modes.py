"""What a test's calls may do, and who decides it."""

from __future__ import annotations

import pytest
from plugin_world import calls, make_suite, recordings

pytest_plugins = ["pytester"]

MARKED = """
import pytest
from program import ask

@pytest.mark.spark_cache(mode="{mode}")
async def test_one():
    assert await ask("one") == "one"
"""


def test_a_first_run_records_and_a_second_one_calls_nobody(pytester):
    """Without any configuration a run records what it misses, and the next is answered from that."""
    make_suite(pytester)

    first, second = pytester.runpytest_inprocess(), pytester.runpytest_inprocess()

    first.assert_outcomes(passed=2)
    second.assert_outcomes(passed=2)
    assert calls(pytester) == 2
    assert recordings(pytester.path / "tests" / "recordings") == ["one", "two"]


def test_where_ci_is_set_nothing_is_recorded(pytester, monkeypatch):
    """In continuous integration a missing recording fails the test, and no call goes out."""
    make_suite(pytester)
    monkeypatch.setenv("CI", "true")

    result = pytester.runpytest_inprocess()

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*CacheMissError: replay mode, and the cache has no answer*"])
    assert calls(pytester) == 0
    assert not (pytester.path / "tests").exists()


@pytest.mark.parametrize("word", ["", "false", "0"])
def test_ci_that_says_no_is_no_ci(pytester, monkeypatch, word):
    """``CI=false`` records like a run at home."""
    make_suite(pytester)
    monkeypatch.setenv("CI", word)

    pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_the_option_goes_before_ci(pytester, monkeypatch):
    """``--spark-cache=read-write`` records where CI is set."""
    make_suite(pytester)
    monkeypatch.setenv("CI", "true")

    pytester.runpytest_inprocess("--spark-cache=read-write").assert_outcomes(passed=2)

    assert calls(pytester) == 2


@pytest.mark.parametrize(
    ("mode", "passed", "made"),
    [("read-write", 2, 2), ("read-only", 2, 4), ("refresh", 2, 4), ("replay", 2, 2), ("bypass", 2, 4)],
)
def test_the_option_takes_every_mode(pytester, mode, passed, made):
    """Each mode of the library does in a suite what it does in a program."""
    make_suite(pytester)
    pytester.runpytest_inprocess("--spark-cache=refresh")
    if mode == "read-only":
        for path in (pytester.path / "tests" / "recordings").glob("*/*/*.json"):
            path.unlink()

    pytester.runpytest_inprocess(f"--spark-cache={mode}").assert_outcomes(passed=passed)

    assert calls(pytester) == made


def test_an_unknown_mode_is_refused(pytester):
    """A mistyped mode ends the run with the modes there are."""
    make_suite(pytester)

    result = pytester.runpytest_inprocess("--spark-cache=record")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*there is no mode 'record': it takes read-write, read-only, *"])


def test_the_marker_goes_before_the_option(pytester):
    """A test that says how it runs runs so, whatever the command line says."""
    make_suite(pytester, MARKED.format(mode="bypass"))

    pytester.runpytest_inprocess("--spark-cache=replay").assert_outcomes(passed=1)

    assert calls(pytester) == 1


def test_the_variable_of_the_mode_goes_before_ci(pytester, monkeypatch):
    """``SPARK_CACHE_MODE`` decides where neither marker nor option does."""
    make_suite(pytester)
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("SPARK_CACHE_MODE", "bypass")

    pytester.runpytest_inprocess().assert_outcomes(passed=2)

    assert not (pytester.path / "tests").exists()


def test_the_mode_of_the_projects_profile_goes_before_ci(pytester, monkeypatch):
    """What the project's own testing profile says holds."""
    make_suite(pytester)
    pytester.mkdir("profiles").joinpath("testing.toml").write_text('[cache]\nmode = "bypass"\n')
    monkeypatch.setenv("CI", "true")

    pytester.runpytest_inprocess().assert_outcomes(passed=2)

    assert calls(pytester) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('mode="record"', "*the marker spark_cache has mode='record': it takes 'read-write', *"),
        ('"replay"', "*the marker takes spark_cache(mode=…, dir=…, profile=…), not 'replay'*"),
        ('folder="x"', "*the marker takes spark_cache(mode=…, dir=…, profile=…), not folder*"),
    ],
)
def test_a_marker_with_other_arguments_is_refused(pytester, arguments, message):
    """A marker that is written wrongly fails its test with what it takes."""
    make_suite(pytester, MARKED.replace('mode="{mode}"', arguments))

    result = pytester.runpytest_inprocess()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])


def test_the_nearest_marker_decides_each_argument(pytester):
    """Markers of module, class and test go together; the nearest that names an argument decides it."""
    make_suite(
        pytester,
        """
        import pytest
        from program import ask

        pytestmark = pytest.mark.spark_cache(mode="replay", dir="kept")

        @pytest.mark.spark_cache(mode="read-write")
        async def test_one():
            assert await ask("one") == "one"
        """,
    )

    pytester.runpytest_inprocess().assert_outcomes(passed=1)

    assert recordings(pytester.path / "kept") == ["one"]


def test_the_marker_is_registered(pytester):
    """``--strict-markers`` knows the marker, and ``--markers`` describes it."""
    make_suite(pytester)

    pytester.runpytest_inprocess("--strict-markers").assert_outcomes(passed=2)
    pytester.runpytest_inprocess("--markers").stdout.fnmatch_lines(["*spark_cache(mode=None, dir=None*"])
