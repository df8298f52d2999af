"""How long answers live."""

from __future__ import annotations

import json

import pytest
from models_world import QUESTION, entry_files, only_entry


@pytest.mark.parametrize(("age", "cached"), [(0, True), (59.9, True), (60, False), (61, False)])
async def test_answer_expires(make_model, clock, age, cached):
    """An answer is served until its lifetime is over, and no longer."""
    model = make_model(cache_ttl_seconds=60, clock=clock)
    await model.get_text(QUESTION)
    clock.go(age)
    assert (await model.get_text(QUESTION)).cached is cached


async def test_asking_anew_begins_a_new_life(make_model, clock, provider):
    """The answer that replaces an expired one lives as long again."""
    model = make_model(cache_ttl_seconds=60, clock=clock)
    await model.get_text(QUESTION)
    clock.go(60)
    await model.get_text(QUESTION)
    clock.go(59)
    assert (await model.get_text(QUESTION)).cached
    assert provider.calls == 2


async def test_a_hit_does_not_lengthen_a_life(make_model, clock):
    """A hit makes an answer no younger."""
    model = make_model(cache_ttl_seconds=60, clock=clock)
    await model.get_text(QUESTION)
    for _ in range(2):
        clock.go(30)
        response = await model.get_text(QUESTION)
    assert not response.cached


async def test_reader_with_a_shorter_time(make_model, clock):
    """A reader with a shorter lifetime goes by its own, one with a longer by the entry's."""
    await make_model(cache_ttl_seconds=60, clock=clock).get_text(QUESTION)
    clock.go(30)
    assert (await make_model(cache_ttl_seconds=3600, clock=clock).get_text(QUESTION)).cached
    assert not (await make_model(cache_ttl_seconds=30, clock=clock).get_text(QUESTION)).cached


async def test_longer_time_does_not_revive(make_model, clock):
    """An answer lives no longer than it was stored for, whatever its reader would allow."""
    await make_model(cache_ttl_seconds=60, clock=clock).get_text(QUESTION)
    clock.go(61)
    assert not (await make_model(cache_ttl_seconds=3600, clock=clock).get_text(QUESTION)).cached


async def test_never(make_model, clock, cache_dir):
    """With "never", an answer does not expire."""
    model = make_model(cache_ttl_seconds="never", clock=clock)
    await model.get_text(QUESTION)
    assert only_entry(cache_dir)["ttl"] is None
    clock.go(100 * 365 * 86400)
    assert (await model.get_text(QUESTION)).cached


async def test_text_duration(make_model, cache_dir):
    """A lifetime can be given as a text with a unit."""
    await make_model(cache_ttl_seconds="2h").get_text(QUESTION)
    assert only_entry(cache_dir)["ttl"] == 7200


async def test_zero_neither_reads_nor_stores(make_model, provider, cache_dir):
    """With a lifetime of 0, answers are neither stored nor read."""
    await make_model(cache_ttl_seconds=0).get_text(QUESTION)
    assert not cache_dir.exists()
    await make_model(cache_ttl_seconds=60).get_text(QUESTION)
    assert not (await make_model(cache_ttl_seconds=0).get_text(QUESTION)).cached
    assert provider.calls == 3


@pytest.mark.parametrize(("ahead", "cached"), [(299, True), (301, False)])
async def test_entry_of_the_future(make_model, clock, cache_dir, ahead, cached):
    """An entry dated more than five minutes ahead is not believed."""
    model = make_model(clock=clock)
    await model.get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    entry = json.loads(path.read_text())
    entry["timestamp"] += ahead
    path.write_text(json.dumps(entry))
    assert (await model.get_text(QUESTION)).cached is cached


async def test_replay_ignores_time(make_model, clock, cache_dir):
    """Replay answers from an entry that is expired, and from one that is dated ahead."""
    model = make_model(cache_ttl_seconds=60, clock=clock)
    await model.get_text(QUESTION)
    clock.go(61)
    assert (await model.get_text(QUESTION, cache="replay")).cached
    clock.go(-10_000)
    assert (await model.get_text(QUESTION, cache="replay")).cached
