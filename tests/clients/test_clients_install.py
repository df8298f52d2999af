"""``install``: which requests of a process go through the cache, and that one layer acts on each."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import anthropic
import httpx
import httpx2
import openai
import pytest
from models_world import Events

from spark_cache import (
    AnthropicModel,
    BedrockModel,
    CacheManager,
    CacheMissError,
    GeminiModel,
    OpenAIModel,
    load_config,
)
from spark_cache.clients import cached, install, installed, options, uninstall

QUESTION = [{"role": "user", "content": "What is Python?"}]
BODY = {"model": "gpt-4o", "messages": QUESTION}
PATCHED = [
    (httpx.HTTPTransport, "handle_request"),
    (httpx.AsyncHTTPTransport, "handle_async_request"),
    (httpx2.HTTPTransport, "handle_request"),
    (httpx2.AsyncHTTPTransport, "handle_async_request"),
]
LIBRARIES = [pytest.param(httpx, id="httpx"), pytest.param(httpx2, id="httpx2")]


@pytest.fixture(autouse=True)
def nothing_stays():
    """The classes are as they were after each test."""
    before = [vars(kind)[method] for kind, method in PATCHED]
    yield
    assert [vars(kind)[method] for kind, method in PATCHED] == before


@pytest.fixture
def sink():
    return Events()


@pytest.fixture
def manager(cache_dir, sink):
    return CacheManager(load_config(enabled=True, cache_dir=cache_dir), sink=sink)


def counts(manager):
    """Return the numbers of hits and misses."""
    stats = manager.get_stats()
    return stats["hits"], stats["misses"]


@pytest.fixture
def post(provider):
    """Return a function that asks the stand-in with a client of either library."""
    url, headers = f"{provider.base_url}/chat/completions", {"authorization": "Bearer test"}

    def send(library, body=BODY, **more):
        with library.Client() as client:
            return client.post(url, json=body, headers={**headers, **more})

    return send


@pytest.fixture
def post_async(provider):
    url, headers = f"{provider.base_url}/chat/completions", {"authorization": "Bearer test"}

    async def send(library, body=BODY, **more):
        async with library.AsyncClient() as client:
            return await client.post(url, json=body, headers={**headers, **more})

    return send


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_client_is_answered_from_the_cache(library, post, provider, manager):
    """The second request makes no call; its response has the same body and is marked."""
    with installed(cache_manager=manager):
        first, second = post(library), post(library)

    assert provider.calls == 1
    assert second.json() == first.json()
    assert [first.headers["x-spark-cache"], second.headers["x-spark-cache"]] == ["miss", "hit"]
    assert counts(manager) == (1, 1)


@pytest.mark.parametrize("library", LIBRARIES)
async def test_an_asynchronous_client_is_answered_from_the_cache(library, post_async, provider, manager):
    """The same as with a synchronous client."""
    with installed(cache_manager=manager):
        first, second = await post_async(library), await post_async(library)

    assert provider.calls == 1
    assert second.json() == first.json()
    assert counts(manager) == (1, 1)


@pytest.mark.parametrize("library", LIBRARIES)
async def test_responses_of_used_connections_and_streams_are_stored(library, provider, manager):
    """The connection of a pool that is used again is a socket too, and so is that of a stream."""
    url, headers = f"{provider.base_url}/chat/completions", {"authorization": "Bearer test"}

    def body(number, **more):
        return {**BODY, "messages": [{"role": "user", "content": f"Question {number}"}], **more}

    with installed(cache_manager=manager), library.Client(headers=headers) as client:
        for number in range(3):
            client.post(url, json=body(number))
        with client.stream("POST", url, json=body(3, stream=True)) as response:
            response.read()
        async with library.AsyncClient(headers=headers) as asynchronous:
            for number in range(4, 7):
                await asynchronous.post(url, json=body(number))
            async with asynchronous.stream("POST", url, json=body(7, stream=True)) as response:
                await response.aread()

    assert provider.calls == 8
    assert manager.get_stats()["total_entries"] == 8


@pytest.mark.parametrize("when", ["before", "after"])
def test_it_makes_no_difference_when_a_client_is_made(client_args, provider, manager, when):
    """A client that exists is answered from the cache, and stops when it is uninstalled."""
    client = openai.OpenAI(**client_args) if when == "before" else None
    with installed(cache_manager=manager):
        client = client or openai.OpenAI(**client_args)
        for _ in range(2):
            client.chat.completions.create(**BODY)
        assert provider.calls == 1
    client.chat.completions.create(**BODY)
    assert provider.calls == 2
    client.close()


def test_other_requests_pass(provider, manager, sink):
    """Another method, another path and a body that is not JSON are sent as they are."""
    root = provider.base_url
    with installed(cache_manager=manager), httpx2.Client(headers={"authorization": "Bearer test"}) as client:
        client.get(f"{root}/models")
        client.post(f"{root}/moderations", json=BODY)
        client.post(f"{root}/chat/completions", content=b"{", headers={"content-type": "application/json"})

    assert [received.path for received in provider.requests][1:] == [
        "/v1/moderations",
        "/v1/chat/completions",
    ]
    assert sink.events == []


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/v1/models"])
def test_headers_for_the_cache_reach_no_provider(library, cache_dir, enabled, path):
    """They are removed from each request, also where the cache is off or has nothing to do with it."""
    received = []

    def serve(request):
        received.append(dict(request.headers))
        return library.Response(200, json={})

    class Recording(library.HTTPTransport):
        def handle_request(self, request):
            return super().handle_request(request)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(library.HTTPTransport, "handle_request", lambda _self, request: serve(request))
        with (
            installed(enabled=enabled, cache_dir=cache_dir),
            library.Client(transport=Recording(), headers={"X-Spark-Cache": "bypass"}) as client,
        ):
            response = client.post(f"http://nowhere{path}", json=BODY, headers={"x-spark-cache-sample": "1"})

    (headers,) = received
    assert not [name for name in headers if name.startswith("x-spark-cache")]
    assert response.request.headers["x-spark-cache"] == "bypass"


def test_off_means_off(post, provider, cache_dir):
    """With a configuration that caches nothing, the very request of the client is sent, and nothing is written."""
    sent = []

    def send(_transport, request):
        sent.append(request)
        return httpx2.Response(200, json={})

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(httpx2.HTTPTransport, "handle_request", send)
        with installed(enabled=False, cache_dir=cache_dir):
            response = post(httpx2)

    assert sent[0] is response.request
    assert "x-spark-cache" not in response.headers
    assert not cache_dir.exists()


def test_off_but_the_call_asks_for_a_replay(post, provider, cache_dir):
    """A call that must not reach the provider does not, even if the cache is off."""
    with installed(enabled=False, cache_dir=cache_dir), pytest.raises(CacheMissError):
        post(httpx2, **{"x-spark-cache": "replay"})
    with (
        installed(enabled=False, cache_dir=cache_dir),
        options(cache="replay"),
        pytest.raises(CacheMissError),
    ):
        post(httpx2)

    assert provider.calls == 0


def test_off_with_a_rule_for_one_model(post, provider, cache_dir):
    """A rule that switches on the cache for a model is heard, and the others pass."""
    with installed(enabled=False, cache_dir=cache_dir, rules=[{"model": "gpt-4o", "enabled": True}]):
        for _ in range(2):
            post(httpx2)
            post(httpx2, {**BODY, "model": "gpt-4.1"})

    assert provider.calls == 3


def test_each_installation_needs_its_own_uninstall(post, provider, cache_dir, tmp_path):
    """The last one decides; after the last uninstall the cache is out of the way, and one more does nothing."""
    install(cache_dir=cache_dir, enabled=True)
    post(httpx2)
    install(cache_dir=tmp_path / "other", enabled=True)
    post(httpx2)
    assert provider.calls == 2
    uninstall()
    post(httpx2)
    assert provider.calls == 2
    uninstall()
    post(httpx2)
    assert provider.calls == 3
    uninstall()


def test_two_installations_make_one_look_up(post, provider, manager):
    """They do not count twice, nor wait for each other."""
    with installed(cache_manager=manager), installed(cache_manager=manager):
        post(httpx2)
        post(httpx2)

    assert provider.calls == 1
    assert counts(manager) == (1, 1)


async def test_overlapping_blocks_undo_their_own_installation(post_async, provider, cache_dir, tmp_path):
    """A task whose block ends first does not take away the installation of the other."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def first():
        with installed(cache_dir=cache_dir, enabled=True):
            await begun.wait()
        ended.set()

    async def second():
        await asyncio.sleep(0)
        with installed(cache_dir=tmp_path / "second", enabled=True):
            begun.set()
            await ended.wait()
            for _ in range(2):
                await post_async(httpx2)

    await asyncio.gather(first(), second())

    assert provider.calls == 1
    assert (tmp_path / "second").exists()
    assert not cache_dir.exists()


def test_threads_install_and_uninstall_at_once(post, manager):
    """Nothing is left, and no request fails meanwhile."""

    def work(number):
        for _ in range(5):
            with installed(cache_manager=manager):
                assert post(httpx2, {**BODY, "user": str(number)}).status_code == 200

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_a_thousand_rounds_leave_nothing(manager, post, provider):
    """No chain of wrappers grows, and no thread is left."""
    with installed(cache_manager=manager):
        post(httpx2)
    threads = threading.active_count()
    for _ in range(1000):
        install(cache_manager=manager)
        uninstall()

    assert threading.active_count() <= threads
    with installed(cache_manager=manager):
        post(httpx2)
    assert provider.calls == 1


def one_model(name, provider, manager):
    root = provider.base_url.removesuffix("/v1")
    match name:
        case "openai":
            args = {"base_url": provider.base_url, "api_key": "test", "max_retries": 0}
            return OpenAIModel("gpt-4o", client_args=args, cache_manager=manager)
        case "anthropic":
            args = {"base_url": root, "api_key": "test", "max_retries": 0}
            return AnthropicModel("claude-sonnet-5", client_args=args, cache_manager=manager)
        case "gemini":
            args = {"api_key": "test", "http_options": {"base_url": root}}
            return GeminiModel("gemini-2.5-flash", client_args=args, cache_manager=manager)
    return BedrockModel(
        "us.amazon.nova-lite-v1:0", region_name="us-east-1", endpoint_url=root, cache_manager=manager
    )


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "bedrock"])
async def test_a_model_acts_alone(monkeypatch, provider, manager, name, streamed):
    """A model makes its own lookup. The transport below does not wait for the lease of the model."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")
    with installed(cache_manager=manager):
        async with one_model(name, provider, manager) as model:
            for _ in range(2):
                async with asyncio.timeout(8):
                    if streamed:
                        assert [event async for event in model.stream_text(QUESTION)]
                    else:
                        assert (await model.get_text(QUESTION)).content

    assert provider.calls == 1
    assert counts(manager) == (1, 1)


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "bedrock"])
async def test_a_model_without_a_cache_passes(monkeypatch, provider, manager, name):
    """A model whose cache is off in code makes each call, whatever is installed."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")
    off = CacheManager(manager.config.with_(enabled=False))
    with installed(cache_manager=manager):
        async with one_model(name, provider, off) as model:
            for _ in range(2):
                await model.get_text(QUESTION)

    assert provider.calls == 2
    assert counts(manager)[1] == 0


async def test_a_model_and_a_client_share_an_entry(client_args, provider, manager):
    """What a model stored answers a client of the SDK."""
    with installed(cache_manager=manager):
        async with one_model("openai", provider, manager) as model:
            asked = await model.get_text(QUESTION)
        with openai.OpenAI(**client_args) as client:
            completion = client.chat.completions.create(**BODY)

    assert provider.calls == 1
    assert completion.choices[0].message.content == asked.content


@pytest.mark.parametrize("inner_is_on", [True, False])
def test_a_cached_client_acts_alone(client_args, provider, manager, tmp_path, inner_is_on):
    """It looks up in its own cache, or passes both if its own is off."""
    own = CacheManager(load_config(enabled=inner_is_on, cache_dir=tmp_path / "own"))
    with installed(cache_manager=manager), openai.OpenAI(**client_args) as plain:
        client = cached(plain, cache_manager=own)
        for _ in range(2):
            client.chat.completions.create(**BODY)

    assert provider.calls == (1 if inner_is_on else 2)
    assert counts(own)[0] == (1 if inner_is_on else 0)
    assert counts(manager) == (0, 0)


async def test_an_asynchronous_cached_client_acts_alone(provider, manager, cache_dir):
    """The same for an asynchronous client, with the same cache: it does not wait for its own lease."""
    root = provider.base_url.removesuffix("/v1")
    with installed(cache_manager=manager):
        async with anthropic.AsyncAnthropic(base_url=root, api_key="test", max_retries=0) as plain:
            client = cached(plain, cache_manager=manager)
            for _ in range(2):
                async with asyncio.timeout(8):
                    await client.messages.create(model="claude-sonnet-5", max_tokens=99, messages=QUESTION)

    assert provider.calls == 1
    assert counts(manager) == (1, 1)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_equal_calls_at_once_make_one(provider, manager, asynchronous):
    """Twenty threads, or fifty tasks."""
    url, headers = f"{provider.base_url}/chat/completions", {"authorization": "Bearer test"}

    async def together():
        async with httpx2.AsyncClient(headers=headers, timeout=60) as client:
            return await asyncio.gather(*(client.post(url, json=BODY) for _ in range(50)))

    with installed(cache_manager=manager):
        if asynchronous:
            responses = asyncio.run(together())
        else:
            with httpx2.Client(headers=headers, timeout=60) as client, ThreadPoolExecutor(20) as pool:
                responses = list(pool.map(lambda _: client.post(url, json=BODY), range(20)))

    assert provider.calls == 1
    assert all(response.json() == responses[0].json() for response in responses)


def test_a_request_that_is_sent_again_is_a_call_again(provider, manager):
    """Authentication may send the same request twice: the second attempt goes through the cache too."""

    class Twice(httpx2.Auth):
        def auth_flow(self, request):
            yield request
            request.headers["authorization"] = "Bearer test"
            yield request

    url = f"{provider.base_url}/chat/completions"
    with installed(cache_manager=manager), httpx2.Client(auth=Twice()) as client:
        first = client.post(url, json=BODY)
        second = client.post(url, json=BODY)

    assert (first.status_code, second.status_code) == (200, 200)
    assert second.headers["x-spark-cache"] == "hit"
    assert manager.get_stats()["total_entries"] == 1


def test_a_request_class_of_the_caller(provider, manager):
    """The class of a request may be derived from that of the library."""

    class Own(httpx.Request):
        pass

    request = Own(
        "POST", f"{provider.base_url}/chat/completions", json=BODY, headers={"authorization": "Bearer test"}
    )
    with installed(cache_manager=manager), httpx.Client() as client:
        assert client.send(request).status_code == 200
        assert client.send(request).headers["x-spark-cache"] == "hit"


def test_other_event_loops_pass(manager):
    """Under an event loop that is not asyncio a miss is sent, and not stored."""
    sent = []

    async def send(_transport, request):
        sent.append(request)
        return httpx2.Response(200, json={})

    async def ask():
        request = httpx2.Request("POST", "http://nowhere/v1/chat/completions", json=BODY)
        return await httpx2.AsyncHTTPTransport().handle_async_request(request)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", send)
        with installed(cache_manager=manager), pytest.raises(StopIteration) as ended:
            ask().send(None)

    assert ended.value.value.status_code == 200
    assert len(sent) == 1
    assert manager.get_stats()["total_entries"] == 0
