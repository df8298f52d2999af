"""What an application sees of the cache in its log."""

from __future__ import annotations

import json
import logging

import pytest
from models_world import QUESTION, Events, run_python

ASK = """
import asyncio, logging, sys
{setup}
from spark_cache import OpenAIModel

async def main():
    client_args = {{"base_url": sys.argv[1], "api_key": "sk-hush"}}
    async with OpenAIModel("gpt-4o", enable_cache=True, cache_dir=sys.argv[2], client_args=client_args) as model:
        for _ in range(2):
            response = await model.get_text(
                [{{"role": "user", "content": "MARKED prompt"}}], "MARKED system", user="MARKED user"
            )
        assert response.cached
        assert "MARKED prompt" in response.content
        print(response.cache_key)

asyncio.run(main())
"""


@pytest.fixture
def log_of(provider, cache_dir):
    """Return a function that makes two equal calls in a new interpreter and returns the log.

    The log never contains a prompt, a response, a parameter or a key.
    """

    def run(setup):
        done = run_python(ASK.format(setup=setup), provider.base_url, cache_dir)
        key = done.stdout.strip()
        assert (done.returncode, len(key)) == (0, 64), done.stderr
        for secret in (key, "MARKED", "sk-hush"):
            assert secret not in done.stderr
        return done.stderr

    return run


def test_silent_by_default(log_of):
    """An application without logging configuration sees no misses, stores or hits."""
    assert log_of("") == ""


def test_json(log_of):
    """With configure_logging, each event is a line of JSON with its fields."""
    log = log_of("from spark_cache import configure_logging; configure_logging('DEBUG', 'json')")
    events = [json.loads(line) for line in log.splitlines()]
    assert [event["event"] for event in events] == ["cache.miss", "cache.store", "cache.hit"]
    assert {(event["provider"], event["model"], event["level"]) for event in events} == {
        ("openai", "gpt-4o", "info")
    }


def test_visible_with_basic_config(log_of):
    """With basicConfig at INFO, a miss, a store and a hit are one readable line each."""
    lines = [line for line in log_of("logging.basicConfig(level='INFO')").splitlines() if "cache." in line]
    assert [line.split(":")[2].split(" ")[0] for line in lines] == ["cache.miss", "cache.store", "cache.hit"]
    assert all(line.startswith("INFO:spark_cache:") for line in lines)
    assert "provider=openai model=gpt-4o key=" in lines[0]
    assert "reason=absent" in lines[0]
    assert "age=0s" in lines[2]


async def test_events_of_a_call(make_model):
    """A miss is followed by a store. A hit is a single event."""
    sink = Events()
    model = make_model(sink=sink)
    await model.get_text(QUESTION)
    await model.get_text(QUESTION)
    assert sink.names == ["cache.miss", "cache.store", "cache.hit"]
    assert {(event.provider, event.model, event.operation) for event in sink.events} == {
        ("openai", "gpt-4o", "text")
    }
    assert len({event.key for event in sink.events}) == 1
    assert sink.events[0].key == model.cache_key(QUESTION)[:12]


async def test_bypass_is_logged(make_model, caplog):
    """A call that bypasses the cache is one line with its reason."""
    caplog.set_level(logging.INFO, logger="spark_cache")
    await make_model().get_text(QUESTION, cache="bypass")
    assert [message.split(" ")[0] for message in caplog.messages if "cache." in message] == ["cache.bypass"]
    assert "reason=bypassed" in caplog.text


async def test_off_is_not_logged(make_model, caplog):
    """With the cache off, nothing is logged."""
    caplog.set_level(logging.DEBUG, logger="spark_cache")
    await make_model(enable_cache=False).get_text(QUESTION)
    assert [record for record in caplog.records if record.name == "spark_cache"] == []
