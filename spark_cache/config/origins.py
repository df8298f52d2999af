"""Where a value came from, and what it shadows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from pydantic import SecretStr

from spark_cache.config.secret import key_ids, key_text
from spark_cache.config.values import shown, without_keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Kind", "Origin", "place_of", "redacted"]

Kind = Literal[
    "command line",
    "constructor",
    "environment",
    ".env",
    "project profile",
    "user profile",
    "shipped profile",
    "default",
]
"""The layers a value can come from, highest first; the command line names a profile and nothing else."""


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
        return without_keys(self.raw) if isinstance(self.raw, str) else shown(self.raw)

    def over(self, *others: Origin) -> Origin:
        """The same place, winning over ``others`` and what they shadow."""
        chain: list[Origin] = []
        for other in others:
            chain.append(replace(other, shadows=()) if other.shadows else other)
            chain += other.shadows
        return replace(self, shadows=tuple(chain))


def redacted(field: str, raw: object) -> object:
    """A value as an origin may hold it: keys inside ``SecretStr``."""
    if field != "encryption_keys" or isinstance(raw, SecretStr):
        return raw
    if isinstance(raw, list | tuple):
        return tuple(SecretStr(key_text(part)) for part in raw)
    return SecretStr(key_text(raw))


def place_of(key: str, origins: Mapping[str, Origin]) -> Origin:
    """Where a field comes from, or one rule: ``rules[1]``.

    The origin of the rules is that of the first, over the others in their order; where code gave all of them at
    once it is one place for all.
    """
    field, bracket, position = key.partition("[")
    origin = origins[field]
    if not bracket or origin.name == field:
        return origin
    return (origin, *origin.shadows)[int(position.rstrip("]"))]
