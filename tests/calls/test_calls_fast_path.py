"""The fast path of get_text and the full path give the same responses, counts, log lines and provider calls."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from unittest.mock import patch

import openai
import pytest
from cryptography.fernet import Fernet
from models_world import QUESTION, Events, entry_files, events_of

from spark_cache import CacheConfig, CacheMissError, Mode
from spark_cache.core.plan import Planner
from spark_cache.manager.calls import Calls

KEY = Fernet.generate_key().decode()


def _edited(**changes):
    def edit(path):
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit


CHANGES = {
    "whole": lambda _path: None,
    "gone": lambda path: path.unlink(),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "another key": _edited(key="0" * 64),
    "another version": _edited(schema=99),
    "expired": _edited(timestamp=1),
    "from the future": _edited(timestamp=1_800_000_000),
    "content of another type": _edited(content=["Paris"]),
    "usage of another type": _edited(usage=[1]),
    "figures of another name": _edited(usage={"tokens": 1}),
    "streamed without its usage": _edited(usage=None, events=[[0.5, {"choices": []}]]),
    "streamed": _edited(events=[[0.5, {"choices": []}]]),
    "tool calls of another type": _edited(tool_calls=[1]),
    "without its raw answer": _edited(raw=None),
}

CONFIGS = {
    "plain": {},
    "off": {"enabled": False},
    "no ttl": {"ttl_seconds": 0},
    "read-only": {"mode": Mode.READ_ONLY},
    "refresh": {"mode": Mode.REFRESH},
    "replay": {"mode": Mode.REPLAY},
    "bypass": {"mode": Mode.BYPASS},
    "a rule": {"rules": ({"model": "gpt-4*", "ttl_seconds": 60},)},
    "a rule that turns it off": {"rules": ({"model": "gpt-4*", "enabled": False},)},
    "sensitive": {"encryption": "sensitive", "encryption_keys": (KEY,)},
    "encrypted": {"encryption": "all", "encryption_keys": (KEY,)},
}

CALLS = {
    "plain": {},
    "with parameters": {"temperature": 0.5, "extra_headers": {"X-Route": "a"}},
    "another question": {"seed": 1},
    "a mode of its own": {"cache": "read-only"},
    "sensitive": {"sensitive": True},
    "not sensitive": {"sensitive": False},
    "stateful": {"extra_body": {"previous_response_id": "r"}},
    "uncacheable": {"metadata": object()},
    "a sample": {"sample": 3},
    "left out": {"temperature": openai.NOT_GIVEN},
}


async def _outcome(make_model, provider, cache_dir, call, *, config=None, sink=None):
    """Return the result of a call, its source, the counts it adds, and the number of provider calls."""
    options = {"cache_config": CacheConfig(**{"enabled": True, "cache_dir": cache_dir, **(config or {})})}
    model = make_model(sink=sink, enable_cache=None, cache_dir=None, **options)
    before, calls = model.cache.get_stats(), provider.calls
    try:
        response = await model.get_text(QUESTION, **call)
        came = (response, response.cached, response.shared, response.cache_key, response.origin is None)
    except (CacheMissError, TypeError) as error:
        came = (type(error), getattr(error, "reason", None))
    after = model.cache.get_stats()
    reasons = {
        name: n - before["misses_by_reason"].get(name, 0) for name, n in after["misses_by_reason"].items()
    }
    counted = [after[name] - before[name] for name in ("hits", "misses", "stores", "tokens_saved")]
    return came, counted, {name: n for name, n in reasons.items() if n}, provider.calls - calls


async def _both(make_model, provider, cache_dir, call, **options):
    """Return the result of a call on the fast path, and on the full path in an equal directory."""
    twin = cache_dir.with_name("twin")
    shutil.copytree(cache_dir, twin)
    fast = await _outcome(make_model, provider, cache_dir, call, **options)
    with patch.object(Calls, "try_fast_hit", lambda *_: None):
        return fast, await _outcome(make_model, provider, twin, call, **options)


@pytest.mark.parametrize("change", CHANGES)
async def test_any_state_of_the_entry(make_model, provider, cache_dir, change):
    """Both paths agree, whatever was done to the entry."""
    await make_model().get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    CHANGES[change](path)
    fast, full = await _both(make_model, provider, cache_dir, {})
    assert fast == full


@pytest.mark.parametrize("config", CONFIGS)
async def test_any_configuration(make_model, provider, cache_dir, config):
    """Both paths agree under every mode, rule and level of encryption."""
    await make_model().get_text(QUESTION)
    fast, full = await _both(make_model, provider, cache_dir, {}, config=CONFIGS[config])
    assert fast == full


@pytest.mark.parametrize("call", CALLS)
async def test_any_call(make_model, provider, cache_dir, call):
    """Both paths agree on every kind of call, the second time too."""
    if "seed" not in CALLS[call]:
        try:
            await make_model().get_text(QUESTION, **CALLS[call])
        except TypeError:
            await make_model().get_text(QUESTION)
    await make_model().get_text(QUESTION)
    fast, full = await _both(make_model, provider, cache_dir, CALLS[call])
    assert fast == full


async def test_a_hit_is_logged_alike(make_model, provider, cache_dir):
    """Both paths send the same events."""
    await make_model().get_text(QUESTION)
    logged = []
    for path in (contextlib.nullcontext(), patch.object(Calls, "try_fast_hit", lambda *_: None)):
        sink = Events()
        with path:
            await _outcome(make_model, provider, cache_dir, {}, sink=sink)
        logged.append([(event.name, event.facts()["key"]) for event in sink.events])
    assert logged[0] == logged[1]
    assert [name for name, _ in logged[0]] == ["cache.hit"]


async def test_an_ordinary_hit_takes_the_fast_path(make_model, monkeypatch):
    """An ordinary hit never reaches the full path."""
    model = make_model()
    await model.get_text(QUESTION)
    monkeypatch.setattr(Calls, "look_up", None)
    assert (await model.get_text(QUESTION)).cached


async def test_a_miss_keys_its_request_and_looks_up_its_entry_once(make_model, monkeypatch, cache_dir):
    """The full path continues with the key and the lookup of the fast path. A second look follows under the lease."""
    model = make_model()
    path = cache_dir / "openai" / "gpt-4o" / f"{model.cache_key(QUESTION)}.json"
    opened, keyed = [], []
    whole, key = os.open, Planner.key

    def counting(name, *arguments, **options):
        opened.append(str(name))
        return whole(name, *arguments, **options)

    def keying(*arguments, **options):
        keyed.append(arguments)
        return key(*arguments, **options)

    monkeypatch.setattr(os, "open", counting)
    monkeypatch.setattr(Planner, "key", keying)
    assert not (await model.get_text(QUESTION)).cached
    assert (len(keyed), opened.count(str(path))) == (1, 2)


async def test_a_stream_without_usage_does_not_serve_get_text(make_model, provider):
    """A streamed response without usage is a miss for get_text, on the fast path too."""
    model = make_model()
    await events_of(model, QUESTION, stream_options={"include_usage": False})
    assert not (await model.get_text(QUESTION)).cached
    assert provider.calls == 2
