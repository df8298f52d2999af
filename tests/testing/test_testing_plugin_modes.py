"""The modes of a test's calls, and the precedence of their sources."""

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


def test_the_first_run_records_and_the_second_makes_no_call(pytester):
    """Without any configuration, the first run records its misses and the next run replays them."""
    make_suite(pytester)

    first, second = pytester.runpytest_inprocess(), pytester.runpytest_inprocess()

    first.assert_outcomes(passed=2)
    second.assert_outcomes(passed=2)
    assert calls(pytester) == 2
    assert recordings(pytester.path / "tests" / "recordings") == ["one", "two"]


def test_nothing_is_recorded_if_ci_is_set(pytester, monkeypatch):
    """In continuous integration, a missing recording fails the test and no call is made."""
    make_suite(pytester)
    monkeypatch.setenv("CI", "true")

    result = pytester.runpytest_inprocess()

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*CacheMissError: cache miss in replay mode for *"])
    assert calls(pytester) == 0
    assert not (pytester.path / "tests").exists()


@pytest.mark.parametrize("value", ["", "false", "0"])
def test_a_false_value_of_ci_counts_as_unset(pytester, monkeypatch, value):
    """A run with ``CI=false`` records like a local run."""
    make_suite(pytester)
    monkeypatch.setenv("CI", value)

    pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_the_option_overrides_ci(pytester, monkeypatch):
    """``--spark-cache=read-write`` records even if ``CI`` is set."""
    make_suite(pytester)
    monkeypatch.setenv("CI", "true")

    pytester.runpytest_inprocess("--spark-cache=read-write").assert_outcomes(passed=2)

    assert calls(pytester) == 2


@pytest.mark.parametrize(
    ("mode", "passed", "made"),
    [("read-write", 2, 2), ("read-only", 2, 4), ("refresh", 2, 4), ("replay", 2, 2), ("bypass", 2, 4)],
)
def test_the_option_accepts_every_mode(pytester, mode, passed, made):
    """Each mode works in a suite as it does in a program."""
    make_suite(pytester)
    pytester.runpytest_inprocess("--spark-cache=refresh")
    if mode == "read-only":
        for path in (pytester.path / "tests" / "recordings").glob("*/*/*.json"):
            path.unlink()

    pytester.runpytest_inprocess(f"--spark-cache={mode}").assert_outcomes(passed=passed)

    assert calls(pytester) == made


def test_an_unknown_mode_is_refused(pytester):
    """An unknown mode ends the run with an error that lists the modes."""
    make_suite(pytester)

    result = pytester.runpytest_inprocess("--spark-cache=record")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unknown mode 'record': choose from read-write, read-only, *"])


def test_the_marker_overrides_the_option(pytester):
    """The mode of a marker overrides the mode on the command line."""
    make_suite(pytester, MARKED.format(mode="bypass"))

    pytester.runpytest_inprocess("--spark-cache=replay").assert_outcomes(passed=1)

    assert calls(pytester) == 1


def test_the_mode_variable_overrides_ci(pytester, monkeypatch):
    """``SPARK_CACHE_MODE`` applies if neither a marker nor the option sets the mode."""
    make_suite(pytester)
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("SPARK_CACHE_MODE", "bypass")

    pytester.runpytest_inprocess().assert_outcomes(passed=2)

    assert not (pytester.path / "tests").exists()


def test_the_mode_of_the_projects_profile_overrides_ci(pytester, monkeypatch):
    """The mode of the project's testing profile applies even if ``CI`` is set."""
    make_suite(pytester)
    pytester.mkdir("profiles").joinpath("testing.toml").write_text('[cache]\nmode = "bypass"\n')
    monkeypatch.setenv("CI", "true")

    pytester.runpytest_inprocess().assert_outcomes(passed=2)

    assert calls(pytester) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            'mode="record"',
            "*the spark_cache marker has an unknown mode 'record': choose from 'read-write', *",
        ),
        ('"replay"', "*the spark_cache marker takes mode=…, dir=… and profile=…, not 'replay'*"),
        ('folder="x"', "*the spark_cache marker takes mode=…, dir=… and profile=…, not folder*"),
    ],
)
def test_a_marker_with_invalid_arguments_is_refused(pytester, arguments, message):
    """An invalid marker fails its test with an error that names the valid arguments."""
    make_suite(pytester, MARKED.replace('mode="{mode}"', arguments))

    result = pytester.runpytest_inprocess()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])


def test_the_closest_marker_wins_for_each_argument(pytester):
    """The arguments of module, class and test markers are merged; the closest marker wins for each argument."""
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
    """``--strict-markers`` accepts the marker, and ``--markers`` describes it."""
    make_suite(pytester)

    pytester.runpytest_inprocess("--strict-markers").assert_outcomes(passed=2)
    pytester.runpytest_inprocess("--markers").stdout.fnmatch_lines(["*spark_cache(mode=None, dir=None*"])
