"""A value that cannot be part of a cache key raises an error with its path, never with the value."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
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
    (lambda: None, "body.metadata.fn"),
    (print, "body.metadata.fn"),
    (object(), "body.metadata.fn"),
    (StringIO("text"), "body.metadata.fn"),
    (float("nan"), "body.metadata.fn"),
    (float("inf"), "body.metadata.fn"),
    (float("-inf"), "body.metadata.fn"),
    (Decimal("NaN"), "body.metadata.fn"),
    (Decimal("Infinity"), "body.metadata.fn"),
    (10**5000, "body.metadata.fn"),
    ("\ud800", "body.metadata.fn"),
    ("\udfff" * 20_000, "body.metadata.fn"),
    (Path("\udcff"), "body.metadata.fn"),
    ({1, 2}, "body.metadata.fn"),
    (frozenset(), "body.metadata.fn"),
    (1j, "body.metadata.fn"),
    (int, "body.metadata.fn"),
    (threading.Lock(), "body.metadata.fn"),
    (ValueError("secret text"), "body.metadata.fn"),
    (Mock(), "body.metadata.fn"),
    (MagicMock(), "body.metadata.fn"),
    (MagicMock(spec=str), "body.metadata.fn"),
    (MagicMock(spec=dict), "body.metadata.fn"),
    (MagicMock(spec=Path), "body.metadata.fn"),
    (MagicMock(spec=Enum), "body.metadata.fn"),
    (_Rude(), "body.metadata.fn"),
    (_Broken(), "body.metadata.fn"),
    (_Options(len), "body.metadata.fn.handler"),
    (_Answer(value=float("nan")), "body.metadata.fn.value"),
    ([1, [2, len]], "body.metadata.fn[1][1]"),
    ((1, {"a": len}), "body.metadata.fn[1].a"),
    ({"~tool": len}, "body.metadata.fn.~tool"),
    ({"~~": {"x": "\ud800"}}, "body.metadata.fn.~~.x"),
    ({1: "one"}, "body.metadata.fn"),
    ({None: 1}, "body.metadata.fn"),
    ({b"a": 1}, "body.metadata.fn"),
    ({MagicMock(spec=str): 1}, "body.metadata.fn"),
    ({"\ud800": 1}, "body.metadata.fn"),
    ({"line\nbreak": len}, "body.metadata.fn['line\\nbreak']"),
    ({"": len}, "body.metadata.fn['']"),
    ({"k" * 500: len}, f"body.metadata.fn[{'k' * 60!r}]"),
]


_NOT_PLAIN: list[Any] = [
    iter([1]),
    bytearray(b"x"),
    memoryview(b"x"),
    _Fine.FAST,
    _Answer(value=1),
    _Options(1),
    {_Fine.FAST: 1},
    {MagicMock(spec=str): 1},
]
"""Values that a call replaces by plain ones."""


@pytest.mark.parametrize("provider", ["echo", "openai"])
@pytest.mark.parametrize("number", range(len(_REFUSED)), ids=[type(value).__name__ for value, _ in _REFUSED])
def test_the_error_contains_the_path(ask, provider, number):
    """A value without a canonical form raises an error with its exact path."""
    value, path = _REFUSED[number]
    with pytest.raises(UncacheableRequestError) as refused:
        cache_key(ask(provider, parameters={"metadata": {"fn": value}}))
    assert refused.value.path == path
    assert str(refused.value) == f"{path}: {refused.value.reason}"


@pytest.mark.parametrize("number", range(len(_NOT_PLAIN)), ids=[type(value).__name__ for value in _NOT_PLAIN])
def test_values_that_are_not_plain_are_refused(sent, number):
    """The body of a request has plain values. Any other is refused, not converted."""
    with pytest.raises(UncacheableRequestError) as refused:
        cache_key(sent(metadata={"fn": _NOT_PLAIN[number]}))
    assert refused.value.path == "body.metadata.fn"


@pytest.mark.parametrize("field", ["messages", "system_prompt", "tool_specs", "tool_choice", "output_schema"])
def test_the_path_begins_with_the_part_of_the_request(ask, field):
    """The path begins with the field of the body that contains the value."""
    with pytest.raises(UncacheableRequestError) as refused:
        cache_key(ask("echo", **{field: [{"content": len}]}))
    assert refused.value.path == f"body.{field}[0].content"


@pytest.mark.parametrize(
    ("provider", "arguments", "path"),
    [
        ("openai", {"system_prompt": len}, "body.messages[0].content"),
        ("openai", {"tool_specs": [{"name": "f", "parameters": len}]}, "body.tools[0].function.parameters"),
        ("openai", {"parameters": {"api": "responses", "instructions": len}}, "body.instructions"),
        ("openai", {"parameters": {"extra_body": {"a": [len]}}}, "body.a[0]"),
        ("openai", {"parameters": {"extra_headers": {"X-A": len}}}, "headers.x-a"),
        ("openai", {"parameters": {"extra_query": {"a": [len]}}}, "query.a[0]"),
        ("openai", {"messages": len, "operation": "embedding"}, "body.input"),
        ("openai", {"sample": len}, "sample"),
        ("openai", {"endpoint": len}, "endpoint"),
        ("anthropic", {"system_prompt": len}, "body.system"),
        ("anthropic", {"tool_specs": [{"name": "f", "parameters": len}]}, "body.tools[0].input_schema"),
        ("gemini", {"system_prompt": len}, "body.systemInstruction.parts[0].text"),
        ("gemini", {"parameters": {"seed": len}}, "body.generationConfig.seed"),
        ("bedrock", {"parameters": {"temperature": len}}, "body.inferenceConfig.temperature"),
    ],
)
def test_the_path_leads_to_where_the_value_is_sent(ask, provider, arguments, path):
    """For a known provider, the path leads to the part of the request in which the value would be sent."""
    with pytest.raises(UncacheableRequestError) as refused:
        cache_key(ask(provider, **arguments))
    assert refused.value.path == path


@pytest.mark.parametrize("field", ["provider", "model_id"])
def test_provider_and_model_must_be_strings(sent, field):
    """A provider or a model that is not a string is refused."""
    with pytest.raises(UncacheableRequestError, match=f"^{field}: must be a str, not int$"):
        cache_key(sent(**{field: 5}))


@pytest.mark.parametrize("provider", ["echo", "openai"])
@pytest.mark.parametrize("value", [_LOOP, _RING], ids=["list", "dict"])
def test_cycles_are_refused(ask, sent, provider, value):
    """A value that contains itself is refused instead of being followed for ever."""
    for request in (sent(x=value), ask(provider, parameters={"x": value})):
        with pytest.raises(
            UncacheableRequestError, match="is nested more than 64 levels deep or contains itself"
        ):
            cache_key(request)


def test_nesting_is_bounded(ask):
    """A body of 64 levels is accepted, and one of 65 is refused."""
    assert cache_key(ask(parameters={"x": _nested(63)}))
    with pytest.raises(UncacheableRequestError):
        cache_key(ask(parameters={"x": _nested(64)}))


def test_two_keys_with_the_same_string_are_refused(sent):
    """A dictionary with two keys that convert to the same string has no canonical form."""

    class Tag(str):
        __slots__ = ()
        __hash__ = object.__hash__

        def __eq__(self, other):
            return self is other

    with pytest.raises(UncacheableRequestError, match="two keys that convert to the same string"):
        cache_key(sent(metadata={"a": 1, Tag("a"): 2}))


def test_a_dictionary_that_changes_during_the_read_is_refused(sent):
    """A value that another thread changes during the read is refused like any other unsupported value."""
    shared = {"a": None, "b": 1}

    class Meddler(datetime):
        def isoformat(self, *_args, **_kwargs):
            shared["c"] = 2
            return "now"

    shared["a"] = Meddler(2026, 1, 1)
    with pytest.raises(UncacheableRequestError, match="cannot be read"):
        cache_key(sent(metadata=shared))


@pytest.mark.parametrize("provider", ["echo", "openai"])
@pytest.mark.parametrize(
    "value",
    [_Broken(), _Rude(), ValueError("secret text"), "secret text\ud800"],
    ids=["model", "rude", "error", "text"],
)
def test_errors_do_not_quote_the_value(ask, provider, value):
    """An error describes the problem and never quotes the value."""
    with pytest.raises(UncacheableRequestError) as refused:
        cache_key(ask(provider, parameters={"x": [value]}))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("provider", ["echo", "openai", "gemini"])
def test_pydantic_warnings_are_suppressed(ask, provider, recwarn):
    """A model with unexpected field values emits no warning, which would quote them."""
    cache_key(ask(provider, parameters={"x": _Answer.model_construct(value="secret text")}))
    assert not recwarn.list


@pytest.mark.parametrize(
    ("provider", "messages", "path"),
    [
        (
            "openai",
            [{"role": "user", "content": [{"type": "text", "text": len}]}],
            "body.messages[0].content[0].text",
        ),
        (
            "anthropic",
            [{"role": "user", "content": [{"type": "x", "y": len}]}],
            "body.messages[0].content[0].y",
        ),
        ("gemini", [{"role": "user", "parts": [{"text": len}]}], "body.contents[0].parts[0].text"),
        ("bedrock", [{"role": "user", "content": [{"text": len}]}], "body.messages[0].content[0].text"),
    ],
)
def test_the_path_is_that_of_the_body(ask, provider, messages, path):
    """For a known provider, the path leads through the body that would be sent."""
    with pytest.raises(UncacheableRequestError) as refused:
        cache_key(ask(provider, messages=messages))
    assert refused.value.path == path
