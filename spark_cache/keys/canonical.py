"""The canonical form of a value, which ``orjson`` writes the same way everywhere.

Values with equal meanings have equal forms (a tuple and a list; ``1`` and ``1.0`` as parameters). Values with different meanings
never do. A value that JSON cannot represent becomes an object with one tagged name, such as ``{"~decimal": "0.10"}``. A name in an
ordinary dictionary that begins with ``~`` gets a second ``~``, so an ordinary value is never mistaken for a tagged one.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from operator import methodcaller
from typing import Any
from uuid import UUID

import orjson

from spark_cache.errors import UncacheableRequestError
from spark_cache.types import Base64Text

__all__ = [
    "DIGEST_FROM",
    "INT_MAX",
    "INT_MIN",
    "TEXT_DIGEST",
    "Digest",
    "canonical_bytes",
    "float_form",
    "is_exact",
]

DIGEST_FROM = 16_384
"""From this length, in characters or in bytes, the canonical form contains the SHA-256 digest of a value instead of the value."""

TEXT_DIGEST = "~sha256:text"
_BYTES_DIGEST = "~sha256:bytes"

_MAX_DEPTH = 64
_LONE_SURROGATE = "contains a lone surrogate, which cannot be encoded as UTF-8"
INT_MIN, INT_MAX = -(2**63), 2**64 - 1
"""The range of integers that are their own canonical form."""
_EXACT_FLOAT = 2.0**53

_SHOWN_NAME_LENGTH = 60
"""How many characters of a dictionary key an error shows. The path must locate the value without quoting the data."""


class _RefusedError(Exception):
    """A value without a canonical form. Callers add the path as the error propagates, so that valid values cost nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[str | int] = []


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise _RefusedError(f"Decimal({str(value)!r}) has no JSON equivalent")
    return str(value)


_TAGGED: tuple[tuple[type, str, Callable[[Any], str]], ...] = (
    # Call the value's own method: a subclass may add precision to its base, such as nanoseconds.
    (datetime, "~datetime", methodcaller("isoformat")),  # before date, because datetime is a subclass of date
    (date, "~date", methodcaller("isoformat")),
    (time, "~time", methodcaller("isoformat")),
    (Decimal, "~decimal", _decimal),
    (UUID, "~uuid", str),
)
"""Types that JSON cannot represent, with their tag and the function that returns their text."""

_EXACT = frozenset(
    {
        "contents",
        "functions",
        "input",
        "json_schema",
        "messages",
        "output_schema",
        "responseJsonSchema",
        "responseSchema",
        "schema",
        "system",
        "systemInstruction",
        "system_prompt",
        "toolConfig",
        "tool_specs",
        "tools",
    }
)
"""Fields with messages, tools or a schema. In them, ``1`` and ``1.0`` are different."""

Digest = Callable[["str | bytes | Base64Text"], str]
"""Returns the SHA-256 in hex of a long text (of its UTF-8 bytes) or of long bytes."""


def canonical_bytes(value: object, path: str, digest: Digest, *, exact: bool = False) -> bytes:
    """Encode a value as canonical JSON.

    Args:
        value: The value.
        path: The name of the value in errors, such as ``body``.
        digest: The function for long texts and bytes.
        exact: Whether ``1`` and ``1.0`` are different.

    Returns:
        UTF-8 JSON without white space, with names sorted by code point.

    Raises:
        UncacheableRequestError: A part of the value has no canonical form. The error contains the path.
    """
    try:
        tree = _canonical(value, digest, 0, exact)
        try:
            return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            # Only lone surrogates can fail here. They are too rare to search every string for them in advance.
            _refuse_surrogates(tree)
            raise
    except _RefusedError as refused:
        steps = "".join(_shown(step) for step in reversed(refused.steps))
        raise UncacheableRequestError(path + steps, refused.reason) from None
    except RuntimeError as error:
        # Another thread changed the value, or the stack is nearly exhausted.
        raise UncacheableRequestError(path, f"cannot be read ({type(error).__name__})") from None


def is_exact(name: str) -> bool:
    """Return whether ``1`` and ``1.0`` are different in a field.

    Args:
        name: The name of the field.
    """
    return name in _EXACT


def _canonical(value: Any, digest: Digest, depth: int, exact: bool) -> Any:  # noqa: PLR0911 - one return for each type
    kind = type(value)
    if kind is str:
        return value if len(value) < DIGEST_FROM else _text_digest(value, digest)
    if kind is dict:
        return _canonical_dict(value, digest, depth, exact)
    if kind is list or kind is tuple:
        return _canonical_list(value, digest, depth, exact)
    if kind is bool or value is None:
        return value
    if kind is int:
        return value if INT_MIN <= value <= INT_MAX else {"~int": _digits(value)}
    if kind is float:
        return _canonical_float(value, exact)
    if kind is bytes:
        return (
            {"~bytes": b64encode(value).decode()}
            if len(value) < DIGEST_FROM
            else {_BYTES_DIGEST: digest(value)}
        )
    if kind is Base64Text:
        length = len(value.prefix) + (len(value.data) + 2) // 3 * 4
        return str(value) if length < DIGEST_FROM else {TEXT_DIGEST: digest(value)}
    return _canonical_other(value)


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        raise _RefusedError("integer has too many digits to convert to a string") from None


def _text_digest(value: str, digest: Digest) -> dict[str, str]:
    try:
        return {TEXT_DIGEST: digest(value)}
    except UnicodeEncodeError:
        raise _RefusedError(_LONE_SURROGATE) from None


def _canonical_dict(value: dict[Any, Any], digest: Digest, depth: int, exact: bool) -> dict[str, Any]:
    if depth >= _MAX_DEPTH:
        raise _RefusedError(f"is nested more than {_MAX_DEPTH} levels deep or contains itself")
    if _is_plain(value):
        return value
    tree: dict[str, Any] = {}
    for name, item in value.items():
        written = name if type(name) is str and name[:1] != "~" else _written(name)
        kind = type(item)
        # Skip the call for values that are their own canonical form, as most values in a dictionary are.
        if (kind is str and len(item) < DIGEST_FROM) or kind is bool or item is None:
            tree[written] = item
            continue
        try:
            tree[written] = _canonical(item, digest, depth + 1, exact or name in _EXACT)
        except _RefusedError as refused:
            refused.steps.append(str.__str__(name))
            raise
    if len(tree) != len(value):
        raise _RefusedError("has two keys that convert to the same string")
    return tree


def _written(name: Any) -> str:
    """Return the canonical form of a dictionary key. A name that begins like a tag gets another ``~``."""
    if not issubclass(type(name), str) or isinstance(name, Enum):
        raise _RefusedError(f"dictionary keys must be str, not {_type_name(name)}")
    text = str.__str__(name)
    return "~" + text if text[:1] == "~" else text


def _is_plain(value: dict[Any, Any]) -> bool:
    """Return whether a dictionary is its own canonical form, as most messages are: short strings under ordinary names."""
    for name, item in value.items():
        if type(name) is not str or type(item) is not str or len(item) >= DIGEST_FROM or name[:1] == "~":
            return False
    return type(value) is dict


def _canonical_list(value: list[Any] | tuple[Any, ...], digest: Digest, depth: int, exact: bool) -> list[Any]:
    if depth >= _MAX_DEPTH:
        raise _RefusedError(f"is nested more than {_MAX_DEPTH} levels deep or contains itself")
    tree = []
    for index, item in enumerate(value):
        try:
            tree.append(
                _canonical_dict(item, digest, depth + 1, exact)
                if type(item) is dict
                else _canonical(item, digest, depth + 1, exact)
            )
        except _RefusedError as refused:
            refused.steps.append(index)
            raise
    return tree


def _canonical_float(value: float, exact: bool) -> Any:
    form = _as_written(value) if exact else float_form(value)
    if form is None:
        raise _RefusedError(f"{value!r} has no JSON equivalent")
    return form


def float_form(value: float) -> int | orjson.Fragment | None:
    """Return the canonical form of a float that is a parameter.

    Args:
        value: The float.

    Returns:
        An integer or a JSON fragment, or None for NaN and the infinities.
    """
    if -_EXACT_FLOAT <= value <= _EXACT_FLOAT and value == (whole := int(value)):
        return whole
    return _as_written(value)


def _as_written(value: float) -> orjson.Fragment | None:
    # Python's shortest repr is the same on every platform. The output of orjson may change between its releases.
    return orjson.Fragment(repr(value)) if isfinite(value) else None


def _canonical_other(value: Any) -> dict[str, str]:
    """Return the canonical form of a rare type."""
    # Use the real type: isinstance accepts a mock as an instance of any class.
    own = type(value)
    for kind, tag, text in _TAGGED:
        if issubclass(own, kind):
            written = _text_of(value, text)
            if type(written) is str:
                return {tag: written}
    if hasattr(own, "__fspath__") and hasattr(own, "as_posix"):
        # A pathlib path, detected by its methods, because this package imports nothing that touches files.
        return {"~path": value.as_posix()}
    raise _RefusedError(f"type {_type_name(value)} cannot be part of a cache key")


def _text_of(value: Any, text: Callable[[Any], str]) -> str:
    try:
        return text(value)
    except _RefusedError:
        raise
    except Exception as error:  # noqa: BLE001 - methods of a caller's class may raise anything
        raise _RefusedError(
            f"value of type {_type_name(value)} cannot be read ({type(error).__name__})"
        ) from None


def _type_name(value: object) -> str:
    return type(value).__qualname__


def _shown(step: str | int) -> str:
    """Return one step of a path as errors show it."""
    if isinstance(step, int):
        return f"[{step}]"
    if step.isprintable() and 0 < len(step) <= _SHOWN_NAME_LENGTH:
        return f".{step}"
    return f"[{step[:_SHOWN_NAME_LENGTH]!a}]"


def _refuse_surrogates(tree: Any) -> None:
    """Raise for the first string in a canonical tree that cannot be encoded as UTF-8."""
    if isinstance(tree, dict):
        items: Any = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    else:
        items = ()
        if isinstance(tree, str) and not _is_utf8(tree):
            raise _RefusedError(_LONE_SURROGATE)
    for step, item in items:
        if isinstance(step, str) and not _is_utf8(step):
            raise _RefusedError("has a key with a lone surrogate, which cannot be encoded as UTF-8")
        try:
            _refuse_surrogates(item)
        except _RefusedError as refused:
            if not isinstance(step, str) or step[:1] != "~":
                refused.steps.append(step)
            elif step[:2] == "~~":
                refused.steps.append(step[1:])
            # Any other name is a tag, which is not part of the path.
            raise


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
