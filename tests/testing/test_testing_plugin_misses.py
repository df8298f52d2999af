"""Misses in replay mode fail the test, even if they are swallowed."""

from __future__ import annotations

import pytest
from plugin_world import calls, make_suite

pytest_plugins = ["pytester"]


def replay(pytester, suite):
    """Run a suite in replay mode and return the result."""
    make_suite(pytester, suite)
    result = pytester.runpytest_inprocess("--spark-cache=replay")
    assert calls(pytester) == 0
    return result


def test_a_swallowed_miss_fails_the_test(pytester):
    """A test fails if the program catches the miss and continues."""
    result = replay(
        pytester,
        """
        from program import ask_carelessly

        async def test_it(spark_cache):
            assert await ask_carelessly("one")
        """,
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "the program swallowed a CacheMissError:",
            "cache miss in replay mode for openai/gpt-4o*",
        ]
    )


def test_a_miss_swallowed_by_the_test_itself_fails_it(pytester):
    """A test fails if it catches the miss with all other exceptions."""
    result = replay(
        pytester,
        """
        import contextlib
        from program import ask

        async def test_it(spark_cache):
            with contextlib.suppress(Exception):
                await ask("one")
        """,
    )

    result.assert_outcomes(failed=1)


def test_a_miss_turned_into_another_error_fails_the_test(pytester):
    """A program that turns a miss into another exception has swallowed it."""
    result = replay(
        pytester,
        """
        import pytest
        from program import ask

        async def test_it(spark_cache):
            with pytest.raises(RuntimeError):
                try:
                    await ask("one")
                except LookupError as error:
                    raise RuntimeError from error
        """,
    )

    result.assert_outcomes(failed=1)


@pytest.mark.parametrize("expected", ["CacheMissError", "LookupError"])
def test_a_test_may_expect_a_miss(pytester, expected):
    """A miss inside ``pytest.raises`` is expected and does not fail the test."""
    result = replay(
        pytester,
        f"""
        import pytest
        from program import ask
        from spark_cache import CacheMissError

        async def test_it(spark_cache):
            with pytest.raises({expected}):
                await ask("one")
        """,
    )

    result.assert_outcomes(passed=1)


def test_a_miss_that_pytest_raises_did_not_expect_is_the_failure(pytester):
    """A miss that propagates out of the test is the failure, and is reported once."""
    result = replay(
        pytester,
        """
        import pytest
        from program import ask

        async def test_it(spark_cache):
            with pytest.raises(ValueError):
                await ask("one")
        """,
    )

    result.assert_outcomes(failed=1)
    assert "swallowed" not in result.stdout.str()


def test_another_failure_shows_the_earlier_misses(pytester):
    """The report of another failure includes the misses that were swallowed before it."""
    result = replay(
        pytester,
        """
        from program import ask_carelessly

        async def test_it(spark_cache):
            assert await ask_carelessly("one") == "one"
        """,
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*AssertionError*", "*Captured spark-cache call*", "the program swallowed*"])


def test_a_miss_swallowed_during_teardown_is_an_error(pytester):
    """A miss during the teardown of a fixture counts as an error of the test."""
    result = replay(
        pytester,
        """
        import asyncio, pytest
        from program import ask_carelessly

        @pytest.fixture
        def careless(spark_cache):
            yield
            asyncio.run(ask_carelessly("one"))

        def test_it(careless):
            pass
        """,
    )

    result.assert_outcomes(passed=1, errors=1)


def test_a_miss_in_a_thread_fails_the_test(pytester):
    """A miss in any thread fails the test."""
    result = replay(
        pytester,
        """
        import asyncio, threading
        from program import ask_carelessly

        def test_it(spark_cache):
            thread = threading.Thread(target=lambda: asyncio.run(ask_carelessly("one")))
            thread.start()
            thread.join()
        """,
    )

    result.assert_outcomes(failed=1)


def test_a_miss_is_reported_for_its_own_test_only(pytester):
    """A miss in one test does not fail another test."""
    result = replay(
        pytester,
        """
        from program import ask_carelessly

        async def test_one(spark_cache):
            await ask_carelessly("one")

        async def test_two(spark_cache):
            pass
        """,
    )

    result.assert_outcomes(passed=1, failed=1)
