"""One run of a suite: the recordings in force during each test, and what came of all of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from spark_cache.events.listeners import listening
from spark_cache.manager import CacheManager
from spark_cache.testing.plugin.choice import choose
from spark_cache.testing.plugin.completeness import why_incomplete
from spark_cache.testing.plugin.misses import Misses, noted_misses
from spark_cache.testing.plugin.recordings import savings_of, unread
from spark_cache.testing.plugin.report import pruned_lines, summary_line, unread_lines
from spark_cache.testing.plugin.tally import Looking, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from spark_cache.errors import CacheMissError

__all__ = ["Suite"]

_MISSES = pytest.StashKey[Misses]()


class Suite:
    """What the tests of one process of a run did with their recordings.

    Args:
        config: The configuration of pytest.
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
        """Let every configuration that is loaded, or was loaded before, lead to the recordings of a test.

        Args:
            node: The test.

        Yields:
            The manager of its recordings.
        """
        choice = choose(node.iter_markers("spark_cache"), self._option("mode"), self._config.rootpath)
        self._folders.add(str(choice.folder))
        with (
            pytest.MonkeyPatch.context() as patch,
            listening(Looking(self._tally, str(choice.folder))),
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
                # What happened while the test was taken down, too.
                self._fail_for(node)

    def expect(self, tests: Iterable[str]) -> None:
        """Note the tests that were collected and use recordings."""
        self._expected.update(tests)

    def passed(self, item: pytest.Item) -> None:
        """Note that a test passed, or fail it for a miss that its program swallowed."""
        self._fail_for(item)
        self._passed.add(item.nodeid)

    def failed(self, item: pytest.Item, failure: BaseException) -> None:
        """Say with a failure which misses the program swallowed before."""
        misses = item.stash.get(_MISSES, None)
        errors = [] if misses is None else misses.take(failure)
        if errors:
            item.add_report_section("call", "spark-cache", "\n".join(_told(errors)))

    def to_json(self, *, skipped: bool) -> dict[str, Any]:
        """What the process that reports has to know, as JSON values."""
        return {
            "tally": self._tally.to_json(),
            "folders": sorted(self._folders),
            "expected": sorted(self._expected),
            "passed": sorted(self._passed),
            "skipped": skipped,
        }

    def add_json(self, figures: Mapping[str, Any]) -> None:
        """Add what another process counted."""
        self._tally.add_json(figures["tally"])
        self._folders.update(figures["folders"])
        self._expected.update(figures["expected"])
        self._passed.update(figures["passed"])
        self._skipped = self._skipped or figures["skipped"]

    def report(self, *, exitstatus: int, skipped: bool, unused: bool, prune: bool) -> Iterator[str]:
        """The lines for the end of a run; deletes the recordings that no test read, where it is asked to and may.

        Args:
            exitstatus: What the run came to.
            skipped: Whether a module was skipped whole.
            unused: Whether recordings that no test read are listed.
            prune: Whether they are deleted.
        """
        if self._folders:
            yield summary_line(self._tally, savings_of(self._tally.hits))
        if not unused and not prune:
            return
        reason = why_incomplete(
            self._config,
            exitstatus=exitstatus,
            skipped=skipped or self._skipped,
            left=len(self._expected - self._passed),
        )
        for folder in self._known_folders():
            names = unread(folder, self._tally)
            if prune and reason is None:
                yield from pruned_lines(folder, names, self._config.rootpath)
            else:
                yield from unread_lines(folder, names, self._config.rootpath, reason)
        if prune and reason is not None:
            yield f"spark-cache: nothing was deleted: {reason}"

    def _known_folders(self) -> list[Path]:
        """The folders that tests named, and the one of tests that name none."""
        own = choose((), self._option("mode"), self._config.rootpath).folder
        return sorted({type(own)(folder) for folder in self._folders} | {own})

    def _option(self, name: str) -> Any:
        return self._config.getoption(f"spark_cache_{name}")

    def _fail_for(self, item: pytest.Item) -> None:
        misses = item.stash.get(_MISSES, None)
        errors = [] if misses is None else misses.take()
        if errors:
            pytest.fail("\n".join(_told(errors)), pytrace=False)


def _told(errors: list[CacheMissError]) -> Iterator[str]:
    yield "the program swallowed a CacheMissError:"
    yield from map(str, errors)
