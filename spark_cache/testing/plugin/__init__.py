"""The pytest plugin: test suites that record the answers of models once, and replay them.

A suite that uses neither the fixture nor the marker pays for this module alone: whatever else is needed is imported when the
first test asks for it, and no configuration is read before.
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
    """Add the options of the command line."""
    group = parser.getgroup("spark-cache", "recorded answers of language models")
    group.addoption(
        "--spark-cache",
        dest="spark_cache_mode",
        metavar="MODE",
        type=_mode,
        help="read-write, read-only, refresh, replay or bypass; without it replay where CI is set, else read-write",
    )
    group.addoption(
        "--spark-cache-unused",
        dest="spark_cache_unused",
        action="store_true",
        help="list the recordings that no test read",
    )
    group.addoption(
        "--spark-cache-prune",
        dest="spark_cache_prune",
        action="store_true",
        help="delete the recordings that no test read, if every test ran and passed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "spark_cache(mode=None, dir=None, profile=None): answer this test's models from the suite's recordings; "
        "dir is relative to the root directory of the suite",
    )


@pytest.fixture(name="spark_cache")
def spark_cache_fixture(request: pytest.FixtureRequest) -> Iterator[CacheManager]:
    """The cache manager of the suite's recordings; models made without arguments use the same while the test runs."""
    with _suite(request.config).running(request.node) as manager:
        yield manager


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give marked tests the fixture, and note which tests have it, before any is deselected."""
    using = []
    for item in items:
        names: list[str] | None = getattr(item, "fixturenames", None)
        if names is None:
            continue
        if _NAME not in names and item.get_closest_marker(_NAME) is not None:
            names.insert(_place(item, names), _NAME)
        if _NAME in names:
            using.append(item.nodeid)
    if using:
        _suite(config).expect(using)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Note that a module was skipped whole: nobody knows what its tests would have read."""
    report = yield
    if report.skipped:
        collector.config.stash[_SKIPPED] = True
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test whose program swallowed a miss."""
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
    """Send what a worker of pytest-xdist counted to the process that reports."""
    config = session.config
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None and (_SUITE in config.stash or _SKIPPED in config.stash):
        output[_NAME] = _suite(config).to_json(skipped=_SKIPPED in config.stash)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ARG001 - the signature of the hook
    """Add what a worker of pytest-xdist counted."""
    counted = getattr(node, "workeroutput", {}).get(_NAME)
    if counted is not None:
        _suite(node.config).add_json(counted)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Say what the recordings saved, and which of them no test read."""
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
        from spark_cache.testing.plugin.suite import Suite  # noqa: PLC0415 - for a suite that uses it

        suite = config.stash[_SUITE] = Suite(config)
    return suite


def _mode(text: str) -> str:
    from argparse import ArgumentTypeError  # noqa: PLC0415 - for those who give the option

    from spark_cache.types import Mode  # noqa: PLC0415 - the same

    if text not in list(Mode):
        raise ArgumentTypeError(f"there is no mode {text!r}: it takes {', '.join(Mode)}")
    return text


def _place(item: pytest.Item, names: list[str]) -> int:
    """Where the fixture goes among those of a test.

    After what is there for every test, which may clear the environment; before what the test asks for, which may make models.
    """
    function = getattr(item, "function", None)
    asked = () if function is None else signature(function).parameters
    return next((place for place, name in enumerate(names) if name in asked), len(names))
