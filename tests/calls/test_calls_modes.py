"""The modes, from the configuration and per call, and the reasons for misses in replay mode."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from models_world import QUESTION, ask, entry_files

from spark_cache import CacheMissError, MissReason

REPLAY_REASONS = {
    "absent": ({}, {}),
    "uncacheable": ({}, {"logit_bias": {50256: -100}}),
    "stateful": ({}, {"extra_body": {"previous_response_id": "r1"}}),
    "bypassed": ({}, {"cache": "bypass"}),
    "sensitive": ({}, {"sensitive": True}),
    "no_ttl": ({"cache_ttl_seconds": 0}, {}),
    "disabled": ({"enable_cache": False}, {}),
}


def listing(folder: Path):
    """Return every path below a folder, with its size and its times."""
    return sorted(
        (str(path), status.st_size, status.st_mtime_ns, status.st_mode)
        for root, _, names in os.walk(folder)
        for path in (Path(root), *(Path(root) / name for name in names))
        for status in (path.lstat(),)
    )


@pytest.fixture(params=["configured", "given"])
def in_mode(request, make_model, monkeypatch):
    """Return a function that makes a call in a mode, set by the configuration or by the call."""

    async def call(mode, messages=QUESTION, **options):
        if request.param == "configured":
            monkeypatch.setenv("SPARK_CACHE_MODE", mode)
            return await make_model().get_text(messages, **options)
        return await make_model().get_text(messages, cache=mode, **options)

    return call


async def test_read_write(in_mode, provider):
    """Read-write mode reads from the cache and stores new responses."""
    await in_mode("read-write")
    assert (await in_mode("read-write")).cached
    assert provider.calls == 1


async def test_read_only_reads(in_mode, make_model, provider):
    """Read-only mode reads from the cache."""
    await make_model().get_text(QUESTION)
    assert (await in_mode("read-only")).cached
    assert provider.calls == 1


async def test_read_only_stores_nothing(in_mode, provider, cache_dir):
    """On a miss, read-only mode calls the provider and does not even create a directory."""
    assert not (await in_mode("read-only")).cached
    assert not (await in_mode("read-only")).cached
    assert provider.calls == 2
    assert not cache_dir.exists()


@pytest.mark.parametrize("mode", ["read-only", "replay"])
async def test_reading_modes_leave_no_trace(in_mode, make_model, cache_dir, mode):
    """A read-only mode changes nothing in the cache directory, not even the time of a file."""
    model = make_model()
    await model.get_text(QUESTION)
    model.cache.get_stats()
    (path,) = entry_files(cache_dir)
    long_ago = path.stat().st_mtime - 3600
    os.utime(path, (long_ago, long_ago))
    before = listing(cache_dir)
    assert (await in_mode(mode)).cached
    model.cache.get_stats()
    assert listing(cache_dir) == before


async def test_refresh(in_mode, make_model, provider):
    """Refresh mode calls the provider and replaces the stored response."""
    await make_model().get_text(QUESTION)
    assert not (await in_mode("refresh")).cached
    assert provider.calls == 2
    (entry,) = make_model().cache.entries()
    assert make_model().cache.get_stats()["stores"] == 2
    assert entry.model_id == "gpt-4o"


async def test_bypass(in_mode, make_model, provider, cache_dir):
    """Bypass mode neither reads nor stores."""
    await make_model().get_text(QUESTION)
    assert not (await in_mode("bypass")).cached
    await in_mode("bypass", ask("Another"))
    assert provider.calls == 3
    assert len(entry_files(cache_dir)) == 1


async def test_replay_reads(in_mode, make_model, provider):
    """Replay mode reads from the cache whatever the age of the entry."""
    await make_model(cache_ttl_seconds=0.001).get_text(QUESTION)
    assert (await in_mode("replay")).cached
    assert provider.calls == 1


@pytest.mark.parametrize("reason", REPLAY_REASONS)
async def test_replay_miss(make_model, provider, monkeypatch, reason):
    """In replay mode, a miss raises an error with its reason and makes no API call."""
    monkeypatch.setenv("SPARK_CACHE_MODE", "replay")
    options, arguments = REPLAY_REASONS[reason]
    with pytest.raises(CacheMissError) as caught:
        await make_model(**options).get_text(QUESTION, **arguments)
    assert caught.value.reason == MissReason(reason)
    assert (caught.value.provider, caught.value.model_id) == ("openai", "gpt-4o")
    assert "What is Python?" not in str(caught.value)
    assert provider.calls == 0


async def test_replay_miss_of_a_single_call(make_model, provider):
    """A call with replay mode raises an error if it misses."""
    with pytest.raises(CacheMissError, match="absent"):
        await make_model().get_text(QUESTION, cache="replay")
    assert provider.calls == 0


@pytest.mark.parametrize("mode", ["read-write", "refresh"])
async def test_replay_cannot_be_overridden(make_model, provider, monkeypatch, mode):
    """If replay mode is configured, no call reaches the provider by requesting another mode."""
    monkeypatch.setenv("SPARK_CACHE_MODE", "replay")
    with pytest.raises(CacheMissError):
        await make_model().get_text(QUESTION, cache=mode)
    assert provider.calls == 0


async def test_replay_of_a_broken_entry(make_model, cache_dir):
    """In replay mode, the error for a broken entry names the fault."""
    await make_model().get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    path.write_text("{")
    with pytest.raises(CacheMissError, match="corrupt"):
        await make_model().get_text(QUESTION, cache="replay")


async def test_default_is_the_configured_mode(make_model, provider, monkeypatch):
    """A call with the default mode uses the configured one."""
    monkeypatch.setenv("SPARK_CACHE_MODE", "bypass")
    model = make_model()
    for _ in range(2):
        assert not (await model.get_text(QUESTION, cache="default")).cached
    assert provider.calls == 2


@pytest.mark.parametrize("cache", ["readonly", "", None, True])
async def test_unknown_mode(make_model, provider, cache):
    """An unknown mode is refused, and the error lists the valid ones."""
    with pytest.raises(ValueError, match="must be one of default, read-write, read-only"):
        await make_model().get_text(QUESTION, cache=cache)
    assert provider.calls == 0


@pytest.mark.parametrize(
    "given",
    [{"extra_body": {"previous_response_id": "r1"}}, {"extra_body": {"conversation": "c1"}}],
    ids=["previous_response_id", "conversation"],
)
async def test_stateful_request_is_not_cached(make_model, provider, cache_dir, given):
    """A request that depends on state at the provider is sent each time and never stored."""
    model = make_model()
    for _ in range(2):
        assert not (await model.get_text(QUESTION, **given)).cached
    assert provider.calls == 2
    assert not cache_dir.exists()


async def test_sensitive_request_without_an_encryption_key(make_model, provider, cache_dir, warned):
    """Without an encryption key, a sensitive response is returned, never stored, and one warning reports it."""
    model = make_model()
    for _ in range(2):
        assert not (await model.get_text(QUESTION, sensitive=True)).cached
    assert provider.calls == 2
    assert not cache_dir.exists()
    (warning,) = warned()
    assert "sensitive" in warning


async def test_rule_for_some_models(make_model, provider, cache_dir):
    """A rule of the configuration applies to the models that it names, and to no others."""
    config = make_model().cache.config.with_(rules=[{"model": "*-live", "mode": "bypass"}])
    for model_id in ("news-live", "gpt-4o"):
        model = make_model(model_id, enable_cache=None, cache_dir=None, cache_config=config)
        await model.get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    assert path.parent.name == "gpt-4o"
    assert provider.calls == 2
