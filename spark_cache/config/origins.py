"""Where a value came from, and what it shadows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from pydantic import SecretStr

from spark_cache.config.secret import key_ids
from spark_cache.config.values import shown

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Kind", "Origin"]

Kind = Literal[
    "constructor", "environment", ".env", "project profile", "user profile", "shipped profile", "default"
]
"""The layers a value can come from, highest first."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One place that gives a field a value.

    Attributes:
        kind: The layer.
        name: The name as it is written there: ``SPARK_CACHE_TTL``, ``cache.ttl``; None for a default.
        path: The file, where there is one.
        line: The line in that file, counted from 1.
        profile: The name of the profile the file defines, where it is one.
        raw: The value as it is written there, a secret inside ``SecretStr``.
        note: What else the reader should know, such as why another profile's values were taken.
        shadows: The places it wins over, highest first; empty for a shadowed place itself.
    """

    kind: Kind
    name: str | None = None
    path: Path | None = None
    line: int | None = None
    profile: str | None = None
    raw: object = field(default=None, repr=False)
    note: str | None = None
    shadows: tuple[Origin, ...] = ()

    @property
    def source(self) -> str:
        """The file, or the layer where there is no file."""
        return self.kind if self.path is None else str(self.path)

    @property
    def place(self) -> str:
        """``file:line``, or the layer where there is no file."""
        return self.source if self.line is None else f"{self.source}:{self.line}"

    @property
    def value(self) -> str | None:
        """The value as it is written there, of keys only their ids; None where nothing is set."""
        if isinstance(self.raw, SecretStr) or (
            isinstance(self.raw, tuple) and self.raw[:1] and isinstance(self.raw[0], SecretStr)
        ):
            return key_ids(self.raw) or "(unusable keys)"
        if self.raw is None or self.raw == ():
            return None
        return self.raw if isinstance(self.raw, str) else shown(self.raw)

    def over(self, *others: Origin) -> Origin:
        """The same place, winning over ``others`` and what they shadow."""
        chain = [below for other in others for below in (replace(other, shadows=()), *other.shadows)]
        return replace(self, shadows=tuple(chain))
