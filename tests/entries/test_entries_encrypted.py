"""Encrypted entries: readable only with their encryption key, and valid only in their place."""

from __future__ import annotations

import json
import pickle
import random

import orjson
import pytest
from cryptography.fernet import Fernet

from spark_cache.entries import CacheEntry, decode, describe, encode, encrypt_entry
from spark_cache.entries.keyring import KeyRing
from spark_cache.types import CacheKey, EntryMeta, MissReason

_OLD, _NEW, _OTHER = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    """Return a ring with one key."""
    return KeyRing([_NEW])


def test_an_encrypted_entry_is_decrypted_with_its_key(entry_of, ring):
    """An entry is read back in full with its encryption key."""
    entry = entry_of(request={"messages": "Hi"}, namespace="team")
    assert decode(encrypt_entry(entry, ring), entry.key, ring=ring, namespace="team") == entry


def test_an_encrypted_entry_shows_only_what_a_store_needs(entry_of, ring):
    """Prompt, response and cache key do not appear in plain text."""
    entry = entry_of(
        {"content": "secret answer", "stop_reason": None, "usage": None},
        request={"messages": "secret prompt"},
    )
    data = encrypt_entry(entry, ring)
    assert list(json.loads(data)) == ["schema", "key_id", "timestamp", "ttl", "provider", "model_id", "token"]
    assert b"secret" not in data
    assert entry.key.encode() not in data


def test_a_token_is_decrypted_with_plain_fernet(entry_of, ring):
    """The encryption key is enough to decrypt an entry without this library."""
    document = json.loads(encrypt_entry(entry_of(), ring))
    assert Fernet(_NEW).decrypt(document["token"]) == encode(entry_of())


@pytest.mark.parametrize("keys", [None, [_OTHER], [_OLD, _OTHER]])
def test_without_its_key_an_encrypted_entry_is_undecryptable(entry_of, ring, keys):
    """Other encryption keys, or none, do not decrypt the entry."""
    other = None if keys is None else KeyRing(keys)
    assert decode(encrypt_entry(entry_of(), ring), entry_of().key, ring=other) is MissReason.UNDECRYPTABLE


def test_an_older_key_still_decrypts(entry_of):
    """After a new key is put first, entries encrypted with the old one are still read."""
    data = encrypt_entry(entry_of(), KeyRing([_OLD]))
    assert decode(data, entry_of().key, ring=KeyRing([_NEW, _OLD])) == entry_of()


def test_the_first_key_encrypts(entry_of):
    """New entries are encrypted with the newest key."""
    ring = KeyRing([_NEW, _OLD])
    assert json.loads(encrypt_entry(entry_of(), ring))["key_id"] == ring.ids[0] == KeyRing([_NEW]).ids[0]


@pytest.mark.parametrize(
    ("name", "value"), [("timestamp", 1.0), ("ttl", None), ("provider", "anthropic"), ("model_id", "other")]
)
def test_an_edited_plain_field_is_a_miss(entry_of, ring, name, value):
    """The plain fields must equal the encrypted ones."""
    document = {**json.loads(encrypt_entry(entry_of(), ring)), name: value}
    assert decode(orjson.dumps(document), entry_of().key, ring=ring) is MissReason.WRONG_KEY


def test_a_moved_entry_is_a_miss(entry_of, ring):
    """An entry under another key's name, or from another namespace, is a miss."""
    data = encrypt_entry(entry_of(namespace="team"), ring)
    assert decode(data, "ab" * 32, ring=ring, namespace="team") is MissReason.WRONG_KEY
    assert decode(data, entry_of().key, ring=ring, namespace="other") is MissReason.WRONG_KEY
    assert decode(data, entry_of().key, ring=ring) is MissReason.WRONG_KEY


def test_plain_entries_are_refused_where_encryption_is_required(entry_of, ring):
    """A reader that accepts only encrypted entries refuses a plain one."""
    assert (
        decode(encode(entry_of()), entry_of().key, ring=ring, encrypted_only=True) is MissReason.PLAIN_REFUSED
    )


def test_a_listing_needs_no_key(entry_of, ring):
    """Provider, model and age of an encrypted entry are readable without decrypting it."""
    data = encrypt_entry(entry_of(), ring)
    expected = EntryMeta("abcd", "openai", "gpt-4o", len(data), 1638360000.123, 86400, encrypted=True)
    assert describe(data, "abcd") == expected


def test_a_token_tampered_with_anywhere_is_undecryptable(entry_of, ring):
    """A token with any changed character gives neither an entry nor an exception."""
    document = json.loads(encrypt_entry(entry_of(), ring))
    token, chance = document["token"], random.Random(3)
    for _ in range(200):
        at = chance.randrange(len(token) - 4)
        letter = chance.choice([each for each in "AZ09-_é\x00 " if each != token[at]])
        document["token"] = token[:at] + letter + token[at + 1 :]
        assert decode(orjson.dumps(document), entry_of().key, ring=ring) is MissReason.UNDECRYPTABLE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"token": None}, MissReason.CORRUPT),
        ({"token": 5}, MissReason.CORRUPT),
        ({"token": ""}, MissReason.UNDECRYPTABLE),
        ({"key_id": None}, MissReason.CORRUPT),
        ({"key_id": "0" * 16}, MissReason.UNDECRYPTABLE),
        ({"schema": 3}, MissReason.OTHER_VERSION),
        ({"schema": True}, MissReason.CORRUPT),
        ({"schema": None}, MissReason.CORRUPT),
    ],
)
def test_a_broken_encrypted_entry_has_a_reason(entry_of, ring, change, reason):
    """An encrypted entry with a wrong structure or version is distinguished from a wrong encryption key."""
    document = {**json.loads(encrypt_entry(entry_of(), ring)), **change}
    assert decode(orjson.dumps(document), entry_of().key, ring=ring) is reason


@pytest.mark.parametrize("body", [b"", b"text", b"[]", b"{}", b'{"timestamp": 5}', b"null"])
def test_a_valid_token_with_other_content_is_a_miss(entry_of, ring, body):
    """Content that is not an entry is a miss, even if it was encrypted with the right key."""
    document = json.loads(encrypt_entry(entry_of(), ring))
    document["token"] = Fernet(_NEW).encrypt(body).decode()
    assert isinstance(decode(orjson.dumps(document), entry_of().key, ring=ring), MissReason)


def test_names_do_not_confirm_a_guess(entry_of):
    """The file name of an encrypted entry cannot be computed without the encryption key, and differs for each key."""
    newest, older = KeyRing([_NEW, _OLD]).names(entry_of().key)
    assert len({entry_of().key, newest, older}) == 3
    assert older == KeyRing([_OLD]).names(entry_of().key)[0]


def test_a_ring_shows_no_key():
    """The ``repr`` of a ring contains no key, and a ring cannot be pickled."""
    ring = KeyRing([_NEW])
    assert _NEW[:8] not in repr(ring)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(ring)


def test_ids_and_names_are_a_contract():
    """The ID of an encryption key and the names under it are the same in every release. Otherwise no entry would be found again."""
    ring = KeyRing(["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="])
    assert ring.ids == ("b010c40c3ed193f7",)
    assert ring.names("3f2a" * 16)[0] == "88ab85be262071b2a675a9b922dbe9d4de9e0e19e33240479960770fc9a2ae8e"


def test_an_encrypted_entry_keeps_all_its_fields(entry_of, ring):
    """Encryption preserves every field of an entry."""
    entry = entry_of({"anything": [1, {"a": None}]}, ttl=None, profile=None, digests={})
    found = decode(encrypt_entry(entry, ring), entry.key, ring=ring)
    assert isinstance(found, CacheEntry)
    assert found == entry


def test_names_are_cached_under_plain_strings():
    """Cached names equal computed ones, and the cache does not keep the parts of a request alive."""
    ring = KeyRing([_NEW, _OLD])
    key = CacheKey("3f2a" * 16, "openai", "gpt-4o", {"messages": "00"})
    first = ring.names(key)
    assert ring.names(key) == ring.names(str(key)) == KeyRing([_NEW, _OLD]).names(key) == first
    assert [type(text) for text in ring._names] == [str]


def test_the_name_cache_is_bounded():
    """The memory of the name cache is bounded, for any number and length of keys."""
    ring = KeyRing([_NEW])
    for number in range(5000):
        ring.names(f"{number:064x}")
    ring.names("long" * 1000)
    assert len(ring._names) <= 1024
    assert max(map(len, ring._names)) <= 64
