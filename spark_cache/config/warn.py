"""Warnings that are logged once per process."""

from __future__ import annotations

import logging

__all__ = ["warn_once"]

_logger = logging.getLogger("spark_cache")
_given: set[str] = set()


def warn_once(message: str) -> None:
    """Log a warning unless this process has logged it before; a configuration may be loaded very often."""
    if message not in _given:
        _given.add(message)
        _logger.warning("%s", message)
