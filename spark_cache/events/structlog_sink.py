"""A sink that sends events through structlog to the standard logger ``spark_cache``.

The application decides what happens to them: this module never configures structlog and never adds a handler.
"""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from spark_cache.events import listeners

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.processors import KeyValueRenderer

    from spark_cache.events.types import Event

__all__ = ["LOGGER_NAME", "StructlogSink"]

LOGGER_NAME = "spark_cache"

_SEPARATORS = frozenset(' "=')


class StructlogSink:
    """Sink that logs each event as a readable message, with its fields as attributes of the log record."""

    def __init__(self) -> None:
        self._target = logging.getLogger(LOGGER_NAME)
        self._bound: Any = None

    def wants(self, level: int) -> bool:
        """Return whether the logger is enabled for a level, or a listener is registered.

        Args:
            level: The level of the event.
        """
        return self._target.isEnabledFor(level) or bool(listeners.active)

    def emit(self, event: Event) -> None:
        """Log an event at its level.

        Never raises, whatever the filters, factories and handlers of the application do.

        Args:
            event: The event to log.
        """
        listeners.notify(event)
        if not self._target.isEnabledFor(event.level):
            return
        if self._bound is None:
            self._bound = self._bind()
        try:
            self._bound.log(event.level, event.name, **event.facts())
        except Exception:  # noqa: BLE001 - the call that the event is about must still be answered
            return

    def _bind(self) -> Any:
        # Imported for the first event that is logged: an application that logs nothing does not pay for it.
        import structlog  # noqa: PLC0415 - see above

        # Not LogfmtRenderer: it lets carriage returns, escape sequences and Unicode line separators through.
        render = structlog.processors.KeyValueRenderer(repr_native_str=False)
        return structlog.wrap_logger(
            self._target,
            # A separate chain, so that structlog.configure() in the application changes nothing here.
            processors=[partial(_to_record, render)],
            wrapper_class=structlog.stdlib.BoundLogger,
            context_class=dict,
            cache_logger_on_first_use=True,
        )


def _to_record(
    render: KeyValueRenderer, logger: Any, method: str, facts: MutableMapping[str, Any]
) -> tuple[tuple[str], dict[str, Any]]:
    """Return the arguments of the standard logger: a readable message, and the fields for the record."""
    name = facts.pop("event")
    pairs = render(logger, method, {field: _readable(field, value) for field, value in facts.items()})
    message = f"{name} {pairs}" if pairs else name
    return (message,), {"extra": {"event": name, **facts}}


def _readable(field: str, value: Any) -> str:
    if field in ("age", "ttl"):
        return f"{value:.0f}s"
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    # Names come from outside: none of them may start a new line, or another field, in the log.
    plain = text.isprintable() and not set(text) & _SEPARATORS
    return text if plain else json.dumps(text, ensure_ascii=not text.isprintable())
