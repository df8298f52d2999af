"""Responses that the caller does not want stored: should_cache before storing, reject after it."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from models_world import QUESTION, Events, entry_files, events_of

from spark_cache import ModelResponse
from spark_cache.types import Request


async def test_rejected_response_is_removed(make_model, provider, cache_dir):
    """Rejecting a fresh response removes it, and the next equal call calls the provider again."""
    model = make_model()
    response = await model.get_text(QUESTION)
    assert response.reject()
    assert entry_files(cache_dir) == []
    assert not (await model.get_text(QUESTION)).cached
    assert provider.calls == 2


async def test_rejected_hit(make_model, provider):
    """A hit can be rejected too. The second time, nothing is left to remove."""
    model = make_model()
    await model.get_text(QUESTION)
    hit = await model.get_text(QUESTION)
    assert (hit.cached, hit.reject(), hit.reject()) == (True, True, False)
    assert not (await model.get_text(QUESTION)).cached


async def test_rejected_stream(make_model, provider):
    """The response of a stream can be rejected like any other."""
    model = make_model()
    assert (await events_of(model, QUESTION))[-1].response.reject()
    assert not (await model.get_text(QUESTION)).cached


async def test_rejected_structured_response(make_model):
    """A structured response can be rejected too."""
    model = make_model()
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert (await model.get_json(schema, QUESTION)).reject()
    assert not (await model.get_json(schema, QUESTION)).cached


@pytest.mark.parametrize("mode", ["read-only", "replay"])
async def test_reject_in_read_only_modes(make_model, cache_dir, mode):
    """A response from a call in a read-only mode is not removed: a recording stays."""
    model = make_model()
    await model.get_text(QUESTION)
    assert not (await model.get_text(QUESTION, cache=mode)).reject()
    assert len(entry_files(cache_dir)) == 1


async def test_reject_without_the_cache(make_model):
    """A response that did not use the cache has no entry to remove."""
    model = make_model()
    await model.get_text(QUESTION)
    assert not (await model.get_text(QUESTION, cache="bypass")).reject()
    assert not ModelResponse("by hand").reject()


async def test_reject_after_unpickling(make_model, cache_dir):
    """An unpickled response has no cache. Its entry can still be removed by its key."""
    model = make_model()
    copy = pickle.loads(pickle.dumps(await model.get_text(QUESTION)))
    assert not copy.reject()
    assert model.cache.remove_entry(copy.cache_key)


async def test_should_cache_decides(make_model, provider, cache_dir):
    """If should_cache returns False, a response is not stored. If it returns True, it is."""
    model = make_model(should_cache=lambda _, response: "Python" in response.content)
    assert not (await model.get_text(QUESTION)).cached
    await model.get_text([{"role": "user", "content": "Something else?"}])
    assert len(entry_files(cache_dir)) == 1
    assert (await model.get_text(QUESTION)).cached


async def test_should_cache_arguments(make_model):
    """should_cache gets the request and the whole response, once for each response that would be stored."""
    calls = []
    model = make_model(should_cache=lambda request, response: calls.append((request, response)) or True)
    response = await model.get_text(QUESTION, temperature=0.5)
    await model.get_text(QUESTION, temperature=0.5)
    ((request, seen),) = calls
    assert isinstance(request, Request)
    assert (request.body["messages"], request.body["temperature"]) == (QUESTION, 0.5)
    assert seen == response


async def test_should_cache_is_not_called(make_model, provider):
    """should_cache is not called for a response that would not be stored anyway."""
    calls = []
    model = make_model(should_cache=lambda *given: calls.append(given) or True)
    await model.get_text(QUESTION, max_tokens=2)
    await model.get_text(QUESTION, cache="bypass")
    await model.get_text(QUESTION, cache="read-only")
    assert calls == []


async def test_should_cache_that_raises(make_model, cache_dir, warned):
    """If should_cache raises, the response is returned but not stored, and one warning names the error."""
    model = make_model(should_cache=lambda *_: 1 / 0)
    for _ in range(2):
        assert (await model.get_text(QUESTION)).content.startswith("[stand-in]")
    assert entry_files(cache_dir) == []
    (warning,) = warned()
    assert "should_cache" in warning
    assert "ZeroDivisionError" in warning


async def test_should_cache_of_streams_and_vectors(make_model, cache_dir):
    """should_cache is called for streams and for each vector too."""
    calls = []
    model = make_model(should_cache=lambda request, _: calls.append((request.operation, request.body)))
    await events_of(model, QUESTION)
    await model.embed(["a", "b"])
    assert calls == [
        ("text", {"messages": QUESTION}),
        ("embedding", {"input": "a"}),
        ("embedding", {"input": "b"}),
    ]
    assert entry_files(cache_dir) == []


async def test_log_names_should_cache(make_model):
    """The log says that should_cache prevented storing."""
    events = Events()
    model = make_model(should_cache=lambda *_: False, sink=events)
    await model.get_text(QUESTION)
    assert events.names == ["cache.miss", "cache.bypass"]
    assert events.events[-1].reason == "should_cache"


async def test_samples_have_separate_entries(make_model, provider, cache_dir):
    """Each sample of a request has its own entry, the same in every run."""
    model = make_model()

    async def run():
        return await asyncio.gather(*(model.get_text(QUESTION, sample=number) for number in range(3)))

    first, again = await run(), await run()
    assert provider.calls == 3
    assert first == again
    assert len(entry_files(cache_dir)) == 3
