"""Segments: entries of one folder, filed together."""

from __future__ import annotations

from math import frexp
from typing import TYPE_CHECKING, NamedTuple

import orjson

from spark_cache.stores.base import NEVER
from spark_cache.stores.names import are_entry_names

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Known", "Segment", "batches", "ends_of", "packed", "unpacked", "used_of"]

_SEGMENT = 64
"""The most entries of a segment."""

_LARGEST = 2**40


class Known(NamedTuple):
    """What is known of an entry.

    Attributes:
        name: Its file name.
        size: Its length.
        expires_at: When its life ends, in seconds since the epoch; ``NEVER``. From ``UNKNOWN`` down, only the entry itself can
            tell, which is to be asked at the positive time.
        used_at: When it was last used, as far as anybody knows.
    """

    name: str
    size: int
    expires_at: float
    used_at: float


class Segment(NamedTuple):
    """A segment.

    Attributes:
        number: Its number; later ones have higher numbers.
        folder: The folders of the provider and of the model.
        certain: Whether none of its entries was replaced or removed since.
        names: The names of its entries, one at least; what else is known of them stands in the same places of the other lists.
        sizes: The length of each file, in bytes.
        expires_at: When each entry expires, in seconds since the epoch.
        used_at: When each entry was last used, in seconds since the epoch.
    """

    number: int
    folder: tuple[str, str]
    certain: bool
    names: list[str]
    sizes: list[int]
    expires_at: list[float]
    used_at: list[float]

    @property
    def known(self) -> list[Known]:
        """Its entries."""
        return list(map(Known, self.names, self.sizes, self.expires_at, self.used_at))


def batches(known: Iterable[Known]) -> list[list[Known]]:
    """Entries in the order of their uses, cut into segments; those whose lives last about as long go together, as they end together."""
    alike: dict[int, list[Known]] = {}
    for entry in sorted(known, key=lambda entry: entry.used_at):
        left = entry.expires_at - entry.used_at
        alike.setdefault(frexp(left)[1] if 0 < left < NEVER else 0, []).append(entry)
    return [
        group[start : start + _SEGMENT]
        for group in alike.values()
        for start in range(0, len(group), _SEGMENT)
    ]


def packed(known: list[Known]) -> bytes:
    """Entries, at least one, as bytes."""
    # Infinity, which JSON lacks, comes back from null.
    return orjson.dumps(tuple(zip(*known, strict=True)))


def unpacked(data: object) -> tuple[list[str], list[int], list[float], list[float]]:
    """The names, sizes, ends and uses of the entries again.

    Raises:
        ValueError: The bytes are damaged: what they name may not be acted upon.
    """
    columns = orjson.loads(data) if isinstance(data, bytes) else None
    if (
        not isinstance(columns, list)
        or [type(column) for column in columns] != [list] * 4
        or not len(columns[0]) == len(columns[1]) == len(columns[2]) == len(columns[3]) > 0
    ):
        raise ValueError("a damaged segment")
    names, sizes, ends, uses = columns
    if None in ends:
        ends = [NEVER if end is None else end for end in ends]
    if (
        {*map(type, names)} != {str}
        or {*map(type, sizes)} != {int}
        or not {*map(type, ends), *map(type, uses)} <= {float, int}
        or not are_entry_names(names)
        or not 0 <= min(sizes) <= max(sizes) < _LARGEST
    ):
        raise ValueError("a damaged segment")
    return names, sizes, ends, uses


def used_of(known: list[Known]) -> float:
    """The earliest of their uses."""
    return min(entry.used_at for entry in known)


def ends_of(known: list[Known]) -> float | None:
    """When the first of their lives ends, or is to be asked for; None when none does."""
    first = min(abs(entry.expires_at) for entry in known)
    return None if first == NEVER else first
