"""A log handler for programs that do not set up logging."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

from spark_cache.events.structlog_sink import LOGGER_NAME

if TYPE_CHECKING:
    from structlog.typing import Processor

__all__ = ["add_handler"]


def add_handler(
    level: str | int, log_format: str, stream: TextIO | None, *, is_fallback: bool = False
) -> logging.Handler:
    """Write the events of the cache to a stream. A handler that was added before is replaced.

    Args:
        level: The lowest level to write, such as ``"DEBUG"``.
        log_format: ``console`` for readable lines, or ``json`` for one JSON object per line.
        stream: The stream to write to. None means standard error.
        is_fallback: Whether the handler writes only as long as the root logger has no handler of its own.

    Returns:
        The handler that was added to the logger ``spark_cache``.

    Raises:
        ValueError: ``log_format`` or ``level`` is not valid.
    """
    import structlog  # noqa: PLC0415 - loaded only by programs that ask for output

    target = stream if stream is not None else sys.stderr
    if log_format == "json":
        renderer: Processor = structlog.processors.JSONRenderer()
    elif log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=target.isatty())
    else:
        raise ValueError(f"log_format must be 'console' or 'json', not {log_format!r}")
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
                # Also replaces the readable message by the name of the event: the renderer shows the fields.
                structlog.stdlib.ExtraAdder(),
            ],
        )
    )
    logger = logging.getLogger(LOGGER_NAME)
    # First, because it may reject the level.
    logger.setLevel(level)
    for earlier in [old for old in logger.handlers if isinstance(old, _SparkCacheHandler)]:
        logger.removeHandler(earlier)
    logger.addHandler(handler)
    if is_fallback:
        handler.addFilter(lambda _: not logging.getLogger().handlers)
    # The handlers of the root logger would write each event a second time.
    logger.propagate = is_fallback
    return handler


class _SparkCacheHandler(logging.StreamHandler[TextIO]):
    """A distinct handler class, so that a second call can find and replace the first handler."""
