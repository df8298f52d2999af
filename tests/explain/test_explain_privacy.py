"""What an explanation never shows, and what a remembered miss never holds."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from cryptography.fernet import Fernet
from explain_world import asked, differences

SECRET = "swordfish"
KEY = Fernet.generate_key().decode()

OLD = asked(f"The password is {SECRET}.", parameters={"metadata": {SECRET: 1}})
NEW = asked(f"The password is not {SECRET}.", parameters={"metadata": {f"{SECRET}2": 1}})


def everything(explanation):
    return json.dumps(asdict(explanation)) + str(explanation) + repr(explanation)


def test_requests_that_are_not_stored_are_not_shown(make_world):
    """Without stored requests only the parts are named, and nothing of either request."""
    world = make_world(store_requests=False)
    world.store(OLD)

    explanation = world.explain(NEW)

    assert differences(explanation) == ["messages: differs", "parameters: differs"]
    assert SECRET not in everything(explanation)


def test_a_reader_that_stores_no_requests_shows_none(make_world):
    """A stored request is not shown to compare with one that is not to be stored."""
    make_world().store(OLD)

    assert SECRET not in everything(make_world(store_requests=False).explain(NEW))


@pytest.mark.parametrize(
    ("stored", "asked_for"),
    [(True, True), (True, False), (False, True)],
)
def test_nothing_of_an_encrypted_request_is_shown(make_world, stored, asked_for):
    """Where one of the two is encrypted, or is to be, only the parts are named, also for those with the key."""
    world = make_world(encryption_keys=[KEY])
    world.store(OLD, sensitive=stored)

    explanation = world.explain(NEW, sensitive=asked_for)

    assert differences(explanation) == ["messages: differs", "parameters: differs"]
    assert explanation.notes == ("one of the two is encrypted, so only the parts that differ are named.",)
    assert SECRET not in everything(explanation)


def test_nothing_is_said_of_an_encrypted_entry_without_its_key(make_world):
    """Without the key not even which parts differ can be told."""
    name = make_world(encryption="all", encryption_keys=[KEY]).store(OLD)
    world = make_world()

    assert differences(world.explain(NEW)) == []
    assert world.manager.explain(name).summary.endswith(
        "no key at hand opens its entry, or the entry was tampered with."
    )


def test_the_names_in_a_sensitive_request_are_not_shown(make_world):
    """A path that names what cannot be keyed stops at the part of a sensitive request."""
    world = make_world(encryption_keys=[KEY])

    explanation = world.explain(asked("Hi", parameters={"metadata": {SECRET: print}}), sensitive=True)

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
    """The value under a name such as token, key or password does not appear."""
    world.store(asked("Hello", parameters=old))

    explanation = world.explain(asked("Hello", parameters=new))

    assert explanation.differences
    assert SECRET not in everything(explanation)


def remembered(cache_dir):
    return "".join(path.read_text() for path in cache_dir.glob(".spark-cache/history.jsonl*"))


def test_a_sensitive_miss_leaves_only_a_name_that_its_key_gives(make_world, cache_dir):
    """Neither the cache key nor a digest of a part is kept: nobody can check a guess."""
    world = make_world(encryption_keys=[KEY])
    world.store(asked("Hello"))
    name = world.miss(OLD, sensitive=True)
    world.manager.flush()

    (line,) = remembered(cache_dir).splitlines()

    assert (json.loads(line)["name"], json.loads(line)["digests"]) == (name, {})
    key = world.manager.key(OLD)
    assert not any(digest in line for digest in (key, *key.digests.values()))


def test_a_plain_miss_is_kept_without_its_text(world, cache_dir):
    """The digests of a request's parts are kept, as its entry would hold them, and no text."""
    world.store(asked("Hello"))
    world.miss(OLD)
    world.manager.flush()

    (line,) = remembered(cache_dir).splitlines()

    assert json.loads(line)["digests"] == dict(world.manager.key(OLD).digests)
    assert SECRET not in line


def test_a_key_that_is_looked_up_by_hand_is_not_remembered(make_world, cache_dir):
    """`get` does not know whether the request behind a key is sensitive, so nothing is kept of it."""
    world = make_world(encryption_keys=[KEY])
    world.store(asked("Hello"))
    world.manager.get(world.manager.key(OLD))
    world.manager.flush()

    assert remembered(cache_dir) == ""


@pytest.mark.parametrize("mode", ["read-only", "replay"])
def test_a_mode_that_writes_nothing_remembers_nothing(make_world, cache_dir, mode):
    """No file is made or written by a reader."""
    make_world().store(asked("Hello"))
    world = make_world(mode=mode)
    world.miss(OLD)
    world.manager.flush()

    assert remembered(cache_dir) == ""
