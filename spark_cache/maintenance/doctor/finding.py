"""The result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["OTHER_DIRECTORY", "Finding", "Level"]

OTHER_DIRECTORY = "set SPARK_CACHE_DIR to another directory"
"""The remedy for a directory that cannot be made usable."""


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    NOTE = "note"
    """The cache works, but may behave unexpectedly."""
    PROBLEM = "problem"
    """The cache needs attention."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: The name of the check.
        level: The severity.
        found: What the check found. It never contains the value of a secret.
        remedy: What to do, or None if there is nothing to do or ``found`` says it.
    """

    check: str
    level: Level
    found: str
    remedy: str | None = None
