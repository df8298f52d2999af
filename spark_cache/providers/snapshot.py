"""The snapshot of a request: its values as plain JSON values, made once and before anything else can change them.

The snapshot is keyed, checked for state, sent and stored, so no two of these can see different values.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, time
from enum import Enum
from operator import methodcaller
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Rules", "dumped", "snapshot"]

_UNCHANGED = frozenset({str, int, float, bool, type(None)})
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, bytes),
    (bytearray, bytes),
    (memoryview, bytes),
)
"""Types that are sent as a simpler one. Subclasses of strings and numbers are, whatever methods they override."""

_AS_TEXT: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (date, methodcaller("isoformat")),  # a datetime is a date
    (time, methodcaller("isoformat")),
    (UUID, str),
)

_MAX_DEPTH = 150
"""A value with deeper ones in it, or with itself, is kept as it is. It has no key, and the SDK decides whether it sends it."""


class _TooDeepError(Exception):
    """A value is nested too deeply."""


def dumped(value: Any) -> Any:
    """Return the content of a pydantic model as most SDKs send it: the fields that were set, by their aliases."""
    excluded = getattr(value, "__api_exclude__", None)
    return value.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=excluded, warnings=False)


class Rules(NamedTuple):
    """How a provider's requests are written.

    Attributes:
        dump: Returns the content of a pydantic model as the provider's SDK sends it.
        encode: Returns what is sent for bytes; None keeps them.
        dates_as_text: Whether dates, times and UUIDs become the text that is sent. Otherwise they stay what they are.
        read: Whether paths and open files are replaced by their bytes.
    """

    dump: Callable[[Any], Any] = dumped
    encode: Callable[[bytes], Any] | None = None
    dates_as_text: bool = True
    read: bool = False


def snapshot(value: Any, rules: Rules) -> Any:
    """Return a value as plain JSON values, with new dictionaries and lists. Strings and bytes are shared.

    Iterators become lists, and classes of pydantic models their JSON schema. A value that is neither JSON nor has a known form
    stays what it is: it has no key, and the SDK decides what to do with it.

    Args:
        value: The value.
        rules: How the provider's requests are written.

    Raises:
        OSError: A file cannot be read.
    """
    try:
        return _plain(value, rules, 0)
    except _TooDeepError:
        return value


def _plain(value: Any, rules: Rules, depth: int) -> Any:  # noqa: C901, PLR0911 - one branch for each kind of value
    kind = type(value)
    if kind in _UNCHANGED:
        return value
    if depth >= _MAX_DEPTH:
        raise _TooDeepError
    if kind is list or kind is tuple:
        return _list(value, rules, depth + 1)
    if kind is dict:
        return _dictionary(value, rules, depth + 1)
    if kind is bytes:
        return value if rules.encode is None else rules.encode(value)
    own = _base_of(value, kind, rules)
    if own is not value:
        return own if type(own) in _UNCHANGED else _plain(own, rules, depth + 1)
    if _is_model(kind) or (isinstance(value, type) and _is_model(value)):
        content = _content_of_model(value, rules)
        return value if content is value else _plain(content, rules, depth + 1)
    if issubclass(kind, Mapping):
        return _dictionary(value, rules, depth + 1)
    if _is_file(kind):
        return _plain(_content(value), rules._replace(read=False), depth) if rules.read else value
    if issubclass(kind, Iterator | Sequence):
        return _list(value, rules, depth + 1)
    return value


def _list(value: Iterable[Any], rules: Rules, depth: int) -> list[Any]:
    result = []
    for item in value:
        kind = type(item)
        if kind is dict:
            # Copied in one step: another thread may change it. Most messages are dictionaries of strings.
            item = item.copy()  # noqa: PLW2901 - the original is not looked at again
            for inner in item.values():
                if type(inner) not in _UNCHANGED:
                    item = _dictionary(item, rules, depth + 1)  # noqa: PLW2901 - the same
                    break
        elif kind not in _UNCHANGED:
            item = _plain(item, rules, depth)  # noqa: PLW2901 - the same
        result.append(item)
    return result


def _dictionary(value: Mapping[Any, Any], rules: Rules, depth: int) -> dict[Any, Any]:
    # The items are copied first, for the same reason.
    items = tuple(value.items())
    result = {
        (str.__str__(name) if issubclass(type(name), str) else name): item
        if type(item) in _UNCHANGED
        else _plain(item, rules, depth)
        for name, item in items
    }
    # Two names with the same text are sent twice, so neither may be lost here.
    return result if len(result) == len(items) else dict(items)


def _base_of(value: Any, kind: type, rules: Rules) -> Any:
    """Return a simpler value that is sent in place of one, or the value itself."""
    for base, plain in (*_BASES, *_AS_TEXT) if rules.dates_as_text else _BASES:
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


def _content_of_model(value: Any, rules: Rules) -> Any:
    try:
        return rules.dump(value) if _is_model(type(value)) else value.model_json_schema()
    except Exception:  # noqa: BLE001 - a caller's serialiser may raise anything; the SDK meets the same value
        return value


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
