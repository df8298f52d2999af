"""The short way of a model's hit and the long one come to the same: answers, figures, log and calls."""

from __future__ import annotations

import json
import logging
import shutil

import openai
import pytest
from cryptography.fernet import Fernet
from models_world import QUESTION, Events, entry_files, events_of

from spark_cache import CacheConfig, CacheMissError, Mode

KEY = Fernet.generate_key().decode()


def _edited(**changes):
    def edit(path):
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit


DEEDS = {
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


async def _asked(make_model, provider, cache_dir, short, call, *, config=None, sink=None):
    """What a call comes to: the answer, where it came from, what was counted, and how often the provider was asked."""
    options = {"cache_config": CacheConfig(**{"enabled": True, "cache_dir": cache_dir, **(config or {})})}
    model = make_model(sink=sink, enable_cache=None, cache_dir=None, **options)
    if not short:
        model._usual_hit = lambda *_, **__: None
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
    """What a call comes to by the short way, and by the long one in an equal directory."""
    twin = cache_dir.with_name("twin")
    shutil.copytree(cache_dir, twin)
    short = await _asked(make_model, provider, cache_dir, True, call, **options)
    return short, await _asked(make_model, provider, twin, False, call, **options)


@pytest.mark.parametrize("deed", DEEDS)
async def test_whatever_stands_in_the_entrys_place(make_model, provider, cache_dir, deed):
    """Both ways agree, whatever was done to the entry."""
    await make_model().get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    DEEDS[deed](path)
    short, long = await _both(make_model, provider, cache_dir, {})
    assert short == long


@pytest.mark.parametrize("config", CONFIGS)
async def test_whatever_is_configured(make_model, provider, cache_dir, config):
    """Both ways agree under every mode, rule and level of encryption."""
    await make_model().get_text(QUESTION)
    short, long = await _both(make_model, provider, cache_dir, {}, config=CONFIGS[config])
    assert short == long


@pytest.mark.parametrize("call", CALLS)
async def test_whatever_is_asked(make_model, provider, cache_dir, call):
    """Both ways agree on every kind of call, the second time too."""
    if "seed" not in CALLS[call]:
        try:
            await make_model().get_text(QUESTION, **CALLS[call])
        except TypeError:
            await make_model().get_text(QUESTION)
    await make_model().get_text(QUESTION)
    short, long = await _both(make_model, provider, cache_dir, CALLS[call])
    assert short == long


async def test_a_hit_is_told_to_whoever_listens(make_model, provider, cache_dir):
    """Where hits are logged, both ways say the same of them."""
    await make_model().get_text(QUESTION)
    told = []
    for short in (True, False):
        sink = Events()
        await _asked(make_model, provider, cache_dir, short, {}, sink=sink)
        told.append([(event.name, event.facts()["key"]) for event in sink.events])
    assert told[0] == told[1]
    assert [name for name, _ in told[0]] == ["cache.hit"]


async def test_a_hit_takes_the_short_way(make_model, monkeypatch, caplog):
    """The usual hit of a program that logs nothing goes the short way."""
    caplog.set_level(logging.WARNING, logger="spark_cache")
    model = make_model()
    await model.get_text(QUESTION)
    monkeypatch.setattr(model, "_answer", None)
    assert (await model.get_text(QUESTION)).cached


async def test_a_stream_without_usage_is_asked_anew(make_model, provider):
    """A streamed answer whose usage nobody knows is no answer in one piece, by the short way either."""
    model = make_model()
    await events_of(model, QUESTION, stream_options={"include_usage": False})
    assert not (await model.get_text(QUESTION)).cached
    assert provider.calls == 2
