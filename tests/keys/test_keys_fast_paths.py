"""Ordinary conversations and parameters use a fast path with the same output, byte for byte, as the general path."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_cache.errors import UncacheableRequestError
from spark_cache.keys import key_parameters, normalise_message
from spark_cache.keys.canonical import DIGEST_FROM, canonical_bytes
from spark_cache.keys.memo import digest_of
from spark_cache.keys.parameters import simple_parameters
from spark_cache.keys.request import _messages, _parameters, are_plain_turns

_often = settings(deadline=None, max_examples=500)


class _Word(StrEnum):
    ROLE = "role"
    USER = "user"


class _Text(str):
    """A subclass of str."""

    __slots__ = ()


_texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["~", "~int", "\ud800", _Word.USER, _Text("user"), "x" * DIGEST_FROM, "ü" * DIGEST_FROM]),
    st.integers(DIGEST_FROM - 1, DIGEST_FROM + 1).map(lambda length: "y" * length),
)
_odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.binary(max_size=3),
    st.just(UUID(int=7)),
    st.lists(_texts, max_size=2),
    st.just([{"text": "Hello"}]),
    st.dictionaries(_texts, _texts, max_size=2),
)
_values = _texts | _odd
_names = st.sampled_from(["role", "content", "name", "~role", _Word.ROLE, _Text("content"), 5]) | _texts
_turns = st.fixed_dictionaries({"role": _texts, "content": _texts})
_messages_given = st.one_of(
    st.lists(_turns, max_size=4),
    st.lists(_turns, max_size=4).map(tuple),
    st.lists(_turns | st.dictionaries(_names, _values, max_size=3) | _values, max_size=4),
    _values,
)
_parameter_names = st.one_of(
    st.sampled_from(
        [
            "temperature",
            "max_tokens",
            "seed",
            "user",
            "timeout",
            "stream",
            "extra_headers",
            "~tag",
            _Word.USER,
        ]
    ),
    st.text(max_size=5),
)


def _outcome(write: Any) -> Any:
    """Return the output of a path, or the error it raises."""
    try:
        return write()
    except UncacheableRequestError as error:
        return error.path, error.reason


def _general_messages(messages: Any) -> bytes:
    given = [normalise_message(one) for one in messages] if isinstance(messages, list | tuple) else messages
    return canonical_bytes(given, "messages", digest_of)


def _general_parameters(parameters: dict[Any, Any]) -> bytes | None:
    keyed = key_parameters(parameters)
    return canonical_bytes(keyed, "parameters", digest_of) if keyed else None


@_often
@given(_messages_given)
def test_conversations_have_one_form(messages):
    """Both paths give a conversation the same form, or the same error."""
    assert _outcome(lambda: _messages(messages, digest_of)) == _outcome(lambda: _general_messages(messages))


@_often
@given(st.dictionaries(_parameter_names, _values, max_size=4))
def test_parameters_have_one_form(parameters):
    """Both paths give parameters the same form, or the same error."""
    assert _outcome(lambda: _parameters(parameters, digest_of)) == _outcome(
        lambda: _general_parameters(parameters)
    )


@_often
@given(st.floats())
def test_a_float_among_parameters_has_one_form(value):
    """Both paths give a float parameter the same form, or the same error."""
    given = {"temperature": value}
    assert _outcome(lambda: _parameters(given, digest_of)) == _outcome(lambda: _general_parameters(given))


def test_ordinary_requests_use_the_fast_paths():
    """Ordinary conversations and parameters use the fast paths."""
    turn = {"role": "user", "content": "Hello"}
    assert are_plain_turns([turn] * 3)
    assert are_plain_turns((turn,))
    assert simple_parameters({"temperature": 0.0, "max_tokens": 5, "user": "me", "seed": None}) is not None


@pytest.mark.parametrize(
    "message",
    [
        "Hello",
        {"role": "user"},
        {"role": "user", "content": "Hello", "name": "me"},
        {"role": "user", "content": [{"text": "Hello"}]},
        {"role": "user", "content": "x" * DIGEST_FROM},
        {"role": _Word.USER, "content": "Hello"},
    ],
    ids=["a string", "no content", "a name", "blocks", "a long text", "an enumeration"],
)
def test_unusual_messages_use_the_general_path(message):
    """A single unusual message sends the whole conversation to the general path."""
    assert not are_plain_turns([{"role": "user", "content": "Hello"}, message])
