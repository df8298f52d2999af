"""A value that cannot be part of a cache key raises an error with its path, never with the value."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, StrEnum
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock

import pydantic
import pytest

from spark_cache.errors import UncacheableRequestError
from spark_cache.keys import cache_key

_LOOP: list[Any] = []
_LOOP.append(_LOOP)
_RING: dict[str, Any] = {}
_RING["self"] = _RING


class _Answer(pydantic.BaseModel):
    value: float


class _Broken(pydantic.BaseModel):
    @pydantic.model_serializer
    def _serialise(self):
        raise RuntimeError("secret text")


@dataclass
class _Options:
    handler: Any


class _Fine(StrEnum):
    FAST = "fast"


class _Rude:
    """Raises an error on every attribute access."""

    def __getattribute__(self, name):
        if name == "__class__":
            return object.__getattribute__(self, name)
        raise OSError("secret text")


def _nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


_REFUSED: list[tuple[Any, str]] = [
    (lambda: None, "parameters.metadata.fn"),
    (print, "parameters.metadata.fn"),
    (object(), "parameters.metadata.fn"),
    (StringIO("text"), "parameters.metadata.fn"),
    (float("nan"), "parameters.metadata.fn"),
    (float("inf"), "parameters.metadata.fn"),
    (float("-inf"), "parameters.metadata.fn"),
    (Decimal("NaN"), "parameters.metadata.fn"),
    (Decimal("Infinity"), "parameters.metadata.fn"),
    (10**5000, "parameters.metadata.fn"),
    ("\ud800", "parameters.metadata.fn"),
    ("\udfff" * 20_000, "parameters.metadata.fn"),
    (Path("\udcff"), "parameters.metadata.fn"),
    ({1, 2}, "parameters.metadata.fn"),
    (frozenset(), "parameters.metadata.fn"),
    (iter([1]), "parameters.metadata.fn"),
    (bytearray(b"x"), "parameters.metadata.fn"),
    (memoryview(b"x"), "parameters.metadata.fn"),
    (1j, "parameters.metadata.fn"),
    (int, "parameters.metadata.fn"),
    (threading.Lock(), "parameters.metadata.fn"),
    (ValueError("secret text"), "parameters.metadata.fn"),
    (Mock(), "parameters.metadata.fn"),
    (MagicMock(), "parameters.metadata.fn"),
    (MagicMock(spec=str), "parameters.metadata.fn"),
    (MagicMock(spec=dict), "parameters.metadata.fn"),
    (MagicMock(spec=Path), "parameters.metadata.fn"),
    (MagicMock(spec=Enum), "parameters.metadata.fn"),
    (_Rude(), "parameters.metadata.fn"),
    (_Broken(), "parameters.metadata.fn"),
    (_Options(len), "parameters.metadata.fn.handler"),
    (_Answer(value=float("nan")), "parameters.metadata.fn.value"),
    ([1, [2, len]], "parameters.metadata.fn[1][1]"),
    ((1, {"a": len}), "parameters.metadata.fn[1].a"),
    ({"~tool": len}, "parameters.metadata.fn.~tool"),
    ({"~~": {"x": "\ud800"}}, "parameters.metadata.fn.~~.x"),
    ({1: "one"}, "parameters.metadata.fn"),
    ({None: 1}, "parameters.metadata.fn"),
    ({b"a": 1}, "parameters.metadata.fn"),
    ({MagicMock(spec=str): 1}, "parameters.metadata.fn"),
    ({_Fine.FAST: 1}, "parameters.metadata.fn"),
    ({"\ud800": 1}, "parameters.metadata.fn"),
    ({"line\nbreak": len}, "parameters.metadata.fn['line\\nbreak']"),
    ({"": len}, "parameters.metadata.fn['']"),
    ({"k" * 500: len}, f"parameters.metadata.fn[{'k' * 60!r}]"),
]


@pytest.mark.parametrize("number", range(len(_REFUSED)), ids=[type(value).__name__ for value, _ in _REFUSED])
def test_the_error_contains_the_path(ask, number):
    """A value without a canonical form raises an error with its exact path."""
    value, path = _REFUSED[number]
    with pytest.raises(UncacheableRequestError) as refused:
        cache_key(ask(parameters={"metadata": {"fn": value}}))
    assert refused.value.path == path
    assert str(refused.value) == f"{path}: {refused.value.reason}"


@pytest.mark.parametrize("field", ["messages", "system_prompt", "tool_specs", "tool_choice", "output_schema"])
def test_the_path_begins_with_the_part_of_the_request(ask, field):
    """The path begins with the part of the request that contains the value."""
    with pytest.raises(UncacheableRequestError) as refused:
        cache_key(ask(**{field: [{"content": len}]}))
    assert refused.value.path == f"{field}[0].content"


@pytest.mark.parametrize("field", ["provider", "model_id"])
def test_provider_and_model_must_be_strings(ask, field):
    """A provider or a model that is not a string is refused."""
    with pytest.raises(UncacheableRequestError, match=f"^{field}: must be a str, not int$"):
        cache_key(ask(**{field: 5}))


@pytest.mark.parametrize("value", [_LOOP, _RING], ids=["list", "dict"])
def test_cycles_are_refused(ask, value):
    """A value that contains itself is refused instead of being followed for ever."""
    with pytest.raises(
        UncacheableRequestError, match="is nested more than 64 levels deep or contains itself"
    ):
        cache_key(ask(tool_choice=value))


def test_nesting_is_bounded(ask):
    """64 levels are accepted, and 65 are refused."""
    assert cache_key(ask(tool_choice=_nested(64)))
    with pytest.raises(UncacheableRequestError):
        cache_key(ask(tool_choice=_nested(65)))


def test_two_keys_with_the_same_string_are_refused(ask):
    """A dictionary with two keys that convert to the same string has no canonical form."""

    class Tag(str):
        __slots__ = ()
        __hash__ = object.__hash__

        def __eq__(self, other):
            return self is other

    with pytest.raises(UncacheableRequestError, match="two keys that convert to the same string"):
        cache_key(ask(tool_choice={"a": 1, Tag("a"): 2}))


def test_a_dictionary_that_changes_during_the_read_is_refused(ask):
    """A value that another thread changes during the read is refused like any other unsupported value."""
    shared = {"a": None, "b": 1}

    class Meddler(Enum):
        ONE = 1

        @property
        def value(self):
            shared["c"] = 2
            return 1

    shared["a"] = Meddler.ONE
    with pytest.raises(UncacheableRequestError, match="cannot be read"):
        cache_key(ask(tool_choice=shared))


@pytest.mark.parametrize(
    "value",
    [_Broken(), _Rude(), ValueError("secret text"), "secret text\ud800"],
    ids=["model", "rude", "error", "text"],
)
def test_errors_do_not_quote_the_value(ask, value):
    """An error describes the problem and never quotes the value."""
    with pytest.raises(UncacheableRequestError) as refused:
        cache_key(ask(parameters={"x": [value]}))
    assert "secret" not in str(refused.value)


def test_pydantic_warnings_are_suppressed(ask, recwarn):
    """A model with unexpected field values emits no warning, which would quote them."""
    cache_key(ask(tool_choice=_Answer.model_construct(value="secret text")))
    assert not recwarn.list
