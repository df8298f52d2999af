"""An entry holds each text once, and entries of the first version are still read."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_cache.entries import decode, encode, read_plain
from spark_cache.types import MissReason

TEXT = "The capital of France is Paris. " * 4
ARGUMENTS = json.dumps({"query": "capital of France " * 8})
RAW = {
    "id": "x",
    "choices": [
        {"message": {"content": TEXT, "tool_calls": [{"function": {"name": "f", "arguments": ARGUMENTS}}]}}
    ],
}
RESPONSE = {
    "content": TEXT,
    "stop_reason": "tool_use",
    "usage": {"total_tokens": 3},
    "tool_calls": [{"id": "1", "name": "f", "arguments": ARGUMENTS}],
    "raw": RAW,
    "events": [[0.5, {"type": "response.completed", "response": {"text": TEXT}}]],
}

OF_THE_FIRST_VERSION = b"""{
  "content": "Paris",
  "stop_reason": "end_turn",
  "usage": null,
  "timestamp": 1638360000.123,
  "ttl": 86400,
  "provider": "openai",
  "model_id": "gpt-4o",
  "schema": 1,
  "key": "3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a",
  "profile": "testing",
  "digests": {"messages": "0011223344556677"},
  %b
}
"""


def test_a_text_is_written_once(entry_of):
    """The provider's JSON and its events refer to the text and the arguments that the entry has in its first fields."""
    data = encode(entry_of(RESPONSE))
    assert data.count(b"capital of France is Paris") == TEXT.count("capital of France is Paris")
    assert data.count(b"query") == 1
    document = json.loads(data)
    assert document["raw"]["choices"][0]["message"]["content"] is None
    assert document["texts"] == {
        "raw.choices.0.message.content": "content",
        "raw.choices.0.message.tool_calls.0.function.arguments": "tool_calls.0.arguments",
        "events.0.1.response.text": "content",
    }
    assert decode(data).response == RESPONSE


def test_the_response_that_is_stored_is_not_changed(entry_of):
    """Encoding leaves the caller's dictionary alone."""
    before = orjson.dumps(RESPONSE)
    encode(entry_of(RESPONSE))
    assert orjson.dumps(RESPONSE) == before


@pytest.mark.parametrize(
    "missing", [["usage"], ["stop_reason", "usage"], ["content", "stop_reason", "usage"]]
)
def test_a_response_without_some_fields_is_written_once(entry_of, missing):
    """A response that lacks required fields, or has others, comes back equal, and its text is written once."""
    response = {name: value for name, value in {**RESPONSE, "note": "mine"}.items() if name not in missing}
    data = encode(entry_of(response))
    assert decode(data).response == response
    if "content" not in missing:
        assert data.count(b"capital of France is Paris") == TEXT.count("capital of France is Paris")


@settings(deadline=None, max_examples=200)
@given(
    st.recursive(
        st.sampled_from([TEXT, ARGUMENTS, "short", 1, None]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["a", "b.c", "0", ""]), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_a_text_anywhere_comes_back(entry_of, raw):
    """Wherever the provider's JSON repeats a text, and whatever its names are, the response comes back equal."""
    response = {**RESPONSE, "raw": raw}
    data = encode(entry_of(response))
    assert decode(data).response == response
    assert read_plain(data, entry_of().key, None)[0] == response


@pytest.mark.parametrize(
    "texts",
    [
        5,
        [],
        {"raw.choices.9.message": "content"},
        {"raw.id.x": "content"},
        {"raw.id": "nothing"},
        {"raw.choices.x": "content"},
    ],
)
def test_an_edited_reference_is_corrupt(entry_of, texts):
    """A reference that leads nowhere makes the entry a miss."""
    document = {**json.loads(encode(entry_of(RESPONSE))), "texts": texts}
    if texts == []:
        document["absent"] = 5
    assert decode(orjson.dumps(document)) is MissReason.CORRUPT
    assert read_plain(orjson.dumps(document), entry_of().key, None) is MissReason.CORRUPT


def test_an_entry_of_the_first_version_is_read(entry_of):
    """An entry of the first version, which ends with the whole response if that has unusual fields, is read unchanged."""
    plain = decode(OF_THE_FIRST_VERSION % b'"raw": {"id": "x"}', entry_of().key)
    assert plain.response == {
        "content": "Paris",
        "stop_reason": "end_turn",
        "usage": None,
        "raw": {"id": "x"},
    }
    whole = decode(OF_THE_FIRST_VERSION % b'"response": {"content": "Paris", "note": "mine"}', entry_of().key)
    assert whole.response == {"content": "Paris", "note": "mine"}
