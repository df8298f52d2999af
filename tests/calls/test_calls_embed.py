"""Embeddings: each text has an entry, and only missing texts are sent."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest
from models_world import EchoModel, entry_files, run_python

from spark_cache import CacheMissError, OpenAIModel
from spark_cache.models import Usage
from spark_cache.models.openai import OpenAIProvider
from spark_cache.providers.vectors import packed, shared_out, unpacked
from spark_cache.testing import StandInProvider


@pytest.fixture
def make(make_model):
    return lambda **options: make_model("text-embedding-3-small", **options)


def sent(provider):
    """Return the texts of each request so far."""
    return [request.body["input"] for request in provider.requests]


async def test_only_missing_texts_are_sent(make, provider):
    """Of a thousand texts with 900 cached, 100 are sent, in order, and the result is the same as without a cache."""
    texts = [f"Text {number}" for number in range(1000)]
    missing = texts[5::10]
    model = make()
    await model.embed([text for text in texts if text not in missing])
    vectors = await model.embed(texts)
    assert sent(provider)[1:] == [missing]
    assert vectors == await make(enable_cache=False).embed(texts)


async def test_equal_to_the_sdk(make, provider):
    """A vector equals the SDK's, fresh and from the cache."""
    model = make()
    first, hit = await model.embed(["Hello"]), await model.embed(["Hello"])
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="test") as client:
        answer = await client.embeddings.create(model="text-embedding-3-small", input=["Hello"])
    assert first == hit == [answer.data[0].embedding]
    assert provider.calls == 2


async def test_duplicates_are_sent_once(make, provider):
    """A duplicate text is sent once, and its vectors are equal but separate lists."""
    one, other, again = await make().embed(["a", "b", "a"])
    assert sent(provider) == [["a", "b"]]
    assert one == again != other
    again.clear()
    assert one


async def test_no_texts(make, provider):
    """An empty list of texts gives no vectors and makes no call."""
    assert await make().embed([]) == []
    assert provider.calls == 0


async def test_any_iterable(make):
    """The texts can be any iterable."""
    assert await make().embed(text for text in ("a", "b")) == await make().embed(("a", "b"))


@pytest.mark.parametrize("texts", ["Hello", b"Hello", [1, 2], [["a"]], [None]])
async def test_invalid_texts(make, provider, texts):
    """A string instead of a list, or anything other than strings, is refused."""
    with pytest.raises(TypeError, match="list of strings"):
        await make().embed(texts)
    assert provider.calls == 0


async def test_parameters_are_sent_and_keyed(make, provider):
    """Parameters reach the provider and are part of the key."""
    model = make()
    await model.embed(["a"])
    (vector,) = await model.embed(["a"], dimensions=8)
    assert len(vector) == 8
    assert provider.requests[-1].body["dimensions"] == 8


async def test_encoding_format(make, provider):
    """The SDK decides how a vector is sent: the parameter is refused."""
    with pytest.raises(TypeError, match="encoding_format"):
        await make(enable_cache=False).embed(["a"], encoding_format="base64")


async def test_manager_gives_the_same_key(make, provider):
    """generate_cache_key returns the key of a text's entry."""
    model = make()
    await model.embed(["Hello"])
    key = model.cache.generate_cache_key(
        "openai", model.model_id, "Hello", operation="embedding", endpoint=provider.base_url
    )
    assert model.cache.has_entry(key)


async def test_api_is_not_part_of_the_key(make, provider):
    """Embeddings are the same behind either of OpenAI's APIs."""
    await make().embed(["a"])
    await make(api="responses").embed(["a"])
    assert provider.calls == 1


async def test_batches(make, provider, monkeypatch):
    """No request has more texts than the provider accepts."""
    monkeypatch.setattr(OpenAIProvider, "embed_batch", lambda *_: 3)
    texts = [f"Text {number}" for number in range(8)]
    vectors = await make().embed(texts)
    assert sorted(map(len, sent(provider))) == [2, 3, 3]
    assert sorted(text for batch in sent(provider) for text in batch) == texts
    assert vectors == await make(enable_cache=False).embed(texts)


async def test_batches_of_long_texts(make, provider, monkeypatch):
    """No request has more characters than the provider accepts, except for a single long text."""
    monkeypatch.setattr(OpenAIProvider, "embed_characters", 10)
    await make().embed(["a" * 6, "b" * 5, "c" * 4, "d" * 30])
    assert sorted(sent(provider)) == [["a" * 6], ["b" * 5, "c" * 4], ["d" * 30]]


async def test_simultaneous_calls(cache_dir):
    """A text in two simultaneous calls is sent once."""
    with StandInProvider(latency_seconds=0.1) as provider:
        client_args = {"base_url": provider.base_url, "api_key": "test"}
        async with OpenAIModel("m", enable_cache=True, cache_dir=cache_dir, client_args=client_args) as model:
            one, other = await asyncio.gather(model.embed(["a", "b"]), model.embed(["b", "c"]))
            assert one[1] == other[0]
            assert sorted(text for batch in sent(provider) for text in batch) == ["a", "b", "c"]


async def test_error_of_the_provider(make, provider, cache_dir):
    """An error of the provider is raised unchanged, and nothing is stored."""
    provider.fail_next(400)
    model = make()
    with pytest.raises(openai.BadRequestError):
        await model.embed(["a", "b"])
    assert entry_files(cache_dir) == []
    assert len(await model.embed(["a", "b"])) == 2


async def test_one_batch_that_fails(make, provider, cache_dir, monkeypatch):
    """If one of several batches fails, the call fails. The other results are stored for the next call."""
    monkeypatch.setattr(OpenAIProvider, "embed_batch", lambda *_: 1)
    model = make()
    await model.embed(["a"])
    provider.fail_next(400)
    with pytest.raises(openai.BadRequestError):
        await model.embed(["a", "b"])
    await model.embed(["a", "b"])
    assert sent(provider) == [["a"], ["b"], ["b"]]


async def test_cancelled_call(cache_dir):
    """A cancelled call stores nothing and leaves no task behind."""
    with StandInProvider(latency_seconds=0.3) as provider:
        client_args = {"base_url": provider.base_url, "api_key": "test"}
        async with OpenAIModel("m", enable_cache=True, cache_dir=cache_dir, client_args=client_args) as model:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(model.embed(["a", "b"]), 0.1)
            await asyncio.sleep(0.05)
            assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    assert entry_files(cache_dir) == []


async def test_cancelled_call_that_another_waits_for(cache_dir):
    """Cancelling a call does not end a request that another call waits for."""
    with StandInProvider(latency_seconds=0.3) as provider:
        client_args = {"base_url": provider.base_url, "api_key": "test"}
        async with OpenAIModel("m", enable_cache=True, cache_dir=cache_dir, client_args=client_args) as model:
            first = asyncio.create_task(model.embed(["a", "b"]))
            await asyncio.sleep(0.05)
            second = asyncio.create_task(model.embed(["b"]))
            await asyncio.sleep(0.05)
            first.cancel()
            assert len(await second) == 1
            assert provider.calls == 1


async def test_replay(make):
    """In replay mode, a missing text is an error."""
    model = make()
    await model.embed(["a"])
    with pytest.raises(CacheMissError, match="absent"):
        await model.embed(["a", "b"], cache="replay")


async def test_modes(make, provider, cache_dir):
    """The mode of a call decides what it may do with the cache, as for a text call."""
    model = make()
    await model.embed(["a"], cache="read-only")
    assert entry_files(cache_dir) == []
    await model.embed(["a"])
    await model.embed(["a"], cache="refresh")
    assert provider.calls == 3
    assert len(entry_files(cache_dir)) == 1


async def test_off(make, provider, cache_dir):
    """With the cache off, every text is sent, duplicates once, and nothing is stored."""
    model = make(enable_cache=False)
    await model.embed(["a", "b", "a"])
    await model.embed(["a"])
    assert sent(provider) == [["a", "b"], ["a"]]
    assert not cache_dir.exists()


async def test_hit_without_sdk(make, provider, cache_dir):
    """A hit needs neither the SDK nor an API key nor the provider."""
    (vector,) = await make().embed(["Hello"])
    code = """
import asyncio, json, sys
sys.modules["openai"] = None
from spark_cache import OpenAIModel
model = OpenAIModel("text-embedding-3-small", enable_cache=True, cache_dir=sys.argv[1], client_args={"base_url": sys.argv[2]})
print(json.dumps(asyncio.run(model.embed(["Hello"]))))
"""
    done = run_python(code, cache_dir, provider.base_url)
    assert json.loads(done.stdout) == [vector], done.stderr


async def test_entry_without_a_vector(make, provider, cache_dir):
    """An entry that was edited into something else is a miss."""
    model = make()
    await model.embed(["a"])
    (path,) = entry_files(cache_dir)
    path.write_text(path.read_text().replace("float32", "float33"))
    assert await model.embed(["a"]) == await make(enable_cache=False).embed(["a"])
    assert provider.calls == 3


async def test_usage_is_divided(make, provider):
    """The savings of all hits add up to the usage of the call."""
    model = make()
    texts = ["a", "some longer text", "Hello world"]
    await model.embed(texts)
    await model.embed(texts)
    entries = [json.loads(path.read_text()) for path in entry_files(model.cache.cache_dir)]
    assert sum(entry["usage"]["input_tokens"] for entry in entries) == 1 + 4 + 3


async def test_provider_without_embeddings(cache_dir):
    """A provider without embeddings raises an error."""
    with pytest.raises(NotImplementedError, match="the provider 'echo' does not embed texts"):
        await EchoModel("m", enable_cache=True, cache_dir=cache_dir).embed(["a"])


@pytest.mark.parametrize("vector", [[0.5, -1.0], [0.1, 0.2], [], [1e300, 0.0], [3, 4]])
def test_vectors_are_kept_exactly(vector):
    """A vector comes back equal, whether or not its numbers are 32-bit floats."""
    assert unpacked(json.loads(json.dumps(packed(vector)))) == vector


def test_single_precision_is_packed():
    """32-bit numbers take four bytes each, not twenty digits."""
    assert packed([0.5, 0.25]) == {"float32": "AAAAPwAAgD4="}


@pytest.mark.parametrize(
    "raw", [None, {}, [], {"float32": "AAA"}, {"float32": 3}, {"vector": ["x"]}, {"vector": 3}]
)
def test_invalid_stored_vector(raw):
    """JSON of another form is not a vector."""
    assert unpacked(raw) is None


@pytest.mark.parametrize(
    ("total", "weights"), [(10, [1, 1, 1]), (7, [0, 0]), (0, [3, 4]), (100, [1, 1000, 3])]
)
def test_shares_add_up(total, weights):
    """The shares of a call's usage add up to it."""
    shares = shared_out(Usage(input_tokens=total, total_tokens=total), weights)
    assert sum(share.input_tokens for share in shares) == total
