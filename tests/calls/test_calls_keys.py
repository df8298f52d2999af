"""The keys of model calls: what they contain, and requests without one."""

from __future__ import annotations

import contextlib
from pathlib import Path

import openai
import pytest
from models_world import QUESTION, WEATHER, EchoModel, ask, entry_files

from spark_cache import CacheKey, OpenAIModel, UncacheableRequestError
from spark_cache.testing import StandInProvider

REQUESTS = {
    "plain": ((QUESTION,), {}),
    "system prompt": ((QUESTION, "Be brief."), {}),
    "tools": ((QUESTION, None, [WEATHER], "auto"), {}),
    "parameters": ((QUESTION,), {"temperature": 0.5, "stop": ["\n"], "extra_headers": {"X-A": "b"}}),
    "sample": ((QUESTION,), {"sample": 2}),
    "one text block": (([{"role": "user", "content": [{"text": "What is Python?"}]}],), {}),
}


@pytest.fixture
def plain():
    """A model with default settings."""
    return OpenAIModel("gpt-4o", enable_cache=True)


@pytest.mark.parametrize("name", REQUESTS)
def test_manager_and_model_agree(plain, name):
    """generate_cache_key returns the key that the model's call uses."""
    arguments, options = REQUESTS[name]
    key = plain.cache_key(*arguments, **options)
    assert (
        plain.cache.generate_cache_key("openai", "gpt-4o", *arguments[:3], **_named(arguments), **options)
        == key
    )


def _named(arguments):
    return {"tool_choice": arguments[3]} if len(arguments) > 3 else {}


async def test_response_has_its_key(make_model):
    """A response, fresh or from the cache, has the key that cache_key returns."""
    model = make_model()
    first, hit = await model.get_text(QUESTION), await model.get_text(QUESTION)
    assert first.cache_key == hit.cache_key == model.cache_key(QUESTION)
    assert isinstance(hit.cache_key, CacheKey)
    assert (hit.cache_key.provider, hit.cache_key.model_id) == ("openai", "gpt-4o")


def test_cache_options_are_not_keyed(plain):
    """How a call uses the cache does not change its key."""
    assert plain.cache_key(QUESTION, cache="refresh", sensitive=True) == plain.cache_key(QUESTION)


def test_text_and_one_text_block(plain):
    """A string and a single block with the same text are the same request."""
    assert plain.cache_key([{"role": "user", "content": [{"text": "Hi"}]}]) == plain.cache_key(ask("Hi"))


@pytest.mark.parametrize(
    "client_args",
    [
        {"api_key": "sk-other"},
        {"organization": "o", "project": "p", "timeout": 5, "max_retries": 7},
        {"base_url": "https://api.openai.com/v1/"},
        {"base_url": None},
        {"default_headers": {"X-Api-Key": "x", "User-Agent": "mine", "X-Datadog-Trace-Id": "1"}},
    ],
    ids=["key", "transport", "own address", "no address", "headers"],
)
def test_client_options_that_cannot_change_the_response(plain, client_args):
    """Credentials, timeouts and the provider's own address are not part of a key."""
    model = OpenAIModel("gpt-4o", enable_cache=True, client_args=client_args)
    assert model.cache_key(QUESTION) == plain.cache_key(QUESTION)


@pytest.mark.parametrize(
    "client_args",
    [
        {"base_url": "https://gateway.example/v1"},
        {"default_headers": {"X-Route": "b"}},
        {"default_headers": {"X-Partition-Key": "b"}},
        {"default_query": {"api-version": "2"}},
        {"default_query": {"key": "2"}},
    ],
    ids=["address", "headers", "named like a credential", "query", "query named like a credential"],
)
def test_client_options_that_can_change_the_response(plain, client_args):
    """Everything a client adds to its requests is part of the key, whether given as arguments or as a client."""
    made_here = OpenAIModel("gpt-4o", enable_cache=True, client_args=client_args)
    given = OpenAIModel("gpt-4o", enable_cache=True, client=openai.AsyncOpenAI(api_key="test", **client_args))
    assert made_here.cache_key(QUESTION) != plain.cache_key(QUESTION)
    assert made_here.cache_key(QUESTION) == given.cache_key(QUESTION)


def test_client_of_the_caller_with_defaults(plain):
    """A client of the caller with default settings gives the key of a plain model."""
    model = OpenAIModel("gpt-4o", enable_cache=True, client=openai.AsyncOpenAI(api_key="test"))
    assert model.cache_key(QUESTION) == plain.cache_key(QUESTION)


HTTP_CLIENTS = {
    "headers": {"headers": {"X-Route": "b"}},
    "query": {"params": {"api-version": "2"}},
    "one name twice": {"params": [("v", "1"), ("v", "2")]},
}


@pytest.mark.parametrize("name", HTTP_CLIENTS)
async def test_http_client_that_can_change_the_response(plain, make_model, provider, client_args, name):
    """Everything the caller's HTTP client adds to its requests is keyed, however it is given, and is sent once."""
    received = []

    async def note(request):
        received.append(request)

    async with openai.DefaultAsyncHttpxClient(**HTTP_CLIENTS[name], event_hooks={"request": [note]}) as http:
        made_here = OpenAIModel("gpt-4o", enable_cache=True, client_args={"http_client": http})
        given = openai.AsyncOpenAI(api_key="test", http_client=http)
        key = made_here.cache_key(QUESTION)
        assert key == OpenAIModel("gpt-4o", enable_cache=True, client=given).cache_key(QUESTION)
        assert key != plain.cache_key(QUESTION)
        await make_model(client_args={**client_args, "http_client": http}).get_text(QUESTION)
    (request,) = received
    assert request.headers.get_list("x-route") == (["b"] if name == "headers" else [])
    assert [*request.url.params.multi_items()] == [*http.params.multi_items()]


async def test_header_of_a_call_replaces_that_of_the_http_client(plain):
    """A header of a call replaces the HTTP client's header of the same name, in the key too."""
    async with openai.DefaultAsyncHttpxClient(headers={"X-Route": "b"}) as http:
        model = OpenAIModel("gpt-4o", enable_cache=True, client_args={"http_client": http})
        key = model.cache_key(QUESTION, extra_headers={"x-Route": "c"})
    assert key == plain.cache_key(QUESTION, extra_headers={"X-Route": "c"})


async def test_http_client_that_cannot_change_the_response(plain):
    """The credentials and the standard headers of an HTTP client are not part of a key."""
    async with openai.DefaultAsyncHttpxClient(headers={"X-Api-Key": "hush"}) as http:
        model = OpenAIModel("gpt-4o", enable_cache=True, client_args={"http_client": http})
        assert model.cache_key(QUESTION) == plain.cache_key(QUESTION)


async def test_query_that_may_be_a_credential_is_keyed_by_its_digest(plain):
    """It may choose a tenant, so it is part of the key. Its value is not part of the address, which is shown."""
    keys = set()
    for value in ("hush", "other"):
        async with openai.DefaultAsyncHttpxClient(params={"key": value}) as http:
            model = OpenAIModel("gpt-4o", enable_cache=True, client_args={"http_client": http})
            keys.add(model.cache_key(QUESTION))
            assert value not in str(model._provider.endpoint())
    assert len(keys | {plain.cache_key(QUESTION)}) == 3


def test_headers_from_the_environment(plain, monkeypatch):
    """Headers that the SDK reads from the environment are keyed like those of its arguments."""
    before = plain.cache_key(QUESTION)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Route: b\nAuthorization: Bearer x")
    given = OpenAIModel(
        "gpt-4o", enable_cache=True, client_args={"default_headers": {"X-Route": "b"}}
    ).cache_key(QUESTION)
    assert before != OpenAIModel("gpt-4o", enable_cache=True).cache_key(QUESTION) == given


@pytest.mark.parametrize(
    ("first", "later"),
    [("X-Route: a\nAuthorization: Bearer x", "X-Route: b"), ("X-Route: a", ""), ("", "X-Route: b")],
    ids=["changed", "removed", "added"],
)
async def test_headers_from_an_environment_that_changes(make_model, client_args, monkeypatch, first, later):
    """Keys and calls use the headers that the environment had at the first call, even if it changes."""
    received = []

    async def note(request):
        received.append(request)

    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", first)
    async with openai.DefaultAsyncHttpxClient(event_hooks={"request": [note]}) as http:
        model = make_model(client_args={**client_args, "http_client": http})
        key = model.cache_key(QUESTION)
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", later)
        assert (await model.get_text(QUESTION)).cache_key == key
    (request,) = received
    assert request.headers.get("x-route") == ("a" if first else None)


def test_address_from_the_environment(monkeypatch):
    """The SDK's environment variable sets the address like its argument does."""
    given = OpenAIModel("gpt-4o", client_args={"base_url": "http://localhost:1/v1"}).cache_key(QUESTION)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://LOCALHOST:1/v1/")
    assert OpenAIModel("gpt-4o").cache_key(QUESTION) == given


async def test_environment_that_changes(provider, cache_dir, monkeypatch):
    """Keys and calls use the same address, even if the environment changes after the first call."""
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    async with OpenAIModel("gpt-4o", enable_cache=True, cache_dir=cache_dir) as model:
        key = model.cache_key(QUESTION)
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        assert (await model.get_text(QUESTION)).cache_key == key
    assert provider.calls == 1


async def test_configured_endpoint_replaces_the_address(cache_dir, monkeypatch):
    """With a configured endpoint, a response recorded at one address is a hit at another."""
    monkeypatch.setenv("SPARK_CACHE_ENDPOINT", "recorded")
    cached = []
    for _ in range(2):
        with StandInProvider() as provider:
            client_args = {"base_url": provider.base_url, "api_key": "test"}
            async with OpenAIModel(
                "gpt-4o", enable_cache=True, cache_dir=cache_dir, client_args=client_args
            ) as model:
                cached.append((await model.get_text(QUESTION)).cached)
    assert cached == [False, True]


async def test_different_address_is_a_miss(make_model, cache_dir):
    """Without a configured endpoint, a response from one address is not a hit at another."""
    await make_model().get_text(QUESTION)
    with StandInProvider() as other:
        model = make_model(client_args={"base_url": other.base_url, "api_key": "test"})
        assert not (await model.get_text(QUESTION)).cached
        await model.aclose()
    assert len(entry_files(cache_dir)) == 2


@pytest.mark.parametrize(
    "changed", [{"SPARK_CACHE_NAMESPACE": "team"}, {"SPARK_CACHE_VERSION": "2"}], ids=str
)
async def test_namespace_and_version(make_model, provider, monkeypatch, changed):
    """A different namespace or cache version makes earlier entries misses."""
    await make_model().get_text(QUESTION)
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    assert not (await make_model().get_text(QUESTION)).cached
    assert provider.calls == 2


# -- requests that cannot be keyed ----------------------------------------------------------------


@pytest.fixture
def unkeyable():
    """Parameters that cannot be keyed, each with the path that an error must name."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(Path("open.txt").open("w"))
        yield {
            "callable": ({"metadata": {"fn": len}}, "body.metadata.fn"),
            "open file": ({"user": file}, "body.user"),
            "NaN": ({"metadata": {"x": [1, float("nan")]}}, "body.metadata.x[1]"),
        }


@pytest.mark.parametrize("name", ["callable", "open file", "NaN"])
def test_path_of_a_value_that_cannot_be_keyed(plain, unkeyable, name):
    """Both ways to get a key name the path of a value that cannot be keyed."""
    parameters, path = unkeyable[name]
    with pytest.raises(UncacheableRequestError) as caught:
        plain.cache.generate_cache_key("openai", "gpt-4o", QUESTION, **parameters)
    assert caught.value.path == path
    with pytest.raises(UncacheableRequestError) as caught:
        plain.cache_key(QUESTION, **parameters)
    assert caught.value.path == path


@pytest.mark.parametrize("name", ["callable", "open file", "NaN"])
async def test_call_that_cannot_be_keyed(unkeyable, cache_dir, warned, name):
    """A call that cannot be keyed is sent each time and never stored, and one warning names the path."""
    model = EchoModel("echo-1", enable_cache=True, cache_dir=cache_dir)
    parameters, path = unkeyable[name]
    for _ in range(2):
        response = await model.get_text(QUESTION, **parameters)
        assert (response.content, response.cached) == ("What is Python?", False)
    assert model.calls == 2
    assert not cache_dir.exists()
    (warning,) = warned()
    assert path in warning


@pytest.mark.parametrize("name", ["callable", "open file", "NaN"])
async def test_sdk_error_for_a_value_that_cannot_be_sent(make_model, unkeyable, warned, name):
    """A value that the SDK cannot send either raises the SDK's own error."""
    with pytest.raises((TypeError, ValueError), match="JSON"):
        await make_model().get_text(QUESTION, **unkeyable[name][0])
    assert len(warned()) == 1


async def test_request_that_only_the_sdk_accepts(make_model, provider, cache_dir, warned):
    """Numbers as names, which the SDK sends as strings, give an uncached response and one warning."""
    model = make_model()
    for _ in range(2):
        assert not (await model.get_text(QUESTION, logit_bias={50256: -100})).cached
    assert provider.requests[-1].body["logit_bias"] == {"50256": -100}
    assert provider.calls == 2
    assert not cache_dir.exists()
    (warning,) = warned()
    assert "body.logit_bias" in warning


async def test_custom_provider(cache_dir):
    """A custom provider needs three methods, and its responses are cached."""
    model = EchoModel("echo-1", enable_cache=True, cache_dir=cache_dir)
    first, hit = await model.get_text(QUESTION), await model.get_text(QUESTION)
    assert (first, hit.cached, model.calls) == (hit, True, 1)
    (path,) = entry_files(cache_dir)
    assert path.parts[-3:-1] == ("echo", "echo-1")
