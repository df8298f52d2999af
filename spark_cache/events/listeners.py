"""Listeners: sinks that receive every event of the process, whatever the logging configuration lets through.

Test tools use them to count what a test did.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cache.events.types import Event, Sink

__all__ = ["has_listeners", "listening", "notify_listeners"]

_lock = Lock()
_listeners: tuple[Sink, ...] = ()


@contextmanager
def listening(sink: Sink) -> Iterator[None]:
    """Send every event to ``sink`` while the ``with`` block runs.

    Args:
        sink: The sink that receives the events.
    """
    global _listeners  # noqa: PLW0603 - replaced as a whole, so that a hit reads it without a lock
    with _lock:
        _listeners = (*_listeners, sink)
    try:
        yield
    finally:
        with _lock:
            _listeners = tuple(listener for listener in _listeners if listener is not sink)


def has_listeners() -> bool:
    """Return whether any listener is registered."""
    return bool(_listeners)


def notify_listeners(event: Event) -> None:
    """Send an event to every listener.

    Args:
        event: The event to send.
    """
    for listener in _listeners:
        listener.emit(event)
