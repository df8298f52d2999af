"""Changes between two JSON values, by path."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from spark_cache.explain.difference import Difference
from spark_cache.explain.excerpts import ABSENT, blob, changed, is_secret, step, value_text
from spark_cache.keys import is_exact

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["UNKNOWN", "Change", "changes", "difference"]

UNKNOWN = object()
"""A value that differs but is unknown or must not be shown."""

_MOST = 100
"""The most changes that are collected."""

_ALIGNED = 1000
"""The most items in a list that is aligned. Longer lists are compared item by item."""


class Change(NamedTuple):
    """One change: the path and both values. Each value may be :data:`UNKNOWN` or :data:`ABSENT`."""

    path: str
    old: Any
    new: Any
    moved: bool = False


def changes(old: Any, new: Any, path: str) -> list[Change]:
    """Return the changes from one JSON value to another. Equal values have none, and ``1`` equals ``1.0`` among parameters.

    Args:
        old: The first value.
        new: The second value.
        path: The path of both values.
    """
    exact = is_exact(path.rpartition(".")[2])
    try:
        return list(islice(_changes(old, new, path, exact), _MOST))
    except (RecursionError, TypeError):
        # Nested deeper than any request with a key, so this library did not write the file. orjson raises TypeError for it.
        return [Change(path, UNKNOWN, UNKNOWN)]


def difference(change: Change) -> Difference:
    """Return a change as readable text."""
    path, old, new, moved = change
    if moved:
        return Difference(path, f"in a different order: {_order(old)} -> {_order(new)}")
    if old is UNKNOWN or new is UNKNOWN:
        return Difference(path, "differs")
    return Difference(path, changed(old, new))


def _changes(old: Any, new: Any, path: str, exact: bool) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict) and blob(old) is None and blob(new) is None:
        for name in dict.fromkeys((*old, *new)):
            below, left, right = path + step(name), old.get(name, ABSENT), new.get(name, ABSENT)
            if is_secret(name):
                # Requests are stored without their credentials, so a missing credential is not a difference.
                if (
                    left is not ABSENT
                    and right is not ABSENT
                    and _serialized(left, exact) != _serialized(right, exact)
                ):
                    yield Change(below, UNKNOWN, UNKNOWN)
            elif left is ABSENT or right is ABSENT:
                yield Change(below, left, right)
            else:
                yield from _changes(left, right, below, exact or is_exact(name))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_changes(old, new, path, exact)
    elif not _same(old, new, exact):
        yield Change(path, old, new)


def _list_changes(old: list[Any], new: list[Any], path: str, exact: bool) -> Iterator[Change]:
    left, right = [_serialized(item, exact) for item in old], [_serialized(item, exact) for item in new]
    if left == right:
        return
    if len(left) > 1 and sorted(left) == sorted(right):
        yield Change(path, old, new, moved=True)
        return
    for begin, end, other_begin, other_end in _blocks(left, right):
        paired = min(end - begin, other_end - other_begin)
        for offset in range(paired):
            at = other_begin + offset
            yield from _changes(old[begin + offset], new[at], f"{path}[{at}]", exact)
        for at in range(begin + paired, end):
            yield Change(f"{path}[{at}]", old[at], ABSENT)
        for at in range(other_begin + paired, other_end):
            yield Change(f"{path}[{at}]", ABSENT, new[at])


def _blocks(left: list[bytes], right: list[bytes]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the ranges in which two lists differ."""
    if max(len(left), len(right)) > _ALIGNED:
        yield 0, len(left), 0, len(right)
        return
    for kind, *ranges in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind != "equal":
            begin, end, other_begin, other_end = ranges
            yield begin, end, other_begin, other_end


def _serialized(value: Any, exact: bool) -> bytes:
    return orjson.dumps(value if exact else _normalised(value), option=orjson.OPT_SORT_KEYS)


def _normalised(value: Any) -> Any:
    """Return a value with whole floats as integers, as in a key."""
    if isinstance(value, dict):
        return {name: _normalised(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_normalised(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53 else value


def _same(old: Any, new: Any, exact: bool) -> bool:
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if exact and type(old) is not type(new):
        return False
    return bool(old == new)


def _order(items: list[Any]) -> str:
    """Return the items of a list, by name if they have one."""
    return ", ".join(_name(item) for item in items[:8]) + (", …" if len(items) > 8 else "")  # noqa: PLR2004 - enough to recognise the order


def _name(item: Any) -> str:
    inner = item
    while isinstance(inner, dict):
        if isinstance(inner.get("name"), str):
            return value_text(inner["name"]).strip('"')
        inner = next((value for value in inner.values() if isinstance(value, dict)), None)
    return value_text(item)
