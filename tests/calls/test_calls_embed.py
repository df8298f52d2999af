"""Embeddings: an entry for each text, and only those that are missing go out."""

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
    """The texts of each request so far."""
    return [request.body["input"] for request in provider.requests]


async def test_only_missing_texts_go_out(make, provider):
    """Of a thousand texts of which 900 are cached, 100 go out, in order, and the result is what it would be without a cache."""
    texts = [f"Text {number}" for number in range(1000)]
    missing = texts[5::10]
    model = make()
    await model.embed([text for text in texts if text not in missing])
    vectors = await model.embed(texts)
    assert sent(provider)[1:] == [missing]
    assert vectors == await make(enable_cache=False).embed(texts)


async def test_equal_to_the_sdk_s(make, provider):
    """A vector is the one that the SDK gives, fresh and from the cache."""
    model = make()
    first, hit = await model.embed(["Hello"]), await model.embed(["Hello"])
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="test") as client:
        answer = await client.embeddings.create(model="text-embedding-3-small", input=["Hello"])
    assert first == hit == [answer.data[0].embedding]
    assert provider.calls == 2


async def test_duplicates_are_asked_once(make, provider):
    """A text that comes twice is asked once, and has the same vector in both places, each a list of its own."""
    one, other, again = await make().embed(["a", "b", "a"])
    assert sent(provider) == [["a", "b"]]
    assert one == again != other
    again.clear()
    assert one


async def test_no_texts(make, provider):
    """No texts have no vectors, and nobody is asked."""
    assert await make().embed([]) == []
    assert provider.calls == 0


async def test_any_iterable(make):
    """Texts may come from anything that gives them one after the other."""
    assert await make().embed(text for text in ("a", "b")) == await make().embed(("a", "b"))


@pytest.mark.parametrize("texts", ["Hello", b"Hello", [1, 2], [["a"]], [None]])
async def test_what_are_no_texts(make, provider, texts):
    """One text instead of a list, or something else than texts, is refused."""
    with pytest.raises(TypeError, match="list of strings"):
        await make().embed(texts)
    assert provider.calls == 0


async def test_parameters_are_sent_and_keyed(make, provider):
    """Parameters reach the provider, and are part of the key."""
    model = make()
    await model.embed(["a"])
    (vector,) = await model.embed(["a"], dimensions=8)
    assert len(vector) == 8
    assert provider.requests[-1].body["dimensions"] == 8


async def test_encoding_format(make, provider):
    """How a vector is sent is the SDK's affair: asking for another form is refused."""
    with pytest.raises(TypeError, match="encoding_format"):
        await make(enable_cache=False).embed(["a"], encoding_format="base64")


async def test_manager_gives_the_same_key(make, provider):
    """generate_cache_key gives the key of a text's entry."""
    model = make()
    await model.embed(["Hello"])
    key = model.cache.generate_cache_key(
        "openai", model.model_id, "Hello", operation="embedding", endpoint=provider.base_url
    )
    assert model.cache.has_entry(key)


async def test_interface_is_no_part_of_the_key(make, provider):
    """Embeddings are the same behind either of OpenAI's interfaces."""
    await make().embed(["a"])
    await make(api="responses").embed(["a"])
    assert provider.calls == 1


async def test_batches(make, provider, monkeypatch):
    """No request has more texts than the provider takes."""
    monkeypatch.setattr(OpenAIProvider, "embed_batch", lambda *_: 3)
    texts = [f"Text {number}" for number in range(8)]
    vectors = await make().embed(texts)
    assert sorted(map(len, sent(provider))) == [2, 3, 3]
    assert sorted(text for batch in sent(provider) for text in batch) == texts
    assert vectors == await make(enable_cache=False).embed(texts)


async def test_batches_of_long_texts(make, provider, monkeypatch):
    """No request has longer texts than the provider takes, but for a single one."""
    monkeypatch.setattr(OpenAIProvider, "embed_characters", 10)
    await make().embed(["a" * 6, "b" * 5, "c" * 4, "d" * 30])
    assert sorted(sent(provider)) == [["a" * 6], ["b" * 5, "c" * 4], ["d" * 30]]


async def test_calls_that_come_together(cache_dir):
    """A text that two calls at once want goes out once."""
    with StandInProvider(latency_seconds=0.1) as provider:
        client_args = {"base_url": provider.base_url, "api_key": "test"}
        async with OpenAIModel("m", enable_cache=True, cache_dir=cache_dir, client_args=client_args) as model:
            one, other = await asyncio.gather(model.embed(["a", "b"]), model.embed(["b", "c"]))
            assert one[1] == other[0]
            assert sorted(text for batch in sent(provider) for text in batch) == ["a", "b", "c"]


async def test_error_of_the_provider(make, provider, cache_dir):
    """An error of the provider comes through unchanged, and nothing is stored."""
    provider.fail_next(400)
    model = make()
    with pytest.raises(openai.BadRequestError):
        await model.embed(["a", "b"])
    assert entry_files(cache_dir) == []
    assert len(await model.embed(["a", "b"])) == 2


async def test_one_batch_that_fails(make, provider, cache_dir, monkeypatch):
    """Where one of several batches fails, the call fails; what else came is kept for the next."""
    monkeypatch.setattr(OpenAIProvider, "embed_batch", lambda *_: 1)
    model = make()
    await model.embed(["a"])
    provider.fail_next(400)
    with pytest.raises(openai.BadRequestError):
        await model.embed(["a", "b"])
    await model.embed(["a", "b"])
    assert sent(provider) == [["a"], ["b"], ["b"]]


async def test_cancelled_call(cache_dir):
    """A call that is cancelled stores nothing, and leaves no task behind."""
    with StandInProvider(latency_seconds=0.3) as provider:
        client_args = {"base_url": provider.base_url, "api_key": "test"}
        async with OpenAIModel("m", enable_cache=True, cache_dir=cache_dir, client_args=client_args) as model:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(model.embed(["a", "b"]), 0.1)
            await asyncio.sleep(0.05)
            assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    assert entry_files(cache_dir) == []


async def test_cancelled_call_that_another_waits_for(cache_dir):
    """Cancelling a call ends no request that another call waits for."""
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
    """In replay mode a text that is missing is an error."""
    model = make()
    await model.embed(["a"])
    with pytest.raises(CacheMissError, match="absent"):
        await model.embed(["a", "b"], cache="replay")


async def test_modes(make, provider, cache_dir):
    """A mode of the call decides what it may do with the cache, as for a text."""
    model = make()
    await model.embed(["a"], cache="read-only")
    assert entry_files(cache_dir) == []
    await model.embed(["a"])
    await model.embed(["a"], cache="refresh")
    assert provider.calls == 3
    assert len(entry_files(cache_dir)) == 1


async def test_off(make, provider, cache_dir):
    """With the cache off every text goes out, duplicates once, and nothing is left behind."""
    model = make(enable_cache=False)
    await model.embed(["a", "b", "a"])
    await model.embed(["a"])
    assert sent(provider) == [["a", "b"], ["a"]]
    assert not cache_dir.exists()


async def test_hit_without_sdk(make, provider, cache_dir):
    """A hit needs neither the SDK nor a key nor the provider."""
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


async def test_entry_that_is_no_vector(make, provider, cache_dir):
    """An entry that somebody edited into something else answers nothing."""
    model = make()
    await model.embed(["a"])
    (path,) = entry_files(cache_dir)
    path.write_text(path.read_text().replace("float32", "float33"))
    assert await model.embed(["a"]) == await make(enable_cache=False).embed(["a"])
    assert provider.calls == 3


async def test_usage_is_shared_out(make, provider):
    """What hits spared adds up to what the call consumed."""
    model = make()
    texts = ["a", "some longer text", "Hello world"]
    await model.embed(texts)
    await model.embed(texts)
    entries = [json.loads(path.read_text()) for path in entry_files(model.cache.cache_dir)]
    assert sum(entry["usage"]["input_tokens"] for entry in entries) == 1 + 4 + 3


async def test_provider_without_embeddings(cache_dir):
    """A provider that has none says so."""
    with pytest.raises(NotImplementedError, match="the provider 'echo' does not embed texts"):
        await EchoModel("m", enable_cache=True, cache_dir=cache_dir).embed(["a"])


@pytest.mark.parametrize("vector", [[0.5, -1.0], [0.1, 0.2], [], [1e300, 0.0], [3, 4]])
def test_vectors_are_kept_exactly(vector):
    """A vector comes back equal, whether or not its numbers are 32-bit floats."""
    assert unpacked(json.loads(json.dumps(packed(vector)))) == vector


def test_single_precision_is_packed():
    """Numbers of 32 bits take four bytes each, not twenty digits."""
    assert packed([0.5, 0.25]) == {"float32": "AAAAPwAAgD4="}


@pytest.mark.parametrize(
    "raw", [None, {}, [], {"float32": "AAA"}, {"float32": 3}, {"vector": ["x"]}, {"vector": 3}]
)
def test_what_is_no_vector(raw):
    """JSON of another shape is no vector."""
    assert unpacked(raw) is None


@pytest.mark.parametrize(
    ("total", "weights"), [(10, [1, 1, 1]), (7, [0, 0]), (0, [3, 4]), (100, [1, 1000, 3])]
)
def test_shares_add_up(total, weights):
    """The shares of a call's usage add up to it."""
    shares = shared_out(Usage(input_tokens=total, total_tokens=total), weights)
    assert sum(share.input_tokens for share in shares) == total
