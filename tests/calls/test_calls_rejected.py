"""Answers that their caller does not want kept: should_cache beforehand, reject afterwards."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from models_world import QUESTION, Events, entry_files, events_of

from spark_cache import ModelResponse
from spark_cache.types import Request


async def test_rejected_answer_is_asked_anew(make_model, provider, cache_dir):
    """A fresh answer that is rejected is removed, and the next equal call asks again."""
    model = make_model()
    response = await model.get_text(QUESTION)
    assert response.reject()
    assert entry_files(cache_dir) == []
    assert not (await model.get_text(QUESTION)).cached
    assert provider.calls == 2


async def test_rejected_hit(make_model, provider):
    """A hit can be rejected too; the second time there is nothing left to remove."""
    model = make_model()
    await model.get_text(QUESTION)
    hit = await model.get_text(QUESTION)
    assert (hit.cached, hit.reject(), hit.reject()) == (True, True, False)
    assert not (await model.get_text(QUESTION)).cached


async def test_rejected_stream(make_model, provider):
    """The answer of a stream can be rejected like any other."""
    model = make_model()
    assert (await events_of(model, QUESTION))[-1].response.reject()
    assert not (await model.get_text(QUESTION)).cached


async def test_rejected_structured_answer(make_model):
    """So can a structured one."""
    model = make_model()
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert (await model.get_json(schema, QUESTION)).reject()
    assert not (await model.get_json(schema, QUESTION)).cached


@pytest.mark.parametrize("mode", ["read-only", "replay"])
async def test_modes_that_write_nothing(make_model, cache_dir, mode):
    """What a call in a mode that writes nothing answered is not removed: a recording stays."""
    model = make_model()
    await model.get_text(QUESTION)
    assert not (await model.get_text(QUESTION, cache=mode)).reject()
    assert len(entry_files(cache_dir)) == 1


async def test_answer_without_the_cache(make_model):
    """An answer that the cache had no part in has nothing to remove."""
    model = make_model()
    await model.get_text(QUESTION)
    assert not (await model.get_text(QUESTION, cache="bypass")).reject()
    assert not ModelResponse("by hand").reject()


async def test_answer_from_another_process(make_model, cache_dir):
    """An answer that was pickled has left its cache behind; its key can still be removed by hand."""
    model = make_model()
    copy = pickle.loads(pickle.dumps(await model.get_text(QUESTION)))
    assert not copy.reject()
    assert model.cache.remove_entry(copy.cache_key)


async def test_should_cache_decides(make_model, provider, cache_dir):
    """What should_cache says no to is not stored; what it says yes to is."""
    model = make_model(should_cache=lambda _, response: "Python" in response.content)
    assert not (await model.get_text(QUESTION)).cached
    await model.get_text([{"role": "user", "content": "Something else?"}])
    assert len(entry_files(cache_dir)) == 1
    assert (await model.get_text(QUESTION)).cached


async def test_should_cache_is_told(make_model):
    """should_cache gets the request and the whole answer, once for each that would be stored."""
    told = []
    model = make_model(should_cache=lambda request, response: told.append((request, response)) or True)
    response = await model.get_text(QUESTION, temperature=0.5)
    await model.get_text(QUESTION, temperature=0.5)
    ((request, seen),) = told
    assert isinstance(request, Request)
    assert (request.messages, request.parameters["temperature"]) == (QUESTION, 0.5)
    assert seen == response


async def test_should_cache_is_not_asked(make_model, provider):
    """should_cache is not asked about what would not be stored anyway."""
    told = []
    model = make_model(should_cache=lambda *given: told.append(given) or True)
    await model.get_text(QUESTION, max_tokens=2)
    await model.get_text(QUESTION, cache="bypass")
    await model.get_text(QUESTION, cache="read-only")
    assert told == []


async def test_should_cache_that_raises(make_model, cache_dir, warned):
    """A should_cache that raises costs no answer: it is not stored, and one warning names the error."""
    model = make_model(should_cache=lambda *_: 1 / 0)
    for _ in range(2):
        assert (await model.get_text(QUESTION)).content.startswith("[stand-in]")
    assert entry_files(cache_dir) == []
    (warning,) = warned()
    assert "should_cache" in warning
    assert "ZeroDivisionError" in warning


async def test_should_cache_of_streams_and_vectors(make_model, cache_dir):
    """should_cache is asked about streams and about each vector too."""
    asked = []
    model = make_model(should_cache=lambda request, _: asked.append((request.operation, request.messages)))
    await events_of(model, QUESTION)
    await model.embed(["a", "b"])
    assert asked == [("text", QUESTION), ("embedding", "a"), ("embedding", "b")]
    assert entry_files(cache_dir) == []


async def test_log_says_why(make_model):
    """The log says that should_cache kept an answer out."""
    events = Events()
    model = make_model(should_cache=lambda *_: False, sink=events)
    await model.get_text(QUESTION)
    assert events.names == ["cache.miss", "cache.bypass"]
    assert events.events[-1].reason == "should_cache"


async def test_samples_have_entries_of_their_own(make_model, provider, cache_dir):
    """Each sample of a request has an entry of its own, the same in every run."""
    model = make_model()

    async def run():
        return await asyncio.gather(*(model.get_text(QUESTION, sample=number) for number in range(3)))

    first, again = await run(), await run()
    assert provider.calls == 3
    assert first == again
    assert len(entry_files(cache_dir)) == 3
