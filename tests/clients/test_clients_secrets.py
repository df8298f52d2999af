"""Sensitive calls, rules by model, and recordings that are committed: the SDKs' calls are stored as a model's are."""

from __future__ import annotations

import json

import pytest
from clients_world import SDKS, ask, start
from cryptography.fernet import Fernet

SECRET = "the plan for 2031"
KEY = "sk-proj-" + "a1B2c3D4e5" * 5


@pytest.fixture
def on_disk(cache_dir):
    """Return a function that returns the content of all files of the cache."""
    return lambda: b"\n".join(path.read_bytes() for path in cache_dir.rglob("*") if path.is_file())


@pytest.fixture
def encrypted():
    return {"encryption": "sensitive", "encryption_keys": Fernet.generate_key().decode()}


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
async def test_sensitive_calls(make, provider, on_disk, encrypted, sdk, stream, is_async):
    """No plain text of a sensitive call is on the disk, and it is a hit."""
    client = make(sdk, is_async=is_async, cache={**encrypted, "store_requests": True})
    options = {"extra_headers": {"x-spark-cache-sensitive": "true"}, "stream": stream, "is_async": is_async}
    for _ in range(2):
        heard = await ask(sdk, client, f"Tell {SECRET}", **options)
        assert heard
    assert provider.calls == 1
    assert on_disk()
    for word in (SECRET, "stand-in", "You asked"):
        assert word.encode() not in on_disk()


@pytest.mark.parametrize("sdk", SDKS)
def test_sensitive_call_without_a_key(make, provider, entries, on_disk, sdk):
    """Without a key, a sensitive response is not stored."""
    client = make(sdk)

    start(sdk, client, f"Tell {SECRET}", extra_headers={"x-spark-cache-sensitive": "true"})
    assert (provider.calls, entries()) == (1, 0)
    assert SECRET.encode() not in on_disk()


async def test_rules_by_model(make, provider, on_disk, entries, encrypted):
    """A rule for a model applies to the calls of an SDK."""
    rules = [{"model": "gpt-4o", "sensitive": True}, {"model": "claude", "enabled": False}]
    config = {**encrypted, "rules": rules, "store_requests": True}
    await ask("openai", make("openai", cache=config), SECRET)
    assert entries() == 1
    assert SECRET.encode() not in on_disk()
    for _ in range(2):
        await ask("anthropic", make("anthropic", cache=config), SECRET)
    assert (provider.calls, entries()) == (3, 1)
    await ask("gemini", make("gemini", cache=config), "Not a secret")
    assert b"Not a secret" in on_disk()


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("stream", [False, True])
async def test_committed_recordings(make, provider, on_disk, entries, sdk, stream):
    """A secret in a request does not reach a recording; a response that repeats one is not recorded."""
    config = {"commit_entries": True, "store_requests": True}
    client = make(sdk, cache=config)
    await ask(sdk, client, "Hello", stream=stream)
    assert entries() == 1
    await ask(sdk, client, f"Say {KEY}", stream=stream)
    assert KEY.encode() not in on_disk()
    assert json.dumps(KEY[:30]).encode()[1:-1] not in on_disk()
    assert provider.calls == 2
