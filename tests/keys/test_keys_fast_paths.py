"""Ordinary bodies use a fast path with the same output, byte for byte, as the general path."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_cache.errors import UncacheableRequestError
from spark_cache.keys import keyed_body
from spark_cache.keys.canonical import DIGEST_FROM, canonical_bytes
from spark_cache.keys.equivalences import simple_body
from spark_cache.keys.memo import digest_of
from spark_cache.keys.request import _body
from spark_cache.types import Base64Text, Request

_often = settings(deadline=None, max_examples=500)


class _Word(StrEnum):
    ROLE = "role"
    USER = "user"


class _Text(str):
    """A subclass of str."""

    __slots__ = ()


_texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["~", "~int", "\ud800", _Word.USER, _Text("user"), "x" * DIGEST_FROM, "\ud800" * DIGEST_FROM]
    ),
    st.integers(DIGEST_FROM - 1, DIGEST_FROM + 1).map(lambda length: "y" * length),
)
_odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.binary(max_size=3),
    st.just(Base64Text(b"picture", "data:")),
    st.just(UUID(int=7)),
    st.lists(_texts, max_size=2),
    st.sampled_from(
        [[{"text": "Hello"}], [{"type": "text", "text": "Hello"}], [{"type": "input_text", "text": ""}]]
    ),
    st.dictionaries(_texts, _texts, max_size=2),
)
_values = _texts | _odd
_names = (
    st.sampled_from(["role", "content", "name", "type", "~role", _Word.ROLE, _Text("content"), 5]) | _texts
)
_turns = st.fixed_dictionaries({"role": _texts, "content": _texts})
_conversations = st.one_of(
    st.lists(_turns, max_size=4),
    st.lists(_turns, max_size=4).map(tuple),
    st.lists(_turns | st.dictionaries(_names, _values, max_size=3) | _values, max_size=4),
    _values,
)
_fields = st.one_of(
    st.sampled_from(
        [
            "temperature",
            "max_tokens",
            "seed",
            "user",
            "stream",
            "system",
            "tools",
            "include",
            "encoding_format",
            "schema",
            "functions",
            "inputText",
            "~tag",
            _Word.USER,
        ]
    ),
    st.text(max_size=5),
)
_bodies = st.builds(
    lambda fields, conversations: {**fields, **conversations},
    st.dictionaries(_fields, _values, max_size=4),
    st.dictionaries(st.sampled_from(["messages", "input", "contents"]), _conversations, max_size=2),
)
_requests = st.builds(
    Request,
    st.sampled_from(["openai", "anthropic", "gemini", "bedrock", "echo"]),
    st.just("m"),
    _bodies,
    st.sampled_from(["text", "json", "embedding"]),
)


def _outcome(write: Any) -> Any:
    """Return the output of a path, or the error it raises."""
    try:
        return write()
    except UncacheableRequestError as error:
        return error.path, error.reason


@_often
@given(_requests)
def test_bodies_have_one_form(request):
    """Both paths give a body the same form, or the same error."""
    assert _outcome(lambda: _body(request, digest_of)) == _outcome(
        lambda: canonical_bytes(keyed_body(request), "body", digest_of)
    )


@pytest.mark.parametrize("operation", ["text", "embedding"])
@pytest.mark.parametrize(
    "body",
    [
        {"inputText": "Hello", "encoding_format": "float"},
        {"messages": "Hello", "encoding_format": "float"},
        {"input": [{"role": "user", "content": "Hello"}]},
        {"input": "Hello"},
        {"include": False, "tools": 0, "system": 0.0},
        {"system": "", "user": ""},
        {"schema": 1.0, "contents": 1.0, "temperature": 1.0},
        {"functions": -0.0, "seed": -0.0},
    ],
    ids=repr,
)
def test_rare_bodies_have_one_form(operation, body):
    """Both paths give a body the same form where its fields have rare values, and where one means something of its own."""
    request = Request("echo", "m", body, operation)
    assert _body(request, digest_of) == canonical_bytes(keyed_body(request), "body", digest_of)


@_often
@given(st.floats())
def test_a_float_among_parameters_has_one_form(value):
    """Both paths give a float parameter the same form, or the same error."""
    request = Request("openai", "m", {"temperature": value})
    assert _outcome(lambda: _body(request, digest_of)) == _outcome(
        lambda: canonical_bytes(keyed_body(request), "body", digest_of)
    )


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"temperature": 0.0, "max_tokens": 5, "user": "me", "seed": None, "logprobs": True},
        {"system": "Be brief.", "stream": True},
        {"messages": [{"role": "user", "content": "x" * DIGEST_FROM}]},
    ],
)
def test_ordinary_bodies_use_the_fast_path(more):
    """Conversations of texts, long ones too, with numbers, short strings and booleans beside them use the fast path."""
    body = {"messages": [{"role": "user", "content": "Hello"}] * 3, **more}
    assert simple_body(Request("openai", "m", body), digest_of) is not None


@pytest.mark.parametrize(
    "message",
    [
        "Hello",
        {"role": "user"},
        {"role": "user", "content": "Hello", "name": "me"},
        {"role": "user", "content": [{"text": "Hello"}]},
        {"role": _Word.USER, "content": "Hello"},
    ],
    ids=["a string", "no content", "a name", "blocks", "an enumeration"],
)
def test_unusual_messages_use_the_general_path(message):
    """A single unusual message sends the whole body to the general path."""
    body = {"messages": [{"role": "user", "content": "Hello"}, message]}
    assert simple_body(Request("openai", "m", body), digest_of) is None
