"""Misses that the program under test swallowed: a test that passes with one has not tested what it says."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from spark_cache.errors import CacheMissError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Misses", "noted_misses"]


class Misses:
    """The :class:`spark_cache.CacheMissError` of one test, those that the test expects left out."""

    def __init__(self) -> None:
        self._made: list[CacheMissError] = []

    def note(self, error: CacheMissError) -> None:
        """Note that one was made."""
        self._made.append(error)

    def expect(self, error: BaseException) -> None:
        """Note that the test expected an error, by ``pytest.raises``."""
        self._made = [made for made in self._made if made is not error]

    def take(self, failure: BaseException | None = None) -> list[CacheMissError]:
        """Those that were raised and came to nothing since this was asked before; none is told of twice.

        Args:
            failure: What the test failed with, which nobody swallowed.
        """
        made, self._made = self._made, []
        return [error for error in made if error.__traceback__ is not None and error is not failure]


@contextmanager
def noted_misses() -> Iterator[Misses]:
    """Note every miss within a ``with`` block, whoever raises it."""
    misses = Misses()
    # Models raise it in several ways, and who catches it tells nobody: only its making is common to all.
    begin = CacheMissError.__init__
    # The class has another name in each release of pytest.
    expectation: Any = type(pytest.raises(CacheMissError))
    end = expectation.__exit__

    def noting(error: CacheMissError, *arguments: Any, **named: Any) -> None:
        begin(error, *arguments, **named)
        misses.note(error)

    def expecting(context: Any, kind: Any, error: BaseException | None, *rest: Any) -> bool:
        met: bool = end(context, kind, error, *rest)
        if met and error is not None:
            misses.expect(error)
        return met

    with (
        patch.object(CacheMissError, "__init__", noting),
        patch.object(expectation, "__exit__", expecting),
    ):
        yield misses
