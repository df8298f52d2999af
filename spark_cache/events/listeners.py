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

__all__ = ["active", "listening", "notify"]

_lock = Lock()
active: tuple[Sink, ...] = ()
"""The listeners. Read it as an attribute of this module, which replaces it as a whole."""


@contextmanager
def listening(sink: Sink) -> Iterator[None]:
    """Send every event to ``sink`` while the ``with`` block runs.

    Args:
        sink: The sink that receives the events.
    """
    global active  # noqa: PLW0603 - replaced as a whole, so that a hit reads it without a lock
    with _lock:
        active = (*active, sink)
    try:
        yield
    finally:
        with _lock:
            active = tuple(listener for listener in active if listener is not sink)


def notify(event: Event) -> None:
    """Send an event to every listener.

    Args:
        event: The event to send.
    """
    for listener in active:
        listener.emit(event)
