"""Misses that the program under test swallowed; a test that passes despite one has not tested what it claims to test."""

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
    """The :class:`spark_cache.CacheMissError` exceptions of one test, without those that the test expects."""

    def __init__(self) -> None:
        self._errors: list[CacheMissError] = []

    def note(self, error: CacheMissError) -> None:
        """Record an exception when it is created."""
        self._errors.append(error)

    def expect(self, error: BaseException) -> None:
        """Forget an exception that the test expected with ``pytest.raises``."""
        self._errors = [noted for noted in self._errors if noted is not error]

    def take(self, failure: BaseException | None = None) -> list[CacheMissError]:
        """Return the exceptions that were raised and swallowed since the last call, and forget them.

        Args:
            failure: The exception that failed the test, which was not swallowed.
        """
        errors, self._errors = self._errors, []
        return [error for error in errors if error.__traceback__ is not None and error is not failure]


@contextmanager
def noted_misses() -> Iterator[Misses]:
    """Record every miss within a ``with`` block, wherever it is raised."""
    misses = Misses()
    # Models raise the error in several ways and the code that catches it reports nothing, so its constructor is patched.
    original_init = CacheMissError.__init__
    # The name of this class differs between releases of pytest.
    raises_context: Any = type(pytest.raises(CacheMissError))
    original_exit = raises_context.__exit__

    def noting_init(error: CacheMissError, *arguments: Any, **named: Any) -> None:
        original_init(error, *arguments, **named)
        misses.note(error)

    def expecting_exit(context: Any, kind: Any, error: BaseException | None, *rest: Any) -> bool:
        matched: bool = original_exit(context, kind, error, *rest)
        if matched and error is not None:
            misses.expect(error)
        return matched

    with (
        patch.object(CacheMissError, "__init__", noting_init),
        patch.object(raises_context, "__exit__", expecting_exit),
    ):
        yield misses
