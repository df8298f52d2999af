"""One value -> its canonical form: what ``orjson`` then writes the same way everywhere.

Equal meanings give equal forms (``1`` and ``1.0``, a tuple and a list); different meanings never do. A value that JSON has no word for
becomes an object of one tagged name, such as ``{"~decimal": "0.10"}``; names of ordinary dictionaries that begin with ``~`` get a second
one, so that no ordinary value can be taken for a tagged one.
"""

from __future__ import annotations

import dataclasses
import sys
from base64 import b64encode
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from operator import methodcaller
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from spark_cache.errors import UncacheableRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DIGEST_FROM", "INT_MAX", "INT_MIN", "TEXT_DIGEST", "canonical_bytes", "float_form"]

DIGEST_FROM = 16_384
"""Text of this many characters, and bytes of this many, enter the canonical form by their SHA-256 digest."""

TEXT_DIGEST = "~sha256:text"
_BYTES_DIGEST = "~sha256:bytes"

_MAX_DEPTH = 64
_NO_TEXT = "holds a lone surrogate, which is no text"
INT_MIN, INT_MAX = -(2**63), 2**64 - 1
"""The integers that stand for themselves."""
_EXACT_FLOAT = 2.0**53

_SHOWN_OF_NAME = 60
"""How many characters of a dictionary's key an error shows: the path has to name the place, not to quote the data."""


class _RefusedError(Exception):
    """A value without a canonical form; the path to it is gathered on the way out, so that a good value pays nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[str | int] = []


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise _RefusedError(f"is Decimal({str(value)!r}), which equals nothing in JSON")
    return str(value)


_TAGGED: tuple[tuple[type, str, Callable[[Any], str]], ...] = (
    # The value's own method: a subclass may know more than its base, such as nanoseconds.
    (datetime, "~datetime", methodcaller("isoformat")),  # before date, whose subclass it is
    (date, "~date", methodcaller("isoformat")),
    (time, "~time", methodcaller("isoformat")),
    (Decimal, "~decimal", _decimal),
    (UUID, "~uuid", str),
)
"""Types that JSON has no word for, the name they are tagged with, and their text."""

_PLAIN: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, bytes),
    (dict, dict),
    (list, list),
    (tuple, list),
)
"""Subclasses of the frequent types count as what they are made of."""


def canonical_bytes(value: object, path: str, digest: Callable[[str | bytes], str]) -> bytes:
    """Write a value as canonical JSON.

    Args:
        value: What to write.
        path: How errors name it, such as ``parameters``.
        digest: The SHA-256 of a long text (of its UTF-8 bytes) or of long bytes, in hex.

    Returns:
        UTF-8 JSON, names sorted by code point, without white space.

    Raises:
        UncacheableRequestError: Something in it has no canonical form; the error names the place.
    """
    try:
        tree = _canonical(value, digest, 0)
        try:
            return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            # The one thing left to refuse is text with lone surrogates, too rare to look for in every text beforehand.
            _refuse_surrogates(tree)
            raise
    except _RefusedError as refused:
        steps = "".join(_shown(step) for step in reversed(refused.steps))
        raise UncacheableRequestError(path + steps, refused.reason) from None
    except RuntimeError as error:
        # Changed by another thread meanwhile, or read with next to no stack left.
        raise UncacheableRequestError(path, f"cannot be read ({type(error).__name__})") from None


def _canonical(value: Any, digest: Callable[[str | bytes], str], depth: int) -> Any:  # noqa: PLR0911 - one line for each type
    kind = type(value)
    if kind is str:
        return value if len(value) < DIGEST_FROM else _text_digest(value, digest)
    if kind is dict:
        return _canonical_dict(value, digest, depth)
    if kind is list or kind is tuple:
        return _canonical_list(value, digest, depth)
    if kind is bool or value is None:
        return value
    if kind is int:
        return value if INT_MIN <= value <= INT_MAX else {"~int": _digits(value)}
    if kind is float:
        return _canonical_float(value)
    if kind is bytes:
        return (
            {"~bytes": b64encode(value).decode()}
            if len(value) < DIGEST_FROM
            else {_BYTES_DIGEST: digest(value)}
        )
    return _canonical_other(value, digest, depth)


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        raise _RefusedError("is an integer of more digits than Python writes") from None


def _text_digest(value: str, digest: Callable[[str | bytes], str]) -> dict[str, str]:
    try:
        return {TEXT_DIGEST: digest(value)}
    except UnicodeEncodeError:
        raise _RefusedError(_NO_TEXT) from None


def _canonical_dict(
    value: dict[Any, Any], digest: Callable[[str | bytes], str], depth: int
) -> dict[str, Any]:
    if depth >= _MAX_DEPTH:
        raise _RefusedError(f"is nested deeper than {_MAX_DEPTH} levels, or contains itself")
    if _is_plain(value):
        return value
    tree: dict[str, Any] = {}
    for name, item in value.items():
        written = name if type(name) is str and name[:1] != "~" else _written(name)
        kind = type(item)
        # What stands for itself needs no call, and most of what a dictionary holds does.
        if (kind is str and len(item) < DIGEST_FROM) or kind is bool or item is None:
            tree[written] = item
            continue
        try:
            tree[written] = _canonical_float(item) if kind is float else _canonical(item, digest, depth + 1)
        except _RefusedError as refused:
            refused.steps.append(str.__str__(name))
            raise
    if len(tree) != len(value):
        raise _RefusedError("has two keys that are one text")
    return tree


def _written(name: Any) -> str:
    """The name of an item as it is written: what begins like a tag gets one ``~`` more."""
    if not issubclass(type(name), str) or isinstance(name, Enum):
        raise _RefusedError(f"has a key of type {_type_name(name)}; only text keys can be cached")
    text = str.__str__(name)
    return "~" + text if text[:1] == "~" else text


def _is_plain(value: dict[Any, Any]) -> bool:
    """Whether a dictionary is its own canonical form, as most messages are: short texts under ordinary names."""
    for name, item in value.items():
        if type(name) is not str or type(item) is not str or len(item) >= DIGEST_FROM or name[:1] == "~":
            return False
    return type(value) is dict


def _canonical_list(
    value: list[Any] | tuple[Any, ...], digest: Callable[[str | bytes], str], depth: int
) -> list[Any]:
    if depth >= _MAX_DEPTH:
        raise _RefusedError(f"is nested deeper than {_MAX_DEPTH} levels, or contains itself")
    tree = []
    for index, item in enumerate(value):
        try:
            tree.append(
                _canonical_dict(item, digest, depth + 1)
                if type(item) is dict
                else _canonical(item, digest, depth + 1)
            )
        except _RefusedError as refused:
            refused.steps.append(index)
            raise
    return tree


def _canonical_float(value: float) -> Any:
    form = float_form(value)
    if form is None:
        raise _RefusedError(f"is {value!r}, which equals nothing in JSON")
    return form


def float_form(value: float) -> int | orjson.Fragment | None:
    """The canonical form of a float; None where it has none."""
    if -_EXACT_FLOAT <= value <= _EXACT_FLOAT and value == (whole := int(value)):
        return whole
    # Python's shortest repr is the same on every platform; how orjson writes a float may change with its release.
    return orjson.Fragment(repr(value)) if isfinite(value) else None


def _canonical_other(value: Any, digest: Callable[[str | bytes], str], depth: int) -> Any:
    """The types that requests rarely hold, and subclasses of the frequent ones."""
    try:
        tag, plain = _simpler(value)
    except _RefusedError:
        raise
    except Exception as error:  # noqa: BLE001 - the methods of somebody's class may raise anything
        raise _RefusedError(
            f"is a {_type_name(value)} that cannot be read ({type(error).__name__})"
        ) from None
    if tag is None:
        return _canonical(plain, digest, depth)
    if type(plain) is not str:
        raise _RefusedError(f"is a {_type_name(value)}, which cannot be keyed exactly")
    return {tag: plain}


def _simpler(value: Any) -> tuple[str | None, Any]:
    """A value as its tag and its text, or without a tag as a value of a simpler type."""
    # What it really is: a mock passes for an instance of any class.
    own = type(value)
    if issubclass(own, Enum):
        return None, value.value
    for kind, tag, text in _TAGGED:
        if issubclass(own, kind):
            return tag, text(value)
    for kind, plain in _PLAIN:
        if issubclass(own, kind):
            return None, plain(value)
    if hasattr(own, "__fspath__") and hasattr(own, "as_posix"):
        # A pathlib path, recognised by what it does: this room imports nothing that touches files.
        return "~path", value.as_posix()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return None, {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None, _of_pydantic(value)


def _of_pydantic(value: Any) -> Any:
    """A pydantic model as its JSON, a model class as its JSON schema; refuse everything else."""
    # Never imported here: a value can only be a pydantic model if its maker has imported pydantic.
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None:
        try:
            if issubclass(type(value), pydantic.BaseModel):
                # Its warnings would quote what the fields hold.
                return value.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)
            if isinstance(value, type) and issubclass(value, pydantic.BaseModel):
                schema: dict[str, Any] = value.model_json_schema()  # type: ignore[attr-defined]  # known only at run time
                return schema
        except Exception as error:  # noqa: BLE001 - a model's own serialisers may raise anything
            raise _RefusedError(
                f"is a {_type_name(value)} that has no JSON form ({type(error).__name__})"
            ) from None
    raise _RefusedError(f"is a {_type_name(value)}, which cannot be keyed exactly")


def _type_name(value: object) -> str:
    return type(value).__qualname__


def _shown(step: str | int) -> str:
    """One step of a path, as an error names it."""
    if isinstance(step, int):
        return f"[{step}]"
    if step.isprintable() and 0 < len(step) <= _SHOWN_OF_NAME:
        return f".{step}"
    return f"[{step[:_SHOWN_OF_NAME]!a}]"


def _refuse_surrogates(tree: Any) -> None:
    """Raise for the first text in a canonical tree that UTF-8 cannot hold."""
    if isinstance(tree, dict):
        items: Any = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    else:
        items = ()
        if isinstance(tree, str) and not _is_utf8(tree):
            raise _RefusedError(_NO_TEXT)
    for step, item in items:
        if isinstance(step, str) and not _is_utf8(step):
            raise _RefusedError("has a key with a lone surrogate, which is no text")
        try:
            _refuse_surrogates(item)
        except _RefusedError as refused:
            if not isinstance(step, str) or step[:1] != "~":
                refused.steps.append(step)
            elif step[:2] == "~~":
                refused.steps.append(step[1:])
            # The one name left belongs to a tagged value: no place in the request.
            raise


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
