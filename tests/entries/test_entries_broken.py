"""Decoding any file returns an entry or a reason, and never raises an exception."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_cache.entries import CacheEntry, decode, describe, encode
from spark_cache.types import EntryMeta, MissReason

_MUTATIONS = 5_000


def _document(entry: CacheEntry) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(encode(entry))
    return document


@pytest.fixture(scope="session")
def intact(entry_of) -> bytes:
    """Return the bytes of an entry with every kind of field."""
    response = {
        "content": "Zürich",
        "stop_reason": "end_turn",
        "usage": {"total_tokens": 23},
        "tool_calls": [{"id": "1", "name": "f", "arguments": "{}"}],
        "latency_seconds": 0.5,
    }
    return encode(entry_of(response, request={"messages": [{"role": "user", "content": "Hi"}]}))


def test_a_truncated_entry_is_corrupt(intact):
    """A file truncated at any byte is a miss."""
    # The last two bytes are the closing brace and an optional line break.
    reasons = {decode(intact[:length]) for length in range(len(intact) - 1)}
    assert reasons == {MissReason.CORRUPT}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 100,
        b"not JSON",
        b"\xff\xfe\x00",
        b"null",
        b"true",
        b"5",
        b'"text"',
        b"[]",
        b"[1, 2]",
        b"{}",
        b'{"schema": null}',
        b'{"schema": "1"}',
        b'{"schema": true}',
        b'{"schema": 1.0}',
        b'{"schema": 1}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 1000 + b"]" * 1000,
        b"NaN",
        b'{"schema": 1, "timestamp": 1e999}',
        b'{"content": "a"}{"content": "b"}',
        b"\xef\xbb\xbf{}",
        b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> other\n",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_a_file_that_is_not_an_entry_is_corrupt(data):
    """Bytes that are not an entry are a miss."""
    assert decode(data) is MissReason.CORRUPT
    assert describe(data, "abcd") is MissReason.CORRUPT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timestamp", "1638360000"),
        ("timestamp", None),
        ("timestamp", True),
        ("timestamp", -1),
        ("timestamp", 1e300),
        ("timestamp", 253_402_300_800),
        ("ttl", "86400"),
        ("ttl", False),
        ("ttl", []),
        ("provider", None),
        ("provider", 5),
        ("model_id", ["gpt-4o"]),
        ("key", None),
        ("key", 5),
        ("profile", 5),
        ("profile", {}),
        ("digests", None),
        ("digests", []),
        ("response", None),
        ("response", []),
        ("response", "text"),
    ],
)
def test_a_field_of_the_wrong_type_is_corrupt(entry_of, name, value):
    """An entry is used only if every required field has the right type."""
    assert decode(orjson.dumps({**_document(entry_of()), name: value})) is MissReason.CORRUPT


@pytest.mark.parametrize(
    "name",
    [
        "content",
        "stop_reason",
        "usage",
        "timestamp",
        "ttl",
        "provider",
        "model_id",
        "schema",
        "key",
        "digests",
    ],
)
def test_a_missing_field_is_corrupt(entry_of, name):
    """An entry without a required field is a miss."""
    document = _document(entry_of())
    del document[name]
    assert decode(orjson.dumps(document)) is MissReason.CORRUPT


@pytest.mark.parametrize("version", [0, 3, -1, 10**6])
def test_an_unsupported_version_has_a_separate_reason(entry_of, version):
    """An entry with an unsupported version is distinguished from a broken one."""
    data = orjson.dumps({**_document(entry_of()), "schema": version})
    assert decode(data) is MissReason.OTHER_VERSION
    assert describe(data, "abcd") is MissReason.OTHER_VERSION


@pytest.mark.parametrize("key", ["3f2b" * 16, "", "3F2A" * 16, "3f2a" * 15])
def test_an_entry_matches_only_its_own_key(entry_of, key):
    """A renamed file is a miss under its new name."""
    assert decode(encode(entry_of()), key) is MissReason.WRONG_KEY


def test_an_entry_with_unknown_fields_is_read(entry_of):
    """A field that a person or a later release added is ignored."""
    assert decode(orjson.dumps({**_document(entry_of()), "note": "by hand"})) == entry_of()


def test_mutated_bytes_decode_to_an_entry_or_a_reason(intact):
    """Each of thousands of entries with changed, removed, repeated or inserted bytes decodes to an entry or a reason."""
    chance = random.Random(7)
    results = [decode(_mutated(intact, chance)) for _ in range(_MUTATIONS)]
    assert all(isinstance(result, CacheEntry | MissReason) for result in results)
    # The fuzz must reach both outcomes. Otherwise it proves nothing.
    assert {type(result) for result in results} == {CacheEntry, MissReason}
    assert MissReason.CORRUPT in results


def test_mutated_documents_decode_to_an_entry_or_a_reason(intact):
    """Each of thousands of entries that are still JSON, with values replaced by others of any type, does too."""
    chance = random.Random(11)
    odd = [None, True, 0, -1, 1e308, 2**63, "", "text", [], {}, [[]], {"content": 1}]
    for _ in range(2_000):
        document = orjson.loads(intact)
        for name in chance.sample(list(document), chance.randrange(1, 4)):
            document[name] = chance.choice(odd)
        data = orjson.dumps(document)
        result = decode(data)
        assert isinstance(result, CacheEntry | MissReason)
        assert isinstance(describe(data, "abcd"), EntryMeta | MissReason)
        if isinstance(result, CacheEntry):
            assert isinstance(result.response, dict)
            assert result.staleness(1.7e9, 60.0) in (None, MissReason.EXPIRED, MissReason.FUTURE)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_random_bytes_are_corrupt(data):
    """Random bytes are a miss."""
    assert decode(data) is MissReason.CORRUPT


def _mutated(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(len(changed))
        match chance.randrange(4):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                del changed[at : at + chance.randrange(1, 20)]
            case 2:
                changed[at:at] = chance.choice(
                    [b"\x00", b'"', b"{", b"}", b"9", b",", b"\\u0000", b"\xf0\x9f"]
                )
            case _:
                changed[at:at] = changed[at : at + chance.randrange(1, 20)]
    return bytes(changed)
