"""The short way of reading an entry agrees with the long one, or gives up."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_cache.entries import answer, encode, quick_answer

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
    """An entry of the usual kind, as it stands on disk."""
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


def _long(data: bytes, namespace: str | None) -> Any:
    return answer(data, _KEY, ring=None, namespace=namespace, encrypted_only=False)


def test_a_usual_entry_is_answered_by_the_short_way(document):
    """An entry as models store it is read without the long way."""
    data = orjson.dumps(document)
    assert quick_answer(data, _KEY, "team") == _long(data, "team")


@settings(deadline=None, max_examples=500)
@given(
    changes=st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=3),
    removed=st.sets(st.sampled_from(_NAMES), max_size=2),
    namespace=st.sampled_from([None, "team", "other"]),
)
def test_a_changed_entry_is_read_alike_or_left(document, changes, removed, namespace):
    """Whatever is edited in an entry, the short way never answers where the long one does not, or otherwise."""
    edited = {name: value for name, value in {**document, **changes}.items() if name not in removed}
    data = json.dumps(edited).encode()
    quick = quick_answer(data, _KEY, namespace)
    assert quick is None or _exactly(quick) == _exactly(_long(data, namespace))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"5", b'"text"', b"\xff", b"{}"])
def test_no_entry_at_all_is_left(data):
    """Bytes that are no entry are left to the long way."""
    assert quick_answer(data, _KEY, None) is None


def _exactly(answered: Any) -> str:
    """With the types, whatever the order: to Python, 1 equals 1.0 and True."""
    return json.dumps(answered, sort_keys=True)
