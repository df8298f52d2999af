"""Many simultaneous calls: tasks, threads, and one event loop after another."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import openai
import pytest
from models_world import QUESTION, ask, entry_files

from spark_cache import OpenAIModel
from spark_cache.core.plan import Miss
from spark_cache.manager.calls import Calls
from spark_cache.models.sdks import LoopClients
from spark_cache.testing import StandInProvider
from spark_cache.types import MissReason


@pytest.fixture
def provider():
    """A provider slow enough for calls to overlap."""
    with StandInProvider(latency_seconds=0.1) as running:
        yield running


async def test_equal_and_different_calls(make_model, provider, cache_dir):
    """Of 100 equal calls one is sent, of 100 different calls all. Every caller gets the response to its request."""
    model = make_model()
    questions = [ask("Equal?")] * 100 + [ask(f"Different {number}?") for number in range(100)]
    responses = await asyncio.gather(*(model.get_text(question) for question in questions))
    assert provider.calls == 101
    sent = [request.body["messages"][0]["content"] for request in provider.requests]
    assert sent.count("Equal?") == 1
    for question, response in zip(questions, responses, strict=True):
        assert f"You asked: {question[0]['content']} (" in response.content
    assert len(entry_files(cache_dir)) == 101


async def test_shared_responses_are_marked(make_model):
    """One of several equal calls calls the provider. The responses of the others are marked as shared."""
    model = make_model()
    responses = await asyncio.gather(*(model.get_text(QUESTION) for _ in range(5)))
    assert sorted(response.shared for response in responses) == [False, True, True, True, True]
    assert not any(response.cached for response in responses)
    assert len({response.content for response in responses}) == 1


async def test_models_share_a_call(make_model, provider):
    """Equal calls of different models with one configuration make one call."""
    await asyncio.gather(*(make_model().get_text(QUESTION) for _ in range(10)))
    assert provider.calls == 1


@pytest.mark.parametrize("mode", ["bypass", "default"])
async def test_calls_without_the_cache_are_not_shared(make_model, provider, mode):
    """Calls that do not use the cache are not shared."""
    model = make_model(enable_cache=mode == "bypass")
    await asyncio.gather(*(model.get_text(QUESTION, cache=mode) for _ in range(5)))
    assert provider.calls == 5


async def test_error_of_a_shared_call(make_model, provider, cache_dir):
    """The callers of one model share its error, nothing is stored, and the next call calls the provider again."""
    model = make_model()
    provider.fail_next(429)
    results = await asyncio.gather(*(model.get_text(QUESTION) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [openai.RateLimitError] * 5
    assert provider.calls == 1
    assert entry_files(cache_dir) == []
    assert not (await model.get_text(QUESTION)).cached


async def test_cancelled_caller_leaves_the_others(make_model, provider):
    """Cancelling one caller does not affect the responses of the others."""
    model = make_model()
    calls = [asyncio.create_task(model.get_text(QUESTION)) for _ in range(3)]
    await asyncio.sleep(0.02)
    calls[0].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1] == results[2]
    assert provider.calls == 1


async def test_response_stored_after_the_lookup(make_model, provider, monkeypatch):
    """A response that another thread stored just after the lookup is used, without a second call."""
    model = make_model()
    await model.get_text(QUESTION)
    monkeypatch.setattr(Calls, "try_fast_hit", lambda *_: None)
    monkeypatch.setattr(Calls, "look_up", lambda *_, **__: Miss(MissReason.ABSENT))
    assert (await model.get_text(QUESTION)).cached
    assert provider.calls == 1


def test_threads(provider, client_args, cache_dir):
    """Equal calls of threads, each with its own event loop, make one call."""
    model = OpenAIModel("gpt-4o", enable_cache=True, cache_dir=cache_dir, client_args=client_args)
    start = threading.Barrier(8)
    contents = []

    async def one_call():
        async with model:
            contents.append((await model.get_text(QUESTION)).content)

    def run():
        start.wait()
        asyncio.run(one_call())

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(contents) == 8
    assert len(set(contents)) == 1
    assert provider.calls == 1


def test_one_loop_after_the_other(provider, client_args, cache_dir):
    """A model works in one event loop after another."""
    model = OpenAIModel("gpt-4o", enable_cache=True, cache_dir=cache_dir, client_args=client_args)

    async def run(question):
        async with model:
            return [await model.get_text(ask(question)), await model.get_text(QUESTION)]

    responses = [asyncio.run(run(f"Question {number}")) for number in range(3)]
    assert [[response.cached for response in pair] for pair in responses] == [
        [False, i > 0] for i in range(3)
    ]
    assert provider.calls == 4


def test_clients_of_closed_loops_are_released():
    """The client of a closed loop is released when another loop requests a client."""
    clients, made = LoopClients(openai.AsyncOpenAI(api_key="any").copy, lambda client: client.close()), []

    async def touch():
        made.append(weakref.ref(clients.get()))

    for _ in range(3):
        asyncio.run(touch())
    gc.collect()
    assert [client() is None for client in made] == [True, True, False]


async def test_model_can_be_used_after_closing(make_model, provider):
    """A closed model opens new connections on the next call."""
    model = make_model()
    for number in range(2):
        async with model:
            await model.get_text(ask(f"Question {number}"))
    assert provider.calls == 2


async def test_messages_that_change_during_the_call(make_model, provider, cache_dir, monkeypatch):
    """A caller that changes its messages during the call changes neither the keyed request nor the stored one."""
    monkeypatch.setenv("SPARK_CACHE_STORE_REQUESTS", "true")
    model = make_model()
    messages = [{"role": "user", "content": [{"text": "One?"}, {"text": "Two?"}]}]
    original = [{"role": "user", "content": [{"text": "One?"}, {"text": "Two?"}]}]
    call = asyncio.create_task(model.get_text(messages))
    await asyncio.sleep(0)
    messages[0]["content"].append({"text": "Three?"})
    messages += ask("Four?")
    answer = await call
    (request,) = provider.requests
    assert [block["text"] for block in request.body["messages"][0]["content"]] == ["One?", "Two?"]
    assert len(request.body["messages"]) == 1
    assert "Three?" not in entry_files(cache_dir)[0].read_text()
    assert await model.get_text(original) == answer


async def test_each_caller_gets_its_own_response(make_model):
    """A change that one caller makes to its response is not visible to the others that share the call."""
    model = make_model()
    one, other = await asyncio.gather(*(model.get_text(QUESTION) for _ in range(2)))
    one.raw["choices"].clear()
    assert len(other.raw["choices"]) == 1
