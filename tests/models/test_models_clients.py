"""Clients and event loops: many loops, HTTP clients of the caller, and copies of models and agents."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import pickle
import sys

import anthropic
import httpx2
import openai
import pytest
from models_world import send_next

from spark_cache import (
    Agent,
    AgentConfig,
    AnthropicModel,
    BedrockModel,
    CacheManager,
    GeminiModel,
    OpenAIModel,
    load_config,
)

# A program that ends a loop without closing its models leaves sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

QUESTION = [{"role": "user", "content": "What is Python?"}]
KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
NAMES = ["openai", "responses", "anthropic", "gemini", "bedrock"]


@pytest.fixture(autouse=True)
def collected():
    """Collect the sockets here, where their warnings are ignored, and not in a later test."""
    yield
    # The first pass finalises the models. The second one finds the loops that they held.
    for _ in range(2):
        gc.collect()


def question(number):
    return [{"role": "user", "content": f"Question {number}"}]


@pytest.fixture
def make(provider, cache_dir, monkeypatch):
    """Return a function that creates a model of a provider from settings alone."""
    root = provider.base_url.removesuffix("/v1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")

    def create(name, **more):
        options = {"enable_cache": True, "cache_dir": cache_dir}
        address = provider.base_url if name in ("openai", "responses") else root
        args = {"base_url": address, "api_key": "test", **more}
        match name:
            case "openai":
                return OpenAIModel("gpt-4o", client_args=args, **options)
            case "responses":
                return OpenAIModel("gpt-4o", api="responses", client_args=args, **options)
            case "anthropic":
                return AnthropicModel("claude-sonnet-5", client_args=args, **options)
            case "gemini":
                args = {"api_key": "test", "http_options": {"base_url": root}}
                return GeminiModel("gemini-2.5-flash", client_args=args, **options)
        return BedrockModel("us.amazon.nova-lite-v1:0", region_name="us-east-1", endpoint_url=root, **options)

    return create


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_kept_across_event_loops(make, caplog, monkeypatch, name):
    """No exception is left to be reported by the loop or the interpreter, whenever the clients are collected."""
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: unraisable.append(found.exc_value))
    model = make(name)
    with caplog.at_level(logging.WARNING, logger="asyncio"):
        for number in range(4):
            asyncio.run(model.get_text(question(number)))
        del model

        async def collect():
            gc.collect()
            await asyncio.sleep(0.01)

        asyncio.run(collect())
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
    assert unraisable == []


@pytest.mark.parametrize("name", ["openai", "responses", "anthropic"])
def test_an_http_client_of_the_caller_works_in_every_loop(make, name):
    """Connections of a closed loop are dropped."""
    model = make(name, http_client=httpx2.AsyncClient(), max_retries=0)
    for number in range(4):
        assert asyncio.run(model.get_text(question(number))).content


@pytest.mark.parametrize("name", ["openai", "responses", "anthropic"])
async def test_an_http_client_of_the_caller_is_not_closed(make, name):
    """Two models may share it. The caller closes it."""
    async with httpx2.AsyncClient() as shared:
        one, other = make(name, http_client=shared), make(name, http_client=shared)
        async with one:
            await one.get_text(question(1))
        assert not shared.is_closed
        assert (await other.get_text(question(2))).content


COPIES = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_copy_of_a_model_uses_the_same_cache(make, provider, name, how):
    """Its settings travel. Its connections do not."""
    model = make(name)
    asyncio.run(model.get_text(QUESTION))
    twin = COPIES[how](model)
    assert twin is not model
    assert asyncio.run(twin.get_text(QUESTION)).cached
    assert asyncio.run(twin.get_text(question(1))).content
    assert provider.calls == 2


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_an_agent(make, how):
    """It has the same settings and works by itself."""
    agent = Agent(AgentConfig(model=make("openai"), name="helper", system_prompt="Be brief."))
    first = asyncio.run(agent.process("What is Python?"))
    twin = COPIES[how](agent)
    assert asyncio.run(twin.process("What is Python?")) == first


def test_encryption_keys_do_not_travel(make, monkeypatch, cache_dir):
    """The other process loads them from its own environment."""
    monkeypatch.setenv("SPARK_CACHE_ENCRYPTION_KEY", KEY)
    model = make("openai")
    data = pickle.dumps(model)
    assert KEY.encode() not in data
    monkeypatch.delenv("SPARK_CACHE_ENCRYPTION_KEY")
    assert pickle.loads(data).cache.config.fernet_keys() == ()
    assert pickle.loads(data).cache.cache_dir == cache_dir


def test_changes_in_code_travel(make, monkeypatch):
    """They are applied again after the other process has loaded its keys."""
    monkeypatch.setenv("SPARK_CACHE_ENCRYPTION_KEY", KEY)
    manager = CacheManager(make("openai").cache.config.with_(ttl_seconds=5))
    assert pickle.loads(pickle.dumps(manager)).config == manager.config


@pytest.mark.parametrize(
    "given",
    [{"encryption_keys": KEY}, {"environ": {"SPARK_CACHE_ENCRYPTION_KEY": KEY}}],
    ids=["argument", "environment of its own"],
)
def test_keys_given_in_code_cannot_be_pickled(cache_dir, given):
    """There is no place to load them from again. In this process, a copy shares the cache."""
    manager = CacheManager(load_config(enabled=True, cache_dir=cache_dir, **given))
    with pytest.raises(TypeError, match="load it again in the other process"):
        pickle.dumps(manager)
    assert copy.deepcopy(manager) is manager


def test_keys_changed_in_code_cannot_be_pickled(make):
    """The same for keys that were added later."""
    manager = CacheManager(make("openai").cache.config.with_(encryption_keys=KEY))
    with pytest.raises(TypeError, match="load it again in the other process"):
        pickle.dumps(manager)
    assert copy.deepcopy(manager) is manager


async def test_a_long_response_of_anthropic_is_streamed_inside(make, provider):
    """The SDK refuses to wait more than ten minutes for a response that is not streamed."""
    async with make("anthropic") as model:
        fresh = await model.get_text(QUESTION, max_tokens=64_000)
        hit = await model.get_text(QUESTION, max_tokens=64_000)
    assert (fresh.content, fresh.cached, hit.cached, provider.calls) == (hit.content, False, True, 1)


async def test_a_long_response_that_is_cut_is_an_error(make, provider):
    """Half a response is not returned as a whole one."""
    send_next(
        provider, b'event: message_start\ndata: {"type":"message_start","message":{"content":[]}}\n\n'
    ).set()
    async with make("anthropic") as model:
        with pytest.raises(anthropic.AnthropicError, match="ended before the response was complete"):
            await model.get_text(QUESTION, max_tokens=64_000)
        assert not model.has_entry(QUESTION, max_tokens=64_000)


async def test_vectors_may_travel_as_floats(make, provider):
    """Services that know no other form need the parameter. It is sent, and is not part of the key."""
    async with make("openai") as model:
        vectors = await model.embed(["a"], encoding_format="float")
        assert provider.requests[-1].body["encoding_format"] == "float"
        assert await model.embed(["a"]) == vectors
        assert provider.calls == 1
        with pytest.raises(TypeError, match="leave out encoding_format"):
            await model.embed(["a"], encoding_format="base64")


def test_a_client_of_the_caller_stays_with_its_model(make, cache_dir):
    """A shallow copy shares it."""
    client = openai.AsyncOpenAI(api_key="test")
    model = OpenAIModel("gpt-4o", client=client, enable_cache=True, cache_dir=cache_dir)
    assert copy.copy(model).cache is model.cache
