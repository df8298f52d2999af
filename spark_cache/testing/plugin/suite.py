"""One run of a suite: the recordings that each test uses, and the report at the end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from spark_cache.events.listeners import listening
from spark_cache.manager import CacheManager
from spark_cache.testing.plugin.choice import choose
from spark_cache.testing.plugin.completeness import why_incomplete
from spark_cache.testing.plugin.misses import Misses, noted_misses
from spark_cache.testing.plugin.recordings import savings_of, unused_recordings
from spark_cache.testing.plugin.report import pruned_lines, summary_line, unused_lines
from spark_cache.testing.plugin.tally import Tally, TallySink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from spark_cache.errors import CacheMissError

__all__ = ["Suite"]

_MISSES = pytest.StashKey[Misses]()


class Suite:
    """The use of recordings by the tests of one process.

    Args:
        config: The pytest configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._tally = Tally()
        self._folders: set[str] = set()
        self._expected: set[str] = set()
        self._passed: set[str] = set()
        self._skipped = False

    @contextmanager
    def running(self, node: pytest.Item) -> Iterator[CacheManager]:
        """Make every configuration, loaded earlier or during the test, use the recordings of a test.

        Args:
            node: The test.

        Yields:
            The cache manager of the test's recordings.
        """
        choice = choose(node.iter_markers("spark_cache"), self._option("mode"), self._config.rootpath)
        self._folders.add(str(choice.folder))
        with (
            pytest.MonkeyPatch.context() as patch,
            listening(TallySink(self._tally, str(choice.folder))),
            noted_misses() as misses,
        ):
            for name, value in choice.variables.items():
                patch.setenv(name, value)
            CacheManager.reset_instance()
            CacheManager.reload_shared()
            node.stash[_MISSES] = misses
            try:
                yield CacheManager.get_instance()
            finally:
                patch.undo()
                CacheManager.reset_instance()
                CacheManager.reload_shared()
                # Misses during teardown count as well.
                self._fail_on_swallowed_misses(node)

    def expect(self, tests: Iterable[str]) -> None:
        """Note the collected tests that use recordings.

        Args:
            tests: The node ids of the tests.
        """
        self._expected.update(tests)

    def passed(self, item: pytest.Item) -> None:
        """Note that a test passed, or fail it if the program swallowed a miss.

        Args:
            item: The test.
        """
        self._fail_on_swallowed_misses(item)
        self._passed.add(item.nodeid)

    def failed(self, item: pytest.Item, failure: BaseException) -> None:
        """Add the misses that the program swallowed to the report of a failed test.

        Args:
            item: The test.
            failure: The exception that failed the test.
        """
        misses = item.stash.get(_MISSES, None)
        errors = [] if misses is None else misses.take(failure)
        if errors:
            item.add_report_section("call", "spark-cache", _swallowed(errors))

    def to_json(self, *, skipped: bool) -> dict[str, Any]:
        """Return the counts of this process as JSON values, for the process that prints the report.

        Args:
            skipped: Whether a whole module was skipped.
        """
        return {
            "tally": self._tally.to_json(),
            "folders": sorted(self._folders),
            "expected": sorted(self._expected),
            "passed": sorted(self._passed),
            "skipped": skipped,
        }

    def add_json(self, figures: Mapping[str, Any]) -> None:
        """Add the counts of another process.

        Args:
            figures: The result of :meth:`to_json` in that process.
        """
        self._tally.add_json(figures["tally"])
        self._folders.update(figures["folders"])
        self._expected.update(figures["expected"])
        self._passed.update(figures["passed"])
        self._skipped = self._skipped or figures["skipped"]

    def report(self, *, exitstatus: int, skipped: bool, unused: bool, prune: bool) -> Iterator[str]:
        """Yield the lines for the end of a run, and delete unused recordings if requested and safe.

        Args:
            exitstatus: The exit status of the run.
            skipped: Whether a whole module was skipped.
            unused: Whether to list the recordings that no test used.
            prune: Whether to delete them.
        """
        if self._folders:
            yield summary_line(self._tally, savings_of(self._tally.hits))
        if not unused and not prune:
            return
        reason = why_incomplete(
            self._config,
            exitstatus=exitstatus,
            skipped=skipped or self._skipped,
            unfinished=len(self._expected - self._passed),
        )
        for folder in self._known_folders():
            paths = unused_recordings(folder, self._tally)
            if prune and reason is None:
                yield from pruned_lines(folder, paths, self._config.rootpath)
            else:
                yield from unused_lines(folder, paths, self._config.rootpath, reason)
        if prune and reason is not None:
            yield f"spark-cache: nothing was deleted: {reason}"

    def _known_folders(self) -> list[Path]:
        """Return the folders that tests used and the suite's default folder."""
        default = choose((), self._option("mode"), self._config.rootpath).folder
        return sorted({type(default)(folder) for folder in self._folders} | {default})

    def _option(self, name: str) -> Any:
        return self._config.getoption(f"spark_cache_{name}")

    def _fail_on_swallowed_misses(self, item: pytest.Item) -> None:
        misses = item.stash.get(_MISSES, None)
        errors = [] if misses is None else misses.take()
        if errors:
            pytest.fail(_swallowed(errors), pytrace=False)


def _swallowed(errors: list[CacheMissError]) -> str:
    return "\n".join(["the program swallowed a CacheMissError:", *map(str, errors)])
