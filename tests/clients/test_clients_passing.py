"""What the cache leaves alone, and what a cached client keeps of the given one."""

from __future__ import annotations

import gc
import json

import anthropic
import httpx2
import openai
import pytest
from clients_world import Server, ask, client_of, start, whole
from google import genai

import spark_cache
from spark_cache import OpenAIModel
from spark_cache.testing import StandInProvider

CHAT = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    }
).encode()


OTHERS = {
    "models": lambda client: client.models.with_raw_response.list(),
    "files": lambda client: client.files.with_raw_response.create(file=b"x", purpose="batch"),
    "embeddings": lambda client: client.embeddings.with_raw_response.create(model="m", input="Hi"),
    "audio": lambda client: client.audio.speech.with_raw_response.create(
        model="m", input="Hi", voice="alloy"
    ),
    "count_tokens": lambda client: client.messages.with_raw_response.count_tokens(
        model="m", messages=[{"role": "user", "content": "Hi"}]
    ),
}


@pytest.mark.parametrize("kind", list(OTHERS))
def test_other_requests(make, entries, kind):
    """Requests that the library does not recognise pass as they are, and their responses too."""
    with Server(whole(b'{"object":"list", "data":[]}', "x-odd: 1")) as server:
        for _ in range(2):
            client = make("anthropic" if kind == "count_tokens" else "openai", server.base_url)
            response = OTHERS[kind](client)
            assert response.headers["x-odd"] == "1"
            assert "x-spark-cache" not in response.headers
        assert len(server.requests) == 2
        assert entries() == 0


def test_cache_that_is_off(provider, tmp_path):
    """A cache that is off is not used, and makes no directory."""
    with openai.OpenAI(base_url=provider.base_url, api_key="test") as given:
        client = spark_cache.cached(given, enabled=False, cache_dir=tmp_path / "none")
        response = client.chat.completions.with_raw_response.create(
            model="m", messages=[{"role": "user", "content": "Hi"}]
        )
        assert "x-spark-cache" not in response.headers
        start("openai", client)
        assert provider.calls == 2
    assert not (tmp_path / "none").exists()


def test_http_client_is_kept(settings):
    """Headers, cookies, authentication, parameters, hooks and mounts of the given HTTP client are kept."""
    seen = []
    with Server(whole(CHAT, "set-cookie: later=2")) as server, Server(whole(CHAT)) as other:
        hooks = {
            "request": [lambda request: seen.append(request.method)],
            "response": [lambda response: seen.append(response.status_code)],
        }
        mounts = {"http://mounted": httpx2.HTTPTransport(proxy=other.base_url.removesuffix("/v1"))}
        http = httpx2.Client(
            headers={"x-own": "1"},
            cookies={"first": "1"},
            auth=("me", "pw"),
            event_hooks=hooks,
            mounts=mounts,
        )
        given = openai.OpenAI(base_url=server.base_url, api_key="test", http_client=http)
        client = spark_cache.cached(given, **settings)
        start("openai", client)
        start("openai", client)
        start("openai", client, "Another")
        assert seen == ["POST", 200] * 3
        assert len(server.requests) == 2
        lowered = [request.lower() for request in server.requests]
        assert all(b"x-own: 1" in request and b"authorization: basic" in request for request in lowered)
        assert b"later=2" not in lowered[0]
        assert b"first=1" in lowered[1]
        assert b"later=2" in lowered[1]
        start("openai", client.with_options(base_url="http://mounted/v1"))
        assert other.requests[0].startswith(b"POST http://mounted/v1/chat/completions")
        client.close()
        assert not http.is_closed
        assert start("openai", given, "More").id == "c"
        given.close()


class Renewing(httpx2.Auth):
    """Gets a new token when the first one is refused."""

    def auth_flow(self, request):
        request.headers["authorization"] = "Bearer old"
        response = yield request
        if response.status_code == 401:
            request.headers["authorization"] = "Bearer new"
            yield request


def test_request_that_is_sent_again(settings, entries):
    """A request that the HTTP client sends again with another token goes through the cache, with its options."""
    with Server(whole(b"{}", status="401 Unauthorized"), whole(CHAT)) as server:
        http = httpx2.Client(auth=Renewing())
        given = openai.OpenAI(base_url=server.base_url, api_key="test", http_client=http, max_retries=0)
        client = spark_cache.cached(given, **settings)
        start("openai", client)
        assert entries() == 1
        start("openai", client)
        assert len(server.requests) == 2
        given.close()


@pytest.mark.parametrize("sdk", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("derive", [False, True])
def test_given_client_may_be_forgotten(provider, settings, sdk, derive):
    """The connections stay open while the cached client, or one made from it, lives."""
    options = {} if sdk == "gemini" else {"http_client": None}
    client = spark_cache.cached(client_of(sdk, provider.base_url, **options), **settings)
    if derive:
        client = client.chats.create(model="m") if sdk == "gemini" else client.with_options(timeout=9)
    gc.collect()
    given = (
        (client._modules if derive else client)._api_client._spark_cache_given._api_client._httpx_client
        if sdk == "gemini"
        else client._client._spark_cache_given
    )
    assert not given.is_closed
    if not (derive and sdk == "gemini"):
        start(sdk, client)
    given.close()


@pytest.mark.parametrize("is_async", [False, True])
async def test_derived_clients(make, provider, is_async):
    """Clients made with copy() and with_options() go through the cache too."""
    client = make("openai", is_async=is_async)
    for derived in (client, client.copy(), client.with_options(timeout=5), client.copy(api_key="other")):
        await ask("openai", derived)
    assert provider.calls == 1


async def test_closing(provider, settings):
    """Closing a cached client leaves the given one open, for each SDK."""
    for sdk in ("openai", "anthropic", "gemini"):
        given = client_of(sdk, provider.base_url)
        client = spark_cache.cached(given, **settings)
        client.close()
        assert await ask(sdk, given)
        given.close()
    given = openai.AsyncOpenAI(base_url=provider.base_url, api_key="test")
    await spark_cache.cached(given, **settings).close()
    assert await ask("openai", given)
    await given.close()


@pytest.mark.parametrize("kind", [openai.AzureOpenAI, openai.AsyncAzureOpenAI])
async def test_azure(settings, kind):
    """Azure's clients go through the cache; the credential is not part of the key."""
    with Server(whole(CHAT)) as server:
        for key in ("one", "two"):
            given = kind(azure_endpoint=server.base_url[:-3], api_key=key, api_version="2024-10-21")
            client = spark_cache.cached(given, **settings)
            assert type(client) is kind
            assert (await ask("openai", client)).id == "c"
            await close_of(given)
        assert len(server.requests) == 1
        assert b"/openai/deployments/gpt-4o/chat/completions?api-version" in server.requests[0]


async def close_of(client):
    ended = client.close()
    if ended is not None:
        await ended


def test_compatible_services(settings, entries):
    """Services with a prefix in their address have entries of their own."""
    with Server(whole(CHAT)) as server:
        for prefix in ("/v1", "/openai/v1", "/api/paas/v4"):
            given = client_of("openai", server.base_url[:-3] + prefix)
            client = spark_cache.cached(given, **settings)
            start("openai", client)
            start("openai", client)
            given.close()
        assert (len(server.requests), entries()) == (3, 3)


class OwnClient(openai.OpenAI):
    """A class of a program."""


def test_derived_classes(provider, settings):
    """A client of a class that a program derives is known; other objects are refused."""
    with OwnClient(base_url=provider.base_url, api_key="test") as given:
        client = spark_cache.cached(given, **settings)
        assert type(client) is OwnClient
        start("openai", client)
        start("openai", client)
        assert provider.calls == 1
    for other in (object(), genai.types.Content(), anthropic, client.chat.completions):
        with pytest.raises(TypeError, match=r"cached\(\) takes"):
            spark_cache.cached(other)


class Transport(httpx2.BaseTransport):
    """A transport of a program."""

    calls = 0

    def handle_request(self, request):  # noqa: ARG002 - the answer is always the same
        self.calls += 1
        return httpx2.Response(200, headers={"content-type": "application/json"}, content=CHAT)


def test_own_transport(settings):
    """With a transport of its own the program decides what is an answer."""
    transport = Transport()
    given = openai.OpenAI(api_key="test", http_client=httpx2.Client(transport=transport))
    client = spark_cache.cached(given, **settings)
    assert start("openai", client) == start("openai", client)
    assert transport.calls == 1
    given.close()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
async def test_one_layer_acts(make, provider, settings, is_async, stream):
    """Of several layers the outermost one acts: one lookup, and no wait for its own lease."""
    outer = spark_cache.cached(make("openai", is_async=is_async), **settings)
    assert await ask("openai", outer, stream=stream)
    assert await ask("openai", outer, stream=stream)
    stats = spark_cache.CacheManager.shared(spark_cache.load_config(**settings)).get_stats()
    assert (stats["hits"], stats["misses"], provider.calls) == (1, 1, 1)


async def test_model_with_a_cached_client(make, provider, settings):
    """A model whose client is cached looks up once, and its client not at all."""
    config = {"enable_cache": True, "cache_dir": settings["cache_dir"]}
    async with OpenAIModel("gpt-4o", client=make("openai", is_async=True), **config) as model:
        messages = [{"role": "user", "content": "Hi"}]
        assert (await model.get_text(messages)).content
        assert (await model.get_text(messages)).cached
        assert [event async for event in model.stream_text(messages)]
        stats = model.cache.get_stats()
        assert (stats["hits"], stats["misses"], provider.calls) == (2, 1, 1)


async def test_gemini_request_options(settings):
    """Options of a single call to Gemini, such as headers, reach the provider."""
    with StandInProvider() as provider:
        given = client_of("gemini", provider.base_url)
        client = spark_cache.cached(given, **settings)
        for _ in range(2):
            await client.aio.models.generate_content(
                model="gemini-2.5-flash", contents="Hi", config={"http_options": {"timeout": 5000}}
            )
        assert provider.calls == 1
        await given.aio.aclose()
        given.close()
