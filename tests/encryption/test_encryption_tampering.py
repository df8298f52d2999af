"""An encrypted file gives the right response or none after any change."""

from __future__ import annotations

import json
from itertools import permutations

import orjson
import pytest
from encryption_world import NEW, OLD, answer, ask, entry_files, id_of, manager_of, put

from spark_cache.entries import CacheEntry, encode, encrypt_entry
from spark_cache.entries.keyring import KeyRing


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_no_flipped_byte_changes_a_response(cache_dir, mask):
    """Flipping any byte of an entry gives the right response or a miss."""
    cache = manager_of(cache_dir, NEW)
    key = put(cache, "one", "right")
    (path,) = entry_files(cache_dir)
    intact = path.read_bytes()
    answered = 0
    for at in range(len(intact)):
        path.write_bytes(intact[:at] + bytes([intact[at] ^ mask]) + intact[at + 1 :])
        found = cache.get(key)
        assert found in (None, answer("right"))
        answered += found is not None
    assert answered < len(intact) / 4
    path.write_bytes(intact)
    assert cache.get(key) == answer("right")


def test_a_truncated_entry_is_a_miss_at_any_length(cache_dir):
    """An entry without its end is a miss."""
    cache = manager_of(cache_dir, NEW)
    key = put(cache, "one")
    (path,) = entry_files(cache_dir)
    intact = path.read_bytes()
    for length in range(len(intact.rstrip())):
        path.write_bytes(intact[:length])
        assert cache.get(key) is None


def test_no_two_entries_can_be_swapped(cache_dir):
    """Swapping any two entries of different keys, models, providers, namespaces or encryption keys gives a miss."""
    caches = {
        name: manager_of(cache_dir, *keys, namespace=namespace)
        for name, keys, namespace in (
            ("new", [NEW, OLD], None),
            ("old", [OLD, NEW], None),
            ("team", [NEW, OLD], "team"),
        )
    }
    stored = {}
    for name, cache in caches.items():
        for provider, model in (("openai", "gpt-4o"), ("openai", "gpt-5"), ("azure", "gpt-4o")):
            before = set(entry_files(cache_dir))
            text_key, key = f"{name}/{provider}/{model}", ask(cache, name, provider, model)
            for each in (key, text_key):
                assert cache.set(each, provider, model, {}, answer(f"{each}"))
                (path,) = set(entry_files(cache_dir)) - before
                stored[path] = cache, each
                before.add(path)
    intact = {path: path.read_bytes() for path in stored}
    for one, other in permutations(stored, 2):
        one.write_bytes(intact[other])
        cache, key = stored[one]
        assert cache.get(key) is None
        one.write_bytes(intact[one])
    assert all(cache.get(key) == answer(f"{key}") for cache, key in stored.values())


def test_an_entry_moved_to_another_namespace_is_a_miss(tmp_path):
    """A copy in a directory of another namespace is a miss, although its key and its name are the same."""
    there, here = (manager_of(tmp_path / name, NEW, namespace=name) for name in ("there", "here"))
    for cache in (there, here):
        cache.set("key", "openai", "gpt-4o", {}, answer(cache.config.namespace))
    (source,), (target,) = entry_files(tmp_path / "there"), entry_files(tmp_path / "here")
    assert source.name == target.name
    target.write_bytes(source.read_bytes())
    assert here.get("key") is None


@pytest.mark.parametrize("level", ["all", "sensitive"])
def test_a_plain_entry_in_place_of_an_encrypted_one_is_a_miss(cache_dir, sink, level):
    """A forged plain entry with correct fields is refused under a name that depends on the encryption key."""
    cache = manager_of(cache_dir, NEW, encryption=level, sink=sink)
    key = put(cache, "one", "right", sensitive=True)
    (path,) = entry_files(cache_dir)
    shown = json.loads(path.read_bytes())
    path.write_bytes(
        encode(CacheEntry(key, "openai", "gpt-4o", answer("forged"), shown["timestamp"], shown["ttl"]))
    )
    assert cache.get(key) is None
    assert sink.reasons() == ["wrong_key"]
    assert "cache.corrupt" in [event.name for event in sink.events]


def test_an_entry_encrypted_with_another_key_is_a_miss(cache_dir, sink):
    """A forged entry under the attacker's own key is a miss."""
    cache = manager_of(cache_dir, NEW, sink=sink)
    key = put(cache, "one", "right")
    (path,) = entry_files(cache_dir)
    forged = CacheEntry(key, "openai", "gpt-4o", answer("forged"), 1.7e9, None)
    path.write_bytes(encrypt_entry(forged, KeyRing([OLD])).replace(id_of(OLD).encode(), id_of(NEW).encode()))
    assert cache.get(key) is None
    assert sink.reasons() == ["undecryptable"]


@pytest.mark.parametrize(
    "edit",
    [
        {"timestamp": 1_700_090_000.0},
        {"ttl": None},
        {"ttl": 10**9},
        {"timestamp": 1_700_090_000.0, "ttl": None},
        {"ttl": True},
        {"provider": "azure"},
        {"model_id": "gpt-5"},
        {"schema": 3},
        {"schema": "1"},
        {"key_id": "0" * 16},
        {"key_id": None},
        {"token": ""},
        {"token": None},
        {"token": ["a"]},
        {"content": "forged", "stop_reason": "end_turn", "usage": None},
    ],
)
def test_edited_fields_do_not_revive_an_expired_entry(cache_dir, clock, edit):
    """The plain fields count only if they agree with the token."""
    cache = manager_of(cache_dir, NEW, clock=clock)
    key = put(cache, "one", "right", ttl_seconds=60)
    (path,) = entry_files(cache_dir)
    document = json.loads(path.read_bytes())
    path.write_bytes(orjson.dumps(document | edit))
    assert cache.get(key) in (None, answer("right"))
    clock.now += 86400
    assert cache.get(key) is None


@pytest.mark.parametrize(
    "edit",
    [
        {"timestamp": 1_700_000_001.0},
        {"ttl": 61},
        {"ttl": None},
        {"provider": "azure"},
        {"model_id": "gpt-5"},
    ],
)
def test_an_edited_field_is_reported(cache_dir, clock, sink, edit):
    """Listings and cleanup use the plain fields, so an entry with a wrong plain field is a miss."""
    cache = manager_of(cache_dir, NEW, clock=clock, sink=sink)
    key = put(cache, "one", ttl_seconds=60)
    (path,) = entry_files(cache_dir)
    path.write_bytes(orjson.dumps(json.loads(path.read_bytes()) | edit))
    clock.now += 2
    assert cache.get(key) is None
    assert sink.reasons() == ["wrong_key"]


def test_an_entry_with_a_token_counts_as_encrypted(cache_dir):
    """A plain entry with a token is not read as a plain entry."""
    cache = manager_of(cache_dir, NEW, encryption="sensitive")
    key = put(cache, "one", "right")
    (path,) = entry_files(cache_dir)
    path.write_bytes(orjson.dumps(json.loads(path.read_bytes()) | {"token": "x", "key_id": id_of(NEW)}))
    assert cache.get(key) is None


def test_a_read_deletes_no_tampered_entry(cache_dir):
    """An unusable entry is kept, because it may be the only copy, or evidence."""
    cache = manager_of(cache_dir, NEW)
    key = put(cache, "one")
    (path,) = entry_files(cache_dir)
    path.write_bytes(path.read_bytes().replace(b'"token": "', b'"token": "x'))
    cache.get(key)
    assert path.exists()
