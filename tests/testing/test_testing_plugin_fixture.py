"""The fixture, and the models that use the suite's recordings."""

from __future__ import annotations

from plugin_world import calls, make_suite, recordings

pytest_plugins = ["pytester"]


def run_suite(pytester, suite, *arguments):
    """Run a suite and return the result."""
    make_suite(pytester, suite)
    return pytester.runpytest_inprocess(*arguments)


def test_the_fixture_is_the_manager_that_models_use(pytester):
    """The fixture, ``get_instance`` and models created without cache arguments share one manager."""
    result = run_suite(
        pytester,
        """
        from program import Echo
        from spark_cache import CacheManager

        def test_it(spark_cache):
            assert Echo("gpt-4o").cache is spark_cache is CacheManager.get_instance()
            assert spark_cache.config.enabled
            assert spark_cache.config.profile == "testing"
        """,
    )

    result.assert_outcomes(passed=1)


def test_a_fixture_may_create_the_model(pytester):
    """A model created by a fixture of a marked test uses the recordings, even if an autouse fixture clears the environment."""
    result = run_suite(
        pytester,
        """
        import os, pytest
        from program import Echo, ask

        @pytest.fixture(autouse=True)
        def clean(monkeypatch):
            for name in [name for name in os.environ if name.startswith("SPARK_")]:
                monkeypatch.delenv(name)

        @pytest.fixture
        def model():
            return Echo("gpt-4o")

        @pytest.mark.spark_cache
        async def test_it(model):
            assert await ask("one", model) == "one"
        """,
    )

    result.assert_outcomes(passed=1)
    assert recordings(pytester.path / "tests" / "recordings") == ["one"]


def test_a_model_created_at_import_uses_the_recordings_during_the_test(pytester):
    """A module-level model uses the recordings during the test and its own configuration before and after."""
    result = run_suite(
        pytester,
        """
        from program import Echo, ask

        MODEL = Echo("gpt-4o")

        async def test_before():
            assert not MODEL.cache.config.enabled

        async def test_during(spark_cache):
            assert MODEL.cache.config == spark_cache.config
            assert await ask("one", MODEL) == "one"

        async def test_after():
            assert not MODEL.cache.config.enabled
            assert await ask("two", MODEL) == "two"
        """,
    )

    result.assert_outcomes(passed=3)
    assert recordings(pytester.path / "tests" / "recordings") == ["one"]


def test_a_test_without_the_fixture_has_no_cache(pytester):
    """A test that does not request the fixture records nothing."""
    result = run_suite(
        pytester,
        """
        from program import ask

        async def test_it():
            assert await ask("one") == "one"
        """,
    )

    result.assert_outcomes(passed=1)
    assert not (pytester.path / "tests").exists()
    assert "spark-cache:" not in result.stdout.str()


def test_the_environment_is_restored_after_the_test(pytester):
    """The plugin removes its environment variables after the test."""
    result = run_suite(
        pytester,
        """
        import os

        def test_during(spark_cache):
            assert os.environ["SPARK_CACHE_MODE"] == "read-write"

        def test_after():
            assert not [name for name in os.environ if name.startswith("SPARK_")]
        """,
    )

    result.assert_outcomes(passed=2)


def test_a_marker_names_folder_and_profile(pytester):
    """The folder is relative to the root directory, and the profile provides the other settings."""
    pytester.mkdir("profiles").joinpath("suite.toml").write_text(
        '[cache]\nnamespace = "the-suite"\nstore_requests = false\n'
    )
    result = run_suite(
        pytester,
        """
        import pytest
        from program import ask

        @pytest.mark.spark_cache(dir="kept/here", profile="suite")
        async def test_it(spark_cache, tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            assert await ask("one") == "one"
            assert spark_cache.config.namespace == "the-suite"
            assert spark_cache.config.profile == "suite"
        """,
    )

    result.assert_outcomes(passed=1)
    assert recordings(pytester.path / "kept" / "here") == ["one"]


def test_the_projects_profile_names_the_folder(pytester):
    """A folder in the project's testing profile overrides ``tests/recordings``."""
    pytester.mkdir("profiles").joinpath("testing.toml").write_text('[cache]\ncache_dir = "cassettes"\n')

    run_suite(
        pytester,
        """
        from program import ask

        async def test_it(spark_cache):
            assert await ask("one") == "one"
        """,
    ).assert_outcomes(passed=1)

    assert recordings(pytester.path / "cassettes") == ["one"]


def test_an_unusable_configuration_is_an_error_of_the_test(pytester):
    """An unknown profile is named in the error."""
    result = run_suite(
        pytester,
        """
        import pytest

        @pytest.mark.spark_cache(profile="nonsense")
        def test_it():
            pass
        """,
    )

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*unknown profile 'nonsense'*"])


def test_tests_of_unittest_take_the_marker(pytester):
    """A test method of ``unittest.TestCase`` can use recordings."""
    run_suite(
        pytester,
        """
        import asyncio, pytest, unittest
        from program import ask

        class TestIt(unittest.TestCase):
            @pytest.mark.spark_cache
            def test_it(self):
                assert asyncio.run(ask("one")) == "one"
        """,
    ).assert_outcomes(passed=1)

    assert recordings(pytester.path / "tests" / "recordings") == ["one"]


def test_tests_of_anyio_use_recordings(pytester):
    """A test that anyio runs can use recordings, as one that pytest-asyncio runs."""
    suite = """
        import pytest
        from program import ask

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_it(spark_cache, anyio_backend):
            assert await ask("one") == "one"
        """
    run_suite(pytester, suite, "-p", "no:asyncio", "-o", "asyncio_mode=").assert_outcomes(passed=1)

    pytester.runpytest_inprocess("-p", "no:asyncio", "--spark-cache=replay").assert_outcomes(passed=1)

    assert calls(pytester) == 1
