"""Reading the parts that a hit needs agrees with decoding the whole entry."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_cache.entries import CacheEntry, decode, encode, read_answer
from spark_cache.types import MissReason

_KEY = "3f2a" * 16
_NAMES = (
    "schema", "key", "timestamp", "ttl", "provider", "model_id", "digests", "content", "stop_reason", "usage",
    "profile", "namespace", "response", "request", "raw", "tool_calls", "latency_seconds", "token",
)  # fmt: skip
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([1.0, -1.0, 1e300, 2**63, "", "team", _KEY, "0" * 64]),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.lists(st.integers(), max_size=2),
)


@pytest.fixture(scope="module")
def document(entry_of) -> dict[str, Any]:
    """Return an ordinary entry as parsed from disk."""
    response = {
        "content": "Paris.",
        "stop_reason": "end_turn",
        "usage": {"total_tokens": 23},
        "provider_stop_reason": "stop",
        "latency_seconds": 0.5,
        "raw": {"id": "1"},
    }
    read: dict[str, Any] = orjson.loads(encode(entry_of(response, namespace="team")))
    return read


def _answer(data: bytes, namespace: str | None) -> Any:
    return read_answer(data, _KEY, namespace)


def _decoded(data: bytes, namespace: str | None) -> Any:
    entry = decode(data, _KEY, namespace=namespace)
    return (entry.response, entry.timestamp, entry.ttl) if isinstance(entry, CacheEntry) else entry


def test_an_ordinary_entry_is_read(document):
    """The parts of an entry as models store it are its response, timestamp and TTL."""
    data = orjson.dumps(document)
    assert _answer(data, "team") == _decoded(data, "team")
    assert _answer(data, "team")[0]["content"] == "Paris."


@settings(deadline=None, max_examples=500)
@given(
    changes=st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=3),
    removed=st.sets(st.sampled_from(_NAMES), max_size=2),
    namespace=st.sampled_from([None, "team", "other"]),
)
def test_both_agree_on_an_edited_entry(document, changes, removed, namespace):
    """After any edit, both return the same parts or the same reason."""
    edited = {name: value for name, value in {**document, **changes}.items() if name not in removed}
    data = json.dumps(edited).encode()
    assert _exactly(_answer(data, namespace)) == _exactly(_decoded(data, namespace))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"5", b'"text"', b"\xff", b"{}"])
def test_a_file_that_is_not_an_entry_is_corrupt(data):
    """Both reject bytes that are not an entry."""
    assert _answer(data, None) is _decoded(data, None) is MissReason.CORRUPT


def _exactly(parts: Any) -> str:
    """Convert a result for comparison with types and without order, because 1 equals 1.0 and True in Python."""
    return json.dumps(parts, sort_keys=True)
