"""The pytest plugin: record model responses once and replay them in later test runs.

A suite that uses neither the fixture nor the marker pays only for importing this module. Everything else is imported, and the
configuration is read, when the first test needs it.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from spark_cache.manager import CacheManager
    from spark_cache.testing.plugin.suite import Suite

__all__: list[str] = []

_NAME = "spark_cache"
_SUITE = pytest.StashKey["Suite"]()
_SKIPPED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command-line options."""
    group = parser.getgroup("spark-cache", "recorded responses of language models")
    group.addoption(
        "--spark-cache",
        dest="spark_cache_mode",
        metavar="MODE",
        type=_mode,
        help="read-write, read-only, refresh, replay or bypass; default: replay if CI is set, else read-write",
    )
    group.addoption(
        "--spark-cache-unused",
        dest="spark_cache_unused",
        action="store_true",
        help="list the recordings that no test used",
    )
    group.addoption(
        "--spark-cache-prune",
        dest="spark_cache_prune",
        action="store_true",
        help="delete the recordings that no test used, if every test ran and passed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "spark_cache(mode=None, dir=None, profile=None): answer this test's model calls from the suite's recordings; "
        "dir is relative to the root directory of the suite",
    )


@pytest.fixture(name="spark_cache")
def spark_cache_fixture(request: pytest.FixtureRequest) -> Iterator[CacheManager]:
    """Return the cache manager of the suite's recordings; models created without cache arguments use it during the test."""
    with _suite(request.config).running(request.node) as manager:
        yield manager


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the fixture to marked tests, and note which tests use it before any are deselected."""
    using = []
    for item in items:
        names: list[str] | None = getattr(item, "fixturenames", None)
        if names is None:
            continue
        if _NAME not in names and item.get_closest_marker(_NAME) is not None:
            names.insert(_fixture_position(item, names), _NAME)
        if _NAME in names:
            using.append(item.nodeid)
    if using:
        _suite(config).expect(using)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Note that a whole module was skipped, since its tests may use recordings."""
    report = yield
    if report.skipped:
        collector.config.stash[_SKIPPED] = True
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test if the program under test swallowed a miss."""
    suite = item.config.stash.get(_SUITE, None)
    if suite is None:
        return (yield)
    try:
        result = yield
    except BaseException as failure:
        suite.failed(item, failure)
        raise
    suite.passed(item)
    return result


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the counts of a pytest-xdist worker to the controller, which prints the report."""
    config = session.config
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None and (_SUITE in config.stash or _SKIPPED in config.stash):
        output[_NAME] = _suite(config).to_json(skipped=_SKIPPED in config.stash)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ARG001 - the signature of the hook
    """Add the counts of a pytest-xdist worker."""
    counted = getattr(node, "workeroutput", {}).get(_NAME)
    if counted is not None:
        _suite(node.config).add_json(counted)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Print what the recordings saved and which recordings no test used."""
    suite = config.stash.get(_SUITE, None)
    unused, prune = config.getoption("spark_cache_unused"), config.getoption("spark_cache_prune")
    if suite is None and not unused and not prune:
        return
    skipped = _SKIPPED in config.stash
    for line in _suite(config).report(exitstatus=exitstatus, skipped=skipped, unused=unused, prune=prune):
        terminalreporter.write_line(line)


def _suite(config: pytest.Config) -> Suite:
    suite = config.stash.get(_SUITE, None)
    if suite is None:
        from spark_cache.testing.plugin.suite import Suite  # noqa: PLC0415 - only suites that use the plugin pay for it

        suite = config.stash[_SUITE] = Suite(config)
    return suite


def _mode(text: str) -> str:
    from argparse import ArgumentTypeError  # noqa: PLC0415 - needed only when the option is given

    from spark_cache.types import Mode  # noqa: PLC0415 - the same

    if text not in list(Mode):
        raise ArgumentTypeError(f"unknown mode {text!r}: choose from {', '.join(Mode)}")
    return text


def _fixture_position(item: pytest.Item, names: list[str]) -> int:
    """Return the position at which to insert the fixture among a test's fixtures.

    It comes after the autouse fixtures, which may clear the environment, and before the fixtures that the test requests, which
    may create models.
    """
    function = getattr(item, "function", None)
    requested = () if function is None else signature(function).parameters
    return next((position for position, name in enumerate(names) if name in requested), len(names))
