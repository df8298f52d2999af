"""A stored response is read back equal, and its file is readable for people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_cache.entries import SCHEMA_VERSION, CacheEntry, decode, describe, encode
from spark_cache.errors import UncacheableResponseError
from spark_cache.types import EntryMeta

_REQUIRED = ["content", "stop_reason", "usage", "timestamp", "ttl", "provider", "model_id"]
_ENTRY_FIELDS = [
    *("schema", "key", "profile", "digests", "request", "response", "token"),
    *("checksum", "texts", "absent"),
]

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_names = st.one_of(
    _text,
    st.sampled_from(
        [*_REQUIRED, *_ENTRY_FIELDS, "tool_calls", "raw", "latency_seconds", "provider_stop_reason"]
    ),
)
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=15,
)
_responses = st.dictionaries(_names, _json, max_size=6) | st.fixed_dictionaries(
    {"content": _text, "stop_reason": _text, "usage": _json}, optional={"tool_calls": _json, "raw": _json}
)


class _Counted(dict):
    pass


@dataclass
class _Answer:
    content: str


@settings(deadline=None, max_examples=200)
@given(_responses)
def test_any_json_response_comes_back_equal(entry_of, response):
    """Any JSON dictionary is read back equal and with the same types."""
    found = decode(encode(entry_of(response)))
    assert isinstance(found, CacheEntry)
    assert found.response == response
    assert json.dumps(found.response, sort_keys=True) == json.dumps(response, sort_keys=True)


@settings(deadline=None, max_examples=100)
@given(_responses)
def test_the_seven_fields_are_always_present(entry_of, response):
    """Every plain entry has the same nine top-level fields first, in this order, with the values of the entry."""
    document = json.loads(encode(entry_of(response)))
    assert list(document)[:9] == ["schema", "key", *_REQUIRED]
    assert [document[name] for name in _REQUIRED[3:]] == [1638360000.123, 86400, "openai", "gpt-4o"]
    assert [document[name] for name in _REQUIRED[:3]] == [response.get(name) for name in _REQUIRED[:3]]


@pytest.mark.parametrize(
    "name", ["response", "timestamp", "ttl", "provider", "model_id", "schema", "key", "token"]
)
def test_a_response_cannot_override_the_fields_of_the_entry(entry_of, name):
    """A response with a field named like a field of the entry does not change the entry."""
    response = {"content": "", "stop_reason": None, "usage": None, name: {"content": "other"}}
    found = decode(encode(entry_of(response)), key=entry_of().key)
    assert found == entry_of(response)


def test_every_field_of_an_entry_is_read_back(entry_of):
    """Decoding an encoded entry gives an equal entry."""
    entry = entry_of(request={"messages": [{"role": "user", "content": "Hi"}]}, ttl=None, profile=None)
    assert decode(encode(entry), entry.key) == entry


def test_an_ordinary_response_is_written_once(entry_of):
    """An entry contains an ordinary response only at the top level."""
    response = {
        "content": "Paris.",
        "stop_reason": "end_turn",
        "usage": None,
        "raw": {"id": "x"},
        "tool_calls": [],
    }
    document = json.loads(encode(entry_of(response)))
    assert "response" not in document
    assert document["raw"] == {"id": "x"}


def test_an_entry_is_readable_text(entry_of):
    """An entry is indented UTF-8 that ends with a line break and does not escape non-ASCII text."""
    data = encode(entry_of({"content": "Zürich 漢字", "stop_reason": None, "usage": None}))
    assert "Zürich 漢字" in data.decode()
    assert data.startswith(b'{\n  "schema": 2,\n  "key": "')
    assert data.endswith(b"}\n")


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        float("nan"),
        float("inf"),
        date(2026, 1, 1),
        datetime(2026, 1, 1, tzinfo=UTC),
        {1: "one"},
        {None: 1},
        {1, 2},
        b"bytes",
        Decimal(1),
        UUID(int=0),
        _Answer("a"),
        object(),
        len,
        "\ud800",
        {"\ud800": 1},
        2**64,
        -(2**63) - 1,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_response_that_json_would_change_is_rejected(entry_of, value):
    """A value that JSON does not preserve is an error when it is stored, at any depth."""
    for response in ({"content": value, "stop_reason": None, "usage": None}, {"deep": [{"er": value}]}):
        with pytest.raises(UncacheableResponseError):
            encode(entry_of(response))


@pytest.mark.parametrize("response", [[], "text", 5, [("content", "a")]])
def test_a_response_that_is_not_a_dict_is_rejected(entry_of, response):
    """A response must be a dict, and the error names the type of any other value."""
    with pytest.raises(
        UncacheableResponseError, match=f"^the response must be a dict, not {type(response).__name__}$"
    ):
        encode(entry_of(response))


def test_a_response_that_contains_itself_is_rejected(entry_of):
    """A cycle is an error."""
    response: dict[str, Any] = {"content": ""}
    response["self"] = response
    with pytest.raises(UncacheableResponseError):
        encode(entry_of(response))


def test_a_rejection_does_not_quote_the_response(entry_of):
    """The error describes the problem and does not quote the response."""
    with pytest.raises(UncacheableResponseError) as rejected:
        encode(entry_of({"content": "secret text", "more": {"secret key": {"secret": object()}}}))
    assert "secret" not in str(rejected.value)


def test_a_subclass_of_dict_is_a_dictionary(entry_of):
    """A response of a subclass of ``dict`` is read back as an equal dictionary."""
    found = decode(encode(entry_of(_Counted(content="a", inner=_Counted(b=1)))))
    assert isinstance(found, CacheEntry)
    assert found.response == {"content": "a", "inner": {"b": 1}}


@pytest.mark.parametrize(
    "request_",
    [{"messages": [{"content": object()}]}, {"seed": 2**70}, {1: 2}, {"a": "\ud800"}],
    ids=["object", "integer", "key", "surrogate"],
)
def test_a_request_without_a_json_form_is_omitted(entry_of, request_):
    """A request that JSON cannot represent is omitted, and its response is still stored."""
    document = orjson.loads(encode(entry_of(request=request_)))
    assert "request" not in document
    assert document["content"] == "Paris."


def test_bytes_in_a_request_are_shown(entry_of):
    """Bytes in a request are stored as tagged Base64."""
    document = orjson.loads(encode(entry_of(request={"image": b"\x00\xff"})))
    assert document["request"] == {"image": {"~bytes": "AP8="}}


def test_a_listing_needs_only_the_file(entry_of):
    """The metadata of an entry is read from the bytes and the name of its file."""
    data = encode(entry_of())
    expected = EntryMeta("abcd", "openai", "gpt-4o", len(data), 1638360000.123, 86400, encrypted=False)
    assert describe(data, "abcd") == expected


def test_the_repr_of_an_entry_shows_no_content(entry_of):
    """The ``repr`` of an entry shows provider and model, and no content."""
    assert repr(entry_of(request={"messages": "secret"})) == "CacheEntry(openai/gpt-4o)"


def test_the_format_has_a_version(entry_of):
    """The file contains the format version."""
    assert orjson.loads(encode(entry_of()))["schema"] == SCHEMA_VERSION == 2
