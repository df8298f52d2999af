"""What explanations never show and the miss log never contains."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from cryptography.fernet import Fernet
from explain_world import Clock, differences, make_request

from spark_cache.savings import SAVINGS_FILE, Savings

SECRET = "swordfish"
KEY = Fernet.generate_key().decode()

OLD = make_request(f"The password is {SECRET}.", parameters={"metadata": {SECRET: 1}})
NEW = make_request(f"The password is not {SECRET}.", parameters={"metadata": {f"{SECRET}2": 1}})


def everything(explanation):
    return json.dumps(asdict(explanation)) + str(explanation) + repr(explanation)


def test_requests_that_are_not_stored_are_not_shown(make_world):
    """Without stored requests, an explanation names the parts that differ and shows no values."""
    world = make_world(store_requests=False)
    world.store(OLD)

    explanation = world.explain(NEW)

    assert differences(explanation) == ["body.messages: differs", "body.metadata: differs"]
    assert SECRET not in everything(explanation)


def test_a_reader_that_stores_no_requests_shows_none(make_world):
    """A stored request is not shown if the configuration of the reader does not store requests."""
    make_world().store(OLD)

    assert SECRET not in everything(make_world(store_requests=False).explain(NEW))


@pytest.mark.parametrize(
    ("stored", "requested"),
    [(True, True), (True, False), (False, True)],
)
def test_nothing_of_an_encrypted_request_is_shown(make_world, stored, requested):
    """If one request is or must be encrypted, only the parts are named, even with the encryption key."""
    world = make_world(encryption_keys=[KEY])
    world.store(OLD, sensitive=stored)

    explanation = world.explain(NEW, sensitive=requested)

    assert differences(explanation) == ["body.messages: differs", "body.metadata: differs"]
    assert explanation.notes == (
        "one of the two requests is encrypted, so only the names of the parts that differ are shown.",
    )
    assert SECRET not in everything(explanation)


def test_an_encrypted_entry_without_its_key_is_not_compared(make_world):
    """Without the encryption key, not even the parts that differ are named."""
    name = make_world(encryption="all", encryption_keys=[KEY]).store(OLD)
    world = make_world()

    assert differences(world.explain(NEW)) == []
    assert world.manager.explain(name).summary.endswith(
        "no available encryption key decrypts its entry, or the entry was tampered with."
    )


def test_the_names_in_a_sensitive_request_are_not_shown(make_world):
    """For a sensitive request, the path of a value that cannot be part of a key ends at the part."""
    world = make_world(encryption_keys=[KEY])

    explanation = world.explain(make_request("Hi", parameters={"metadata": {SECRET: print}}), sensitive=True)

    assert explanation.reason == "uncacheable"
    assert SECRET not in everything(explanation)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"extra_headers": {"X-Auth-Token": "one"}}, {"extra_headers": {"X-Auth-Token": SECRET}}),
        ({}, {"extra_headers": {"X-Auth-Token": SECRET, "X-Tenant": "blue"}}),
        ({"extra_body": {"nested": {"api_key": "one"}}}, {"extra_body": {"nested": {"api_key": SECRET}}}),
        ({"extra_body": {"password": {"value": "one"}}}, {"extra_body": {"password": {"value": SECRET}}}),
    ],
)
def test_credentials_are_not_shown(world, old, new):
    """Values under names such as token, key or password are not shown."""
    world.store(make_request("Hello", parameters=old))

    explanation = world.explain(make_request("Hello", parameters=new))

    assert explanation.differences
    assert SECRET not in everything(explanation)


def logged(cache_dir):
    """Return the logged misses, and everything that the database holds."""
    folder = cache_dir / ".spark-cache"
    notes = Savings(str(folder), clock=Clock()).misses()
    return notes, b"".join(path.read_bytes() for path in folder.glob(f"{SAVINGS_FILE}*"))


def test_a_sensitive_miss_is_logged_by_its_encrypted_name(make_world, cache_dir):
    """The miss log keeps neither the cache key nor a digest, so a guess of the request cannot be verified."""
    world = make_world(encryption_keys=[KEY])
    world.store(make_request("Hello"))
    name = world.miss(OLD, sensitive=True)
    world.manager.flush()

    (note,), written = logged(cache_dir)

    assert (note.name, note.digests) == (name, {})
    key = world.manager.key(OLD)
    assert not any(digest.encode() in written for digest in (key, *key.digests.values()))


def test_a_plain_miss_is_logged_without_its_text(world, cache_dir):
    """The miss log keeps the digests of the parts of a request, and no text."""
    world.store(make_request("Hello"))
    world.miss(OLD)
    world.manager.flush()

    (note,), written = logged(cache_dir)

    assert note.digests == dict(world.manager.key(OLD).digests)
    assert SECRET.encode() not in written


def test_get_does_not_log_misses(make_world, cache_dir):
    """`get` cannot know whether the request of a key is sensitive, so it logs nothing."""
    world = make_world(encryption_keys=[KEY])
    world.store(make_request("Hello"))
    world.manager.get(world.manager.key(OLD))
    world.manager.flush()

    assert logged(cache_dir)[0] == []


@pytest.mark.parametrize("mode", ["read-only", "replay"])
def test_read_only_modes_log_no_misses(make_world, cache_dir, mode):
    """A mode that does not write creates and changes no file."""
    make_world().store(make_request("Hello"))
    world = make_world(mode=mode)
    world.miss(OLD)
    world.manager.flush()

    assert logged(cache_dir)[0] == []
