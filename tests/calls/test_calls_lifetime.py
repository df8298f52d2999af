"""The TTL of responses."""

from __future__ import annotations

import json

import pytest
from models_world import QUESTION, entry_files, only_entry


@pytest.mark.parametrize(("age", "cached"), [(0, True), (59.9, True), (60, False), (61, False)])
async def test_response_expires(make_model, clock, age, cached):
    """A response is served until its TTL has passed, and no longer."""
    model = make_model(cache_ttl_seconds=60, clock=clock)
    await model.get_text(QUESTION)
    clock.go(age)
    assert (await model.get_text(QUESTION)).cached is cached


async def test_new_response_has_the_full_ttl(make_model, clock, provider):
    """The response that replaces an expired one has the full TTL."""
    model = make_model(cache_ttl_seconds=60, clock=clock)
    await model.get_text(QUESTION)
    clock.go(60)
    await model.get_text(QUESTION)
    clock.go(59)
    assert (await model.get_text(QUESTION)).cached
    assert provider.calls == 2


async def test_hit_does_not_extend_the_ttl(make_model, clock):
    """A hit does not extend the TTL."""
    model = make_model(cache_ttl_seconds=60, clock=clock)
    await model.get_text(QUESTION)
    for _ in range(2):
        clock.go(30)
        response = await model.get_text(QUESTION)
    assert not response.cached


async def test_reader_with_a_shorter_ttl(make_model, clock):
    """A reader with a shorter TTL uses its own, and one with a longer TTL uses the entry's."""
    await make_model(cache_ttl_seconds=60, clock=clock).get_text(QUESTION)
    clock.go(30)
    assert (await make_model(cache_ttl_seconds=3600, clock=clock).get_text(QUESTION)).cached
    assert not (await make_model(cache_ttl_seconds=30, clock=clock).get_text(QUESTION)).cached


async def test_longer_ttl_does_not_revive_an_entry(make_model, clock):
    """An entry expires after the TTL it was stored with, even if the reader's TTL is longer."""
    await make_model(cache_ttl_seconds=60, clock=clock).get_text(QUESTION)
    clock.go(61)
    assert not (await make_model(cache_ttl_seconds=3600, clock=clock).get_text(QUESTION)).cached


async def test_never(make_model, clock, cache_dir):
    """With "never", a response does not expire."""
    model = make_model(cache_ttl_seconds="never", clock=clock)
    await model.get_text(QUESTION)
    assert only_entry(cache_dir)["ttl"] is None
    clock.go(100 * 365 * 86400)
    assert (await model.get_text(QUESTION)).cached


async def test_text_duration(make_model, cache_dir):
    """A TTL can be given as a string with a unit."""
    await make_model(cache_ttl_seconds="2h").get_text(QUESTION)
    assert only_entry(cache_dir)["ttl"] == 7200


async def test_zero_neither_reads_nor_stores(make_model, provider, cache_dir):
    """With a TTL of 0, responses are neither stored nor read."""
    await make_model(cache_ttl_seconds=0).get_text(QUESTION)
    assert not cache_dir.exists()
    await make_model(cache_ttl_seconds=60).get_text(QUESTION)
    assert not (await make_model(cache_ttl_seconds=0).get_text(QUESTION)).cached
    assert provider.calls == 3


@pytest.mark.parametrize(("ahead", "cached"), [(299, True), (301, False)])
async def test_entry_from_the_future(make_model, clock, cache_dir, ahead, cached):
    """An entry dated more than five minutes in the future is a miss."""
    model = make_model(clock=clock)
    await model.get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    entry = json.loads(path.read_text())
    entry["timestamp"] += ahead
    path.write_text(json.dumps(entry))
    assert (await model.get_text(QUESTION)).cached is cached


async def test_replay_ignores_the_ttl(make_model, clock, cache_dir):
    """Replay serves an expired entry, and one dated in the future."""
    model = make_model(cache_ttl_seconds=60, clock=clock)
    await model.get_text(QUESTION)
    clock.go(61)
    assert (await model.get_text(QUESTION, cache="replay")).cached
    clock.go(-10_000)
    assert (await model.get_text(QUESTION, cache="replay")).cached
