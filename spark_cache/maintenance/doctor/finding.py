"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["OTHER_DIRECTORY", "Finding", "Level"]

OTHER_DIRECTORY = "name another directory with SPARK_CACHE_DIR"
"""What helps against a place that cannot be made to do."""


class Level(StrEnum):
    """How a check came out."""

    OK = "ok"
    NOTE = "note"
    """It works; it may surprise."""
    PROBLEM = "problem"
    """Something has to be done."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: What was looked at.
        level: How it came out.
        found: What there is; never a secret's value.
        remedy: What to do; None where there is nothing to do, or where ``found`` says it.
    """

    check: str
    level: Level
    found: str
    remedy: str | None = None
