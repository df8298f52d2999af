"""Log output for programs that have none of their own."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

from spark_cache.events.structlog_sink import LOGGER_NAME

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

__all__ = ["configure_logging"]


def configure_logging(
    level: str | int = "INFO", log_format: str = "console", stream: TextIO | None = None
) -> logging.Handler:
    """Show the events of the cache on a stream.

    For scripts and the command line. An application that sets up logging itself needs none of this: the events go to the
    standard logger ``spark_cache``. Called again, it replaces what it set up before.

    Args:
        level: The lowest level shown, such as ``"DEBUG"``.
        log_format: ``console`` for a person, ``json`` for a machine: one object a line.
        stream: Where it goes; None is standard error.

    Returns:
        The handler that was added to the logger ``spark_cache``.

    Raises:
        ValueError: ``log_format`` is neither, or ``level`` is no level.
    """
    import structlog  # noqa: PLC0415 - loaded only by programs that ask for output

    target = stream if stream is not None else sys.stderr
    if log_format == "json":
        renderer: Processor = structlog.processors.JSONRenderer()
    elif log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=target.isatty())
    else:
        raise ValueError(f"log_format {log_format!r}: it takes 'console' or 'json'")
    handler = _SparkCacheHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
            foreign_pre_chain=[
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(),
                _name_of_event,
            ],
        )
    )
    logger = logging.getLogger(LOGGER_NAME)
    # First of all, since it may refuse the level.
    logger.setLevel(level)
    for earlier in [old for old in logger.handlers if isinstance(old, _SparkCacheHandler)]:
        logger.removeHandler(earlier)
    logger.addHandler(handler)
    # Shown here once; the root logger's handlers would show it again.
    logger.propagate = False
    return handler


class _SparkCacheHandler(logging.StreamHandler[TextIO]):
    """Ours, so that a second call finds and replaces it."""


def _name_of_event(_logger: object, _method: str, record: EventDict) -> EventDict:
    """Leave the fields to the renderer: the readable message repeats them."""
    message = str(record["event"])
    name = message.split(" ", 1)[0]
    return {**record, "event": name if name.startswith("cache.") else message}
