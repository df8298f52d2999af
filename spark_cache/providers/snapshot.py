"""The snapshot of a request: its values as plain JSON values, made once and before anything else can change them.

The snapshot is keyed, checked for state, sent and stored, so no two of these can see different values.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from enum import Enum
from operator import methodcaller
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["dumped", "snapshot"]

_UNCHANGED = frozenset({str, int, float, bool, bytes, type(None)})
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, bytes),
    (bytearray, bytes),
    (memoryview, bytes),
    (date, methodcaller("isoformat")),  # a datetime is a date
    (time, methodcaller("isoformat")),
    (UUID, str),
)
"""Types that are sent as a simpler one. Subclasses of strings and numbers are, whatever methods they override."""

_MAX_DEPTH = 150
"""Deeper values are kept as they are. They have no key, and the SDK decides whether it sends them."""


def snapshot(  # noqa: PLR0911 - one return for each kind of value
    value: Any, dump: Callable[[Any], Any], *, read: bool = False, depth: int = 0
) -> Any:
    """Return a value as plain JSON values, with new dictionaries and lists. Strings and bytes are shared.

    Iterators become lists. A value that is neither JSON nor has a known form stays what it is: it has no key, and the SDK
    decides what to do with it.

    Args:
        value: The value.
        dump: Returns the content of a pydantic model as the provider's SDK sends it.
        read: Whether paths and open files are replaced by their bytes.
        depth: The number of containers around the value.

    Raises:
        OSError: A file cannot be read.
    """
    kind = type(value)
    if kind in _UNCHANGED or depth >= _MAX_DEPTH:
        return value
    if kind is list or kind is tuple:
        return _list(value, dump, read, depth + 1)
    if kind is dict:
        return _dictionary(value, dump, read, depth + 1)
    own = _base_of(value, kind)
    if own is not value:
        return own if type(own) in _UNCHANGED else snapshot(own, dump, read=read, depth=depth + 1)
    if _is_model(kind):
        return snapshot(dump(value), dump, read=read, depth=depth + 1)
    if issubclass(kind, Mapping):
        return _dictionary(value, dump, read, depth + 1)
    if _is_file(kind):
        return _content(value) if read else value
    if issubclass(kind, Iterator | Sequence):
        return _list(value, dump, read, depth + 1)
    return value


def dumped(value: Any) -> Any:
    """Return the content of a pydantic model as most SDKs send it: the fields that were set, by their aliases."""
    excluded = getattr(value, "__api_exclude__", None)
    return value.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=excluded, warnings=False)


def _list(value: Iterable[Any], dump: Callable[[Any], Any], read: bool, depth: int) -> list[Any]:
    result = []
    for item in value:
        kind = type(item)
        if kind is dict:
            # Copied in one step: another thread may change it. Most messages are dictionaries of strings.
            item = item.copy()  # noqa: PLW2901 - the original is not looked at again
            for inner in item.values():
                if type(inner) not in _UNCHANGED:
                    item = _dictionary(item, dump, read, depth + 1)  # noqa: PLW2901 - the same
                    break
        elif kind not in _UNCHANGED:
            item = snapshot(item, dump, read=read, depth=depth)  # noqa: PLW2901 - the same
        result.append(item)
    return result


def _dictionary(
    value: Mapping[Any, Any], dump: Callable[[Any], Any], read: bool, depth: int
) -> dict[Any, Any]:
    # The items are copied first, for the same reason.
    return {
        (str.__str__(name) if isinstance(name, str) else name): item
        if type(item) in _UNCHANGED
        else snapshot(item, dump, read=read, depth=depth)
        for name, item in tuple(value.items())
    }


def _base_of(value: Any, kind: type) -> Any:
    """Return a simpler value that is sent in place of one, or the value itself."""
    for base, plain in _BASES:
        if issubclass(kind, base):
            return plain(value)
    if issubclass(kind, Enum):
        return value.value
    if dataclasses.is_dataclass(kind) and not _is_model(kind):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(kind)}
    return value


def _is_model(kind: type) -> bool:
    # A value can be a pydantic model only if the caller has imported pydantic.
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(kind, pydantic.BaseModel)


def _is_file(kind: type) -> bool:
    return hasattr(kind, "__fspath__") or (hasattr(kind, "read") and hasattr(kind, "seek"))


def _content(value: Any) -> Any:
    """Return the bytes of a path or an open file. A file that is open for writing is returned unchanged."""
    if hasattr(value, "read_bytes"):
        return value.read_bytes()
    if not hasattr(value, "readable") or not value.readable():
        return value
    content = value.read()
    return content.encode() if isinstance(content, str) else content
