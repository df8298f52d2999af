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
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from spark_cache.errors import UncacheableRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DIGEST_FROM", "TEXT_DIGEST", "canonical_bytes"]

DIGEST_FROM = 16_384
"""Text of this many characters, and bytes of this many, enter the canonical form by their SHA-256 digest."""

TEXT_DIGEST = "~sha256:text"
_BYTES_DIGEST = "~sha256:bytes"

_MAX_DEPTH = 64
_NO_TEXT = "holds a lone surrogate, which is no text"
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_EXACT_FLOAT = 2.0**53


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
    (datetime, "~datetime", datetime.isoformat),  # before date, whose subclass it is
    (date, "~date", date.isoformat),
    (time, "~time", time.isoformat),
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
        steps = "".join(
            f"[{step}]" if isinstance(step, int) else f".{step}" for step in reversed(refused.steps)
        )
        raise UncacheableRequestError(path + steps, refused.reason) from None


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
        return value if _INT_MIN <= value <= _INT_MAX else {"~int": str(value)}
    if kind is float:
        return _canonical_float(value)
    if kind is bytes:
        return (
            {"~bytes": b64encode(value).decode()}
            if len(value) < DIGEST_FROM
            else {_BYTES_DIGEST: digest(value)}
        )
    return _canonical_other(value, digest, depth)


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
    tree = {}
    for name, item in value.items():
        if type(name) is not str:
            if not isinstance(name, str) or isinstance(name, Enum):
                raise _RefusedError(f"has a key of type {_type_name(name)}; only text keys can be cached")
            name = str.__str__(name)  # noqa: PLW2901 - a subclass of str is the text it holds
        if name[:1] == "~":
            name = "~" + name  # noqa: PLW2901 - see the module's docstring
        if type(item) is str and len(item) < DIGEST_FROM:
            tree[name] = item
            continue
        try:
            tree[name] = _canonical(item, digest, depth + 1)
        except _RefusedError as refused:
            refused.steps.append(name)
            raise
    return tree


def _canonical_list(
    value: list[Any] | tuple[Any, ...], digest: Callable[[str | bytes], str], depth: int
) -> list[Any]:
    if depth >= _MAX_DEPTH:
        raise _RefusedError(f"is nested deeper than {_MAX_DEPTH} levels, or contains itself")
    tree = []
    for index, item in enumerate(value):
        try:
            tree.append(_canonical(item, digest, depth + 1))
        except _RefusedError as refused:
            refused.steps.append(index)
            raise
    return tree


def _canonical_float(value: float) -> Any:
    if not isfinite(value):
        raise _RefusedError(f"is {value!r}, which equals nothing in JSON")
    if -_EXACT_FLOAT <= value <= _EXACT_FLOAT and value == int(value):
        return int(value)
    # Python's shortest repr is the same on every platform; how orjson writes a float may change with its release.
    return orjson.Fragment(repr(value))


def _canonical_other(value: Any, digest: Callable[[str | bytes], str], depth: int) -> Any:
    """The types that requests rarely hold, and subclasses of the frequent ones."""
    if isinstance(value, Enum):
        return _canonical(value.value, digest, depth)
    for kind, tag, text in _TAGGED:
        if isinstance(value, kind):
            return {tag: text(value)}
    for kind, plain in _PLAIN:
        if isinstance(value, kind):
            return _canonical(plain(value), digest, depth)
    if hasattr(value, "__fspath__") and hasattr(value, "as_posix"):
        # A pathlib path, recognised by what it does: this room imports nothing that touches files.
        return {"~path": value.as_posix()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _canonical_dict(fields, digest, depth)
    return _canonical(_of_pydantic(value), digest, depth)


def _of_pydantic(value: Any) -> Any:
    """A pydantic model as its JSON, a model class as its JSON schema; refuse everything else."""
    # Never imported here: a value can only be a pydantic model if its maker has imported pydantic.
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None:
        try:
            if isinstance(value, pydantic.BaseModel):
                return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
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
            refused.steps.append(step)
            raise


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
