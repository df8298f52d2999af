"""A mark for requests that the cache has handled already, so that no other layer of it handles them again."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["handled", "is_handled"]

_handled: ContextVar[bool] = ContextVar("spark_cache_handled", default=False)


@contextmanager
def handled() -> Iterator[None]:
    """Mark the requests that are sent in a block, by this task or thread and those it starts."""
    token = _handled.set(True)
    try:
        yield
    finally:
        _handled.reset(token)


def is_handled() -> bool:
    """Return whether the cache handles the call that this code runs for."""
    return _handled.get()
