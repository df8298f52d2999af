"""What a file says that it is: its first bytes decide for every entry that the cache has written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from spark_cache.entries import CacheEntry, Identity, encode, encrypt_entry, identify
from spark_cache.entries.keyring import KeyRing

KEY = "3f2a" * 16
HEAD = 512
"""The number of first bytes that a store reads."""

RING = KeyRing([Fernet.generate_key().decode()])

ENCRYPTED = Identity(is_encrypted=True)
DAMAGED = Identity(is_damaged=True)
FOREIGN = Identity()

_TEXT = st.text(st.characters(codec="utf-8"))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


def entry(key: str, response: dict[str, Any]) -> CacheEntry:
    """Return an entry with a key, and a response with some fields of its own."""
    plain = {"content": "Paris.", "stop_reason": "end_turn", "usage": None}
    return CacheEntry(
        key=key,
        provider="openai",
        model_id="gpt-4o",
        response={**plain, **response},
        timestamp=1638360000.123,
        ttl=86400,
    )


def told(data: bytes) -> Identity | None:
    """Return what the first bytes of a file say, or all of them if the first ones do not decide."""
    found = identify(data[:HEAD], whole=len(data) <= HEAD)
    return identify(data, whole=True) if found is None else found


@given(
    key=_TEXT | st.text("0123456789abcdef", min_size=64, max_size=64),
    response=st.dictionaries(st.sampled_from(["content", "raw", "key", "schema", "key_id"]) | _TEXT, _JSON),
    sort_keys=st.booleans(),
)
def test_every_plain_entry_is_identified_by_its_key(key, response, sort_keys):
    """An encoded entry has its key for an identity, whatever its key, its content and the order of its fields."""
    assert told(encode(entry(key, response), sort_keys=sort_keys)) == Identity(key=key)


@given(key=st.text("0123456789abcdef", min_size=64, max_size=64), text=_TEXT, sort_keys=st.booleans())
def test_the_first_bytes_decide_for_keys_of_requests(key, text, sort_keys):
    """The rest of an entry is not needed if its key is one that the cache made."""
    data = encode(entry(key, {"content": text}), sort_keys=sort_keys)
    assert identify(data[:HEAD], whole=False) == Identity(key=key)


@given(key=_TEXT, text=_TEXT)
def test_every_encrypted_entry_is_identified(key, text):
    """The first bytes of an encrypted entry show that it is one, and not its key."""
    data = encrypt_entry(entry(key, {"content": text}), RING)
    assert identify(data[:HEAD], whole=False) == ENCRYPTED


@given(cut=st.integers(14, 400), encrypted=st.booleans())
def test_a_part_of_an_entry_is_never_foreign(cut, encrypted):
    """An entry that was cut off is identified or damaged, wherever it ends."""
    whole = entry(KEY, {"content": "x" * 400})
    data = encrypt_entry(whole, RING) if encrypted else encode(whole)
    assert told(data[:cut]) in (ENCRYPTED if encrypted else Identity(key=KEY), DAMAGED)


GOLDEN = {
    "plain": (b'{\n  "schema": 2,\n  "key": "ab",\n', Identity(key="ab")),
    "plain in one line": (b'{"schema":2,"key":"ab"}', Identity(key="ab")),
    "a later schema": (b'{\n  "schema": 99,\n  "key": "ab",\n', Identity(key="ab")),
    "an empty key": (b'{\n  "schema": 2,\n  "key": "",\n', Identity(key="")),
    "a key beyond ASCII": ('{\n  "schema": 2,\n  "key": "Zürich",\n'.encode(), Identity(key="Zürich")),
    "encrypted": (b'{\n  "schema": 2,\n  "key_id": "0011",\n', ENCRYPTED),
    "a key that is not UTF-8": (b'{\n  "schema": 2,\n  "key": "\xff",\n', FOREIGN),
}


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("whole", [False, True])
def test_a_head_decides(name, whole):
    """The schema and the key at the beginning decide, even if the rest is missing."""
    data, identity = GOLDEN[name]
    assert identify(data, whole=whole) == identity


WHOLE = {
    "an escaped key": (b'{"schema": 2, "key": "a\\"b"}', Identity(key='a"b')),
    "other fields first": (
        json.dumps({"content": "x", "key": "ab", "schema": 1}).encode(),
        Identity(key="ab"),
    ),
    "encrypted, other fields first": (b'{"token": "gAAAA", "key_id": "0011", "schema": 2}', ENCRYPTED),
    "empty": (b"", DAMAGED),
    "NUL bytes": (bytes(4096), DAMAGED),
    "cut off in the key": (b'{\n  "schema": 2,\n  "key": "3f2a', DAMAGED),
    "cut off in the first format": (b'{\n  "content": "Par', DAMAGED),
    "garbage behind the beginning": (b'{\n  "schema": \xff\xff', DAMAGED),
    "text": (b"notes", FOREIGN),
    "not UTF-8": (b"\xff\xfe<html>", FOREIGN),
    "a list": (b"[]", FOREIGN),
    "a number": (b"7", FOREIGN),
    "an object": (b'{"name": "package", "version": "1.0"}', FOREIGN),
    "an object that is cut off": (b'{"name": "pack', FOREIGN),
    "a schema without a key": (b'{"schema": 2, "title": "x"}', FOREIGN),
    "a key without a schema": (b'{"key": "ab"}', FOREIGN),
    "a schema that is a text": (b'{"$schema": "x", "schema": "2", "key": "ab"}', FOREIGN),
    "a schema that is a truth value": (b'{"schema": true, "key": "ab"}', FOREIGN),
    "a key that is a number": (b'{"schema": 2, "key": 7}', FOREIGN),
    "a key ID without a token": (b'{"title": "x", "schema": 2, "key_id": "0011"}', FOREIGN),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_decides(name):
    """A file whose beginning does not decide is judged by all of it."""
    data, identity = WHOLE[name]
    assert identify(data, whole=False) is None
    assert identify(data, whole=True) == identity


def test_deep_nesting_is_foreign():
    """A hundred thousand brackets are refused without an error."""
    assert identify(b"[" * 100_000, whole=True) == FOREIGN
