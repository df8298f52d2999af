"""The origin of a value, and the values it shadows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import SecretStr

from spark_cache.config.secret import key_ids, key_text
from spark_cache.config.values import shown, without_keys
from spark_cache.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Kind", "Origin", "origin_of", "redacted"]

Kind = Literal[
    "command line",
    "constructor",
    "environment",
    ".env",
    "project profile",
    "user profile",
    "shipped profile",
    "derived",
    "default",
]
"""The layers that a value can come from, highest first.

The command line only selects a profile. A derived value is a default that depends on the environment.
"""


class Origin(NamedTuple):
    """The origin of a value: one place that sets a field.

    Attributes:
        kind: The layer.
        name: The name used there: ``SPARK_CACHE_TTL``, ``cache.ttl``. None for a default.
        path: The file, if there is one.
        line: The line in that file, counted from 1.
        profile: The name of the profile, if the file defines one.
        raw: The value as written there. Secrets are wrapped in ``SecretStr``.
        expanded: The absolute path that a path was expanded to.
        items: The origin of each item, if the value is a list.
        note: Additional information, such as why the values of another profile are used.
        shadows: The origins that this one overrides, highest first. Empty for a shadowed origin itself.
    """

    kind: Kind
    name: str | None = None
    path: Path | None = None
    line: int | None = None
    profile: str | None = None
    raw: object = None
    expanded: str | None = None
    items: tuple[Origin, ...] = ()
    note: str | None = None
    shadows: tuple[Origin, ...] = ()

    def __repr__(self) -> str:
        return f"Origin({self.kind!r}, {self.name!r}, {self.place!r})"  # the raw value may be a secret

    @property
    def source(self) -> str:
        """The file, or the layer if there is no file."""
        return self.kind if self.path is None else str(self.path)

    @property
    def place(self) -> str:
        """``file:line``, or the layer if there is no file."""
        return self.source if self.line is None else f"{self.source}:{self.line}"

    @property
    def value(self) -> str | None:
        """The value as written there, or None if it is not set. Encryption keys are shown by their IDs."""
        if isinstance(self.raw, SecretStr) or (
            isinstance(self.raw, tuple) and self.raw[:1] and isinstance(self.raw[0], SecretStr)
        ):
            return key_ids(self.raw) or "(unusable keys)"
        if self.raw is None or self.raw == ():
            return None
        return without_keys(self.raw) if isinstance(self.raw, str) else shown(self.raw)

    def over(self, *others: Origin) -> Origin:
        """Return this origin as one that shadows ``others`` and everything they shadow, highest first."""
        chain: list[Origin] = []
        for other in others:
            chain.append(other._replace(shadows=()) if other.shadows else other)
            chain += other.shadows
        return self._replace(shadows=tuple(chain))

    def problem(self, message: str, key: str | None = None) -> Problem:
        """Return a problem with the value.

        Args:
            message: What is wrong.
            key: The name of the value if it has none of its own.
        """
        return Problem(message, self.source, self.line, self.name or key)


def redacted(field: str, raw: object) -> object:
    """Return the raw value of a field for an origin, with encryption keys wrapped in ``SecretStr``."""
    if field != "encryption_keys" or isinstance(raw, SecretStr):
        return raw
    if isinstance(raw, list | tuple):
        return tuple(SecretStr(key_text(part)) for part in raw)
    return SecretStr(key_text(raw))


def origin_of(key: str, origins: Mapping[str, Origin]) -> Origin:
    """Return the origin of a field, or of one rule such as ``rules[1]``.

    Rules that code sets all at once share one origin.
    """
    field, _, position = key.partition("[")
    items = origins[field].items
    return items[int(position.rstrip("]"))] if position and items else origins[field]
