"""Misses in replay: none goes by."""

from __future__ import annotations

import pytest
from plugin_world import calls, make_suite

pytest_plugins = ["pytester"]


def replay(pytester, suite):
    """Run a suite in replay mode, and give what came of it."""
    make_suite(pytester, suite)
    result = pytester.runpytest_inprocess("--spark-cache=replay")
    assert calls(pytester) == 0
    return result


def test_a_swallowed_miss_fails_the_test(pytester):
    """A program that goes on without its answer does not pass for tested."""
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
            "replay mode, and the cache has no answer for openai/gpt-4o*",
        ]
    )


def test_a_miss_swallowed_by_the_test_itself_fails_it(pytester):
    """Neither does a test that catches everything."""
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
    """A program that makes an error of its own of a miss has swallowed it."""
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
    """``pytest.raises`` says that the miss is meant."""
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
    """A miss that reaches the end of the test fails it by itself, once."""
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


def test_another_failure_shows_the_misses_before_it(pytester):
    """What went wrong first is told beside what went wrong because of it."""
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


def test_a_miss_swallowed_while_the_test_is_taken_down_is_an_error(pytester):
    """What a fixture asks at its end is part of the test."""
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
    """A miss counts in whatever thread it happens."""
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


def test_a_miss_of_one_test_is_not_told_of_another(pytester):
    """Each test answers for its own misses."""
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
