"""Log output for programs that do not set up logging."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from spark_cache.events import LOGGER_NAME

if TYPE_CHECKING:
    from typing import TextIO

    from spark_cache.config import CacheConfig

__all__ = ["apply_log_settings", "configure_logging"]

_LEVEL = "INFO"
_VARIABLES = frozenset({"environment", ".env"})


def configure_logging(
    level: str | int | None = None, log_format: str | None = None, stream: TextIO | None = None
) -> logging.Handler:
    """Write the events of the cache to a stream.

    Meant for scripts and the command line. An application that sets up logging does not need it, because events go to the
    standard logger ``spark_cache``. Calling it again replaces the previous handler.

    Args:
        level: The lowest level to write, such as ``"DEBUG"``. None uses ``log_level`` of the configuration, or ``INFO``.
        log_format: ``console`` for readable lines, or ``json`` for one JSON object per line. None uses ``log_format`` of the
            configuration.
        stream: The stream to write to. None means standard error.

    Returns:
        The handler that was added to the logger ``spark_cache``.

    Raises:
        ConfigError: The configuration is needed and cannot be used.
        ValueError: ``log_format`` or ``level`` is not valid.
    """
    from spark_cache.events.logging_setup import add_handler  # noqa: PLC0415 - imports structlog

    if level is None or log_format is None:
        from spark_cache.config import load_config  # noqa: PLC0415 - imports pydantic

        config = load_config()
        level = config.log_level or _LEVEL if level is None else level
        log_format = log_format or config.log_format
    return add_handler(level, log_format, stream)


def apply_log_settings(config: CacheConfig) -> None:
    """Apply the log settings of a configuration.

    ``log_level`` sets the level of our logger. If a variable sets the level or the format, and the program has not
    configured any logging, events are written to standard error until it does.
    """
    logger = logging.getLogger(LOGGER_NAME)
    if config.log_level is not None:
        logger.setLevel(config.log_level)
    set_by = {config.origins[name].kind for name in ("log_level", "log_format")}
    if set_by.isdisjoint(_VARIABLES) or logger.handlers or logging.getLogger().handlers:
        return
    from spark_cache.events.logging_setup import add_handler  # noqa: PLC0415 - imports structlog

    add_handler(config.log_level or _LEVEL, config.log_format, None, is_fallback=True)
