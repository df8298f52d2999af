"""Which entries are encrypted, and which are read if encryption is required."""

from __future__ import annotations

import pytest
from encryption_world import NEW, OLD, Parrot, answer, ask, entry_files, id_of, key_ids, manager_of, put

from spark_cache import CacheConfig, CacheMissError

RULE = {"model": "*-internal", "sensitive": True}


@pytest.mark.parametrize(
    ("values", "sensitive", "encrypted"),
    [
        ({"encryption": "all"}, None, True),
        ({"encryption": "all"}, False, True),
        ({"encryption": "sensitive"}, None, False),
        ({"encryption": "sensitive"}, True, True),
        ({"encryption": "sensitive", "rules": [{"model": "gpt-*", "sensitive": True}]}, None, True),
        ({"encryption": "sensitive", "rules": [{"model": "gpt-*", "sensitive": True}]}, False, True),
        ({"encryption": "off", "rules": [{"model": "gpt-*", "encryption": "all"}]}, None, True),
        ({"encryption": "all", "rules": [{"model": "gpt-*", "encryption": "off"}]}, None, True),
        ({"encryption": "off"}, None, False),
    ],
)
def test_rules_and_requests_only_raise_the_level(cache_dir, values, sensitive, encrypted):
    """The configured level, a matching rule and the request can each demand encryption, and none can waive it."""
    cache = manager_of(cache_dir, NEW, **values)
    put(cache, "one", sensitive=sensitive)
    assert key_ids(cache_dir) == {id_of(NEW) if encrypted else None}


@pytest.mark.parametrize(
    ("keys", "values"),
    [((), {"encryption": "sensitive"}), ((), {"encryption": "off"}), ((NEW,), {"encryption": "off"})],
)
def test_without_encryption_a_sensitive_response_is_not_stored(cache_dir, sink, keys, values):
    """With encryption off or without a key, nothing from a sensitive request is written, and one warning says so."""
    cache = manager_of(cache_dir, *keys, sink=sink, **values)
    for text in ("one", "two"):
        key = ask(cache, text)
        assert not cache.set(key, "openai", "gpt-4o", {}, answer("a"), sensitive=True)
    assert not cache_dir.exists()
    assert [(event.name, event.operation) for event in sink.events] == [
        ("cache.error", "cache a sensitive request")
    ]


async def test_without_a_key_a_sensitive_call_goes_to_the_provider(cache_dir):
    """Every sensitive call bypasses a cache that cannot encrypt."""
    config = CacheConfig(enabled=True, cache_dir=cache_dir)
    model = Parrot("p", cache_config=config)
    question = [{"role": "user", "content": "hello"}]
    said = [(await model.get_text(question, sensitive=True)).content for _ in range(2)]
    assert (said, model.calls, entry_files(cache_dir)) == (["hello", "hello"], 2, [])


async def test_without_a_key_a_sensitive_call_in_replay_is_a_miss(cache_dir):
    """Replay raises an error with the reason for a request that cannot be recorded."""
    model = Parrot("p", cache_config=CacheConfig(enabled=True, cache_dir=cache_dir, mode="replay"))
    with pytest.raises(CacheMissError) as caught:
        await model.get_text([{"role": "user", "content": "hello"}], sensitive=True)
    assert caught.value.reason == "sensitive"


async def test_a_sensitive_call_hits_its_encrypted_entry(cache_dir):
    """With a key, the second sensitive call is a hit."""
    config = CacheConfig(enabled=True, cache_dir=cache_dir, encryption_keys=NEW)
    model = Parrot("p", cache_config=config)
    question = [{"role": "user", "content": "hello"}]
    answers = [await model.get_text(question, sensitive=True) for _ in range(2)]
    assert [each.cached for each in answers] == [False, True]
    assert key_ids(cache_dir) == {id_of(NEW)}


@pytest.mark.parametrize("as_text", [False, True])
def test_a_plain_entry_is_a_miss_if_encryption_is_required(cache_dir, sink, as_text):
    """With encryption of everything, an earlier plain entry is a miss with its own reason, for any kind of key."""
    key = put(manager_of(cache_dir), "one")
    strict = manager_of(cache_dir, NEW, sink=sink)
    asked = str(key) if as_text else key
    assert (strict.get(asked), strict.get_entry(asked), strict.has_entry(asked)) == (None, None, False)
    assert sink.reasons() == ["plain_refused"]


def test_a_rule_refuses_plain_entries_only_of_its_models(cache_dir):
    """A string key is checked against the rules of the model in its entry."""
    rules = [RULE]
    plain = manager_of(cache_dir)
    for model in ("gpt-internal", "gpt-4o"):
        plain.set(f"key of {model}", "openai", model, {}, answer(model))
    strict = manager_of(cache_dir, NEW, encryption="sensitive", rules=rules)
    assert strict.get("key of gpt-internal") is None
    assert strict.get("key of gpt-4o") == answer("gpt-4o")


def test_an_encrypted_response_replaces_a_plain_one(cache_dir):
    """Storing an encrypted response removes the plain file of the same request."""
    cache = manager_of(cache_dir, NEW, encryption="sensitive")
    key = put(cache, "one")
    put(cache, "two")
    put(cache, "one", "newer", sensitive=True)
    assert [cache.get(key), len(entry_files(cache_dir))] == [answer("newer"), 2]
    assert not (cache_dir / "openai" / "gpt-4o" / f"{key}.json").exists()


def test_a_newer_plain_response_replaces_an_encrypted_one(cache_dir):
    """A stored response replaces earlier ones of either form."""
    cache = manager_of(cache_dir, NEW, OLD, encryption="sensitive")
    key = put(manager_of(cache_dir, OLD), "one")
    put(cache, "one", "newer")
    assert cache.get(key) == answer("newer")
    assert key_ids(cache_dir) == {None}


def test_entries_with_equal_string_keys_are_separated_by_model(cache_dir):
    """Storing an entry does not remove another model's entry with the same string key."""
    cache = manager_of(cache_dir, NEW)
    for model in ("a", "b"):
        cache.set("key", "openai", model, {}, answer(model))
    assert len(entry_files(cache_dir)) == 2


@pytest.mark.parametrize("encrypted", [True, False])
def test_the_namespace_of_a_rule_applies_to_its_entries(cache_dir, encrypted):
    """An entry stored in a rule's namespace is found by any kind of key, with its full content."""
    rules = [{"model": "gpt-*", "namespace": "team"}]
    cache = manager_of(cache_dir, *[NEW] * encrypted, rules=rules, namespace="house")
    key = put(cache, "one")
    found = [
        cache.get(key),
        cache.get(str(key)),
        cache.get_entry(key).response,
        cache.get_entry(str(key)).response,
    ]
    assert found == [answer("answer to one")] * 4
    assert cache.has_entry(str(key))


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_string_key_does_not_reach_into_another_namespace(cache_dir, encrypted):
    """An entry with the same string key in another namespace is a miss."""
    keys = [NEW] * encrypted
    manager_of(cache_dir, *keys, namespace="a").set("key", "openai", "gpt-4o", {}, answer("of a"))
    assert manager_of(cache_dir, *keys, namespace="b").get("key") is None
    assert manager_of(cache_dir, *keys, namespace="a").get("key") == answer("of a")


def test_an_older_key_still_decrypts(cache_dir):
    """After a new key is put first, entries under the old key are read, and new entries replace them."""
    key = put(manager_of(cache_dir, OLD), "one")
    cache = manager_of(cache_dir, NEW, OLD)
    assert cache.get(key) == answer("answer to one")
    put(cache, "one")
    assert key_ids(cache_dir) == {id_of(NEW)}


def test_a_lost_key_is_a_miss_that_deletes_nothing(cache_dir, sink):
    """Without its key, an entry counts as absent and is kept."""
    key = put(manager_of(cache_dir, OLD), "one")
    assert manager_of(cache_dir, NEW, sink=sink).get(key) is None
    assert sink.reasons() == ["absent"]
    assert key_ids(cache_dir) == {id_of(OLD)}


async def test_a_sensitive_request_is_not_remembered(cache_dir):
    """No part of a sensitive document is kept in memory for the next key."""
    model = Parrot("p", cache_config=CacheConfig(enabled=True, cache_dir=cache_dir, encryption_keys=NEW))
    question = [{"role": "user", "content": "x" * 50_000}]
    remembered = model.cache._memo._remembered
    model.cache_key(question, sensitive=True)
    await model.get_text(question, sensitive=True)
    assert len(remembered) == 0
    model.cache_key(question)
    assert len(remembered) == 1


def test_no_request_is_remembered_under_all(cache_dir):
    """If everything is encrypted, every request counts as sensitive."""
    cache = manager_of(cache_dir, NEW)
    ask(cache, "x" * 50_000)
    assert len(cache._memo._remembered) == 0


def test_a_reload_applies_new_keys(cache_dir):
    """A running program still reads under the old key and writes under the new one."""
    cache = manager_of(cache_dir, OLD)
    key = put(cache, "one")
    cache.reload(cache.config.with_(encryption_keys=[NEW, OLD]))
    put(cache, "two")
    assert cache.get(key) == answer("answer to one")
    assert key_ids(cache_dir) == {id_of(OLD), id_of(NEW)}
