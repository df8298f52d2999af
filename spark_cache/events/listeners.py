"""Look on: every event of every cache of this process, beside the log; for test tools that add up what a test did."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cache.events.types import Event, Sink

__all__ = ["is_watched", "listening", "show_watchers"]

_lock = Lock()
_watchers: tuple[Sink, ...] = ()


@contextmanager
def listening(sink: Sink) -> Iterator[None]:
    """Give ``sink`` what happens within a ``with`` block, whatever the logging configuration lets through."""
    global _watchers  # noqa: PLW0603 - replaced whole, so that a hit reads it without a lock
    with _lock:
        _watchers = (*_watchers, sink)
    try:
        yield
    finally:
        with _lock:
            _watchers = tuple(watcher for watcher in _watchers if watcher is not sink)


def is_watched() -> bool:
    """Whether anybody looks on."""
    return bool(_watchers)


def show_watchers(event: Event) -> None:
    """Hand an event to everybody who looks on."""
    for watcher in _watchers:
        watcher.emit(event)
