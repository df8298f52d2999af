"""Clients of google.genai where aiohttp is installed: their asynchronous calls go through the cache nevertheless."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from google import genai
from models_world import run_python

from spark_cache import CacheManager, GeminiModel, load_config
from spark_cache.clients import cached, installed

ASKED = {"model": "gemini-2.5-flash", "contents": "What is Python?"}


@pytest.fixture
def manager(cache_dir):
    return CacheManager(load_config(enabled=True, cache_dir=cache_dir))


@pytest.fixture
def sessions(monkeypatch):
    """Return the URLs that aiohttp is asked for."""
    seen = []
    send = aiohttp.ClientSession._request

    async def request(self, method, url, **more):
        seen.append(url)
        return await send(self, method, url, **more)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", request)
    return seen


@pytest.fixture
def make(provider):
    root = provider.base_url.removesuffix("/v1")
    return lambda **more: genai.Client(api_key="test", http_options={"base_url": root, **more})


async def ask(client, number=0):
    contents = f"Question {number}"
    return (await client.aio.models.generate_content(**{**ASKED, "contents": contents})).text


async def ask_streamed(client):
    events = await client.aio.models.generate_content_stream(**ASKED)
    return "".join([event.text async for event in events if event.text])


async def test_clients_made_before_while_and_after(make, manager, provider, sessions):
    """A client uses aiohttp exactly while nothing is installed, whenever it was made."""
    before = make()
    await ask(before)
    assert len(sessions) == 1
    with installed(cache_manager=manager):
        during = make()
        assert await ask(before) == await ask(during)
        assert await ask_streamed(before) == await ask_streamed(during)
        assert len(sessions) == 1
        assert provider.calls == 3
    for client in (before, during):
        await ask(client)
        await ask_streamed(client)
        await client.aio.aclose()
    assert len(sessions) == 5
    assert provider.calls == 7


async def test_off_means_aiohttp(make, cache_dir, sessions):
    """With a configuration that caches nothing, the SDK sends as it does without us."""
    with installed(enabled=False, cache_dir=cache_dir):
        client = make()
        await ask(client)
        await client.aio.aclose()

    assert len(sessions) == 1


async def test_a_session_of_the_caller_is_used(make, manager, sessions, provider):
    """It has the caller's proxies and certificates, so its requests pass the cache."""
    async with aiohttp.ClientSession() as session:
        with installed(cache_manager=manager):
            client = make(aiohttp_client=session)
            for _ in range(2):
                await ask(client)
            await client.aio.aclose()

    assert len(sessions) == 2
    assert provider.calls == 2


async def test_a_stream_that_runs_meanwhile(make, manager):
    """A stream that began with aiohttp is read to its end while the cache is installed."""
    client = make()
    expected = await ask_streamed(client)
    events = await client.aio.models.generate_content_stream(**ASKED)
    texts = [(await anext(events)).text or ""]
    with installed(cache_manager=manager):
        texts += [event.text or "" async for event in events]
    await client.aio.aclose()

    assert "".join(texts) == expected


async def test_cached_clients(make, manager, provider, sessions):
    """A client of ``cached`` never uses aiohttp. The given one still does."""
    given = make()
    client = cached(given, cache_manager=manager)
    assert await ask(client) == await ask(client)
    assert provider.calls == 1
    assert sessions == []
    await ask(given)
    assert len(sessions) == 1
    await given.aio.aclose()


async def test_a_model(provider, manager):
    """A model works with aiohttp, and without it while something is installed."""
    root = provider.base_url.removesuffix("/v1")
    args = {"api_key": "test", "http_options": {"base_url": root}}

    async def ask_for(number):
        async with asyncio.timeout(10):
            assert (await model.get_text([{"role": "user", "content": f"Question {number}"}])).content

    async with GeminiModel("gemini-2.5-flash", client_args=args, cache_manager=manager) as model:
        for number in range(2):
            await ask_for(number)
        with installed(cache_manager=manager):
            for number in range(1, 4):
                await ask_for(number)
    assert provider.calls == 4
    assert manager.get_stats()["hits"] == 1


LATER = """
import asyncio, sys
from spark_cache.clients import install, uninstall

assert not {"google.genai", "httpx", "httpx2", "aiohttp"} & sys.modules.keys()
install(enabled=True, cache_dir=sys.argv[1])
assert not {"google.genai", "httpx", "httpx2", "aiohttp"} & sys.modules.keys(), "install() imports no HTTP library"
from google import genai

client = genai.Client(api_key="test", http_options={"base_url": sys.argv[2]})

async def ask():
    for _ in range(2):
        response = await client.aio.models.generate_content(model="gemini-2.5-flash", contents="What is Python?")
        print(response.sdk_http_response.headers["x-spark-cache"])
    await client.aio.aclose()

asyncio.run(ask())
uninstall()
print(type(sys.meta_path[0]).__name__)
print(genai._api_client.BaseApiClient._use_aiohttp.__module__, client._api_client._use_aiohttp())
"""


def test_the_sdk_is_imported_later(provider, cache_dir):
    """The SDK and its HTTP library may be imported after the cache is installed, which imports none of them."""
    done = run_python(LATER, cache_dir, provider.base_url.removesuffix("/v1"))

    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:2] == ["miss", "hit"]
    assert lines[2] != "Patches"
    assert lines[3] == "google.genai._api_client True"
