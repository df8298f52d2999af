"""Events through structlog into the standard logger ``spark_cache``.

The embedding application decides what becomes of them: nothing here configures structlog or adds a handler.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from spark_cache.events.listeners import is_watched, show_watchers

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from spark_cache.events.types import Event

__all__ = ["LOGGER_NAME", "StructlogSink"]

LOGGER_NAME = "spark_cache"

_SEPARATORS = frozenset(' "=')


class StructlogSink:
    """Logs each event, readable as text and with its fields for formatters that want them."""

    def __init__(self) -> None:
        self._target = logging.getLogger(LOGGER_NAME)
        self._bound: Any = None

    def wants(self, level: int) -> bool:
        """Whether the application lets events of this level through, or somebody looks on."""
        return self._target.isEnabledFor(level) or is_watched()

    def emit(self, event: Event) -> None:
        """Log an event at its level; never raises, whatever the application's filters, factories and handlers do."""
        show_watchers(event)
        if not self._target.isEnabledFor(event.level):
            return
        if self._bound is None:
            self._bound = self._bind()
        try:
            # structlog takes the name of the event itself as the message
            self._bound.log(event.level, event.name, **event.facts())
        except Exception:  # noqa: BLE001 - the call that the event is about has to be answered
            return

    def _bind(self) -> Any:
        # Imported for the first event that is let through: an application that logs nothing does not pay for it.
        import structlog  # noqa: PLC0415 - see above

        return structlog.wrap_logger(
            self._target,
            # Our own short chain, so that the application's structlog.configure() changes nothing here.
            processors=[_to_record],
            wrapper_class=structlog.stdlib.BoundLogger,
            context_class=dict,
            cache_logger_on_first_use=True,
        )


def _to_record(
    _logger: Any, _method: str, facts: MutableMapping[str, Any]
) -> tuple[tuple[str], dict[str, Any]]:
    """The arguments of the standard logger: a readable message, and the fields as attributes of the record."""
    name = facts.pop("event")
    message = " ".join([name, *(f"{field}={_shown(field, value)}" for field, value in facts.items())])
    return (message,), {"extra": {"event": name, **facts}}


def _shown(field: str, value: Any) -> str:
    if field in ("age", "ttl"):
        return f"{value:.0f}s"
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    # Names come from outside: none of them may begin a line, or another field, of the log.
    plain = text.isprintable() and not set(text) & _SEPARATORS
    return text if plain else json.dumps(text, ensure_ascii=not text.isprintable())
