"""Warming up: what is missing is asked, once, and what is there is passed over."""

from __future__ import annotations

import asyncio

import pytest

from spark_cache import CacheConfig, ConfigError, Model, ModelResponse, OpenAIModel, UncacheableRequestError
from spark_cache.models import Usage
from spark_cache.testing import StandInProvider
from spark_cache.warmup import estimate, warm


class Echo(Model):
    """Says what it is asked, but fails for what begins with ``fail`` and is cut short for what begins with ``cut``."""

    provider = "openai"

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.asked: list[str] = []
        self.under_way = 0
        self.most_under_way = 0

    def _endpoint(self):
        return None

    async def _call(self, request):
        text = request.messages[-1]["content"]
        self.asked.append(text)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0.001)
        self.under_way -= 1
        if text.startswith("fail"):
            raise ConnectionError(text)
        return text

    def _read(self, raw):
        reason = "max_tokens" if raw.startswith("cut") else "end_turn"
        return ModelResponse(raw, reason, Usage(1000, 100, 1100), raw=raw)


@pytest.fixture
def make_model(tmp_path):
    def make(model_id="gpt-4o", **settings):
        config = CacheConfig(**{"enabled": True, "cache_dir": tmp_path / "cache", **settings})
        return Echo(model_id, cache_config=config)

    return make


@pytest.fixture
def model(make_model):
    return make_model()


async def test_requests_take_three_forms(model):
    """A text, a list of messages, and arguments by name are requests."""
    ended = await warm(
        model,
        [
            "one",
            [{"role": "user", "content": "two"}],
            {"messages": [{"role": "user", "content": "three"}], "temperature": 0},
        ],
    )

    assert (ended.stored, ended.done) == (3, 3)
    assert sorted(model.asked) == ["one", "three", "two"]
    assert (await model.get_text([{"role": "user", "content": "one"}])).cached


async def test_what_is_cached_is_passed_over(model):
    """A second warm-up asks what the first did not, and counts no use of the rest."""
    await warm(model, ["one", "two"])

    ended = await warm(model, ["one", "two", "three"])

    assert (ended.cached, ended.stored) == (2, 1)
    assert len(model.asked) == 3
    assert model.cache.get_stats()["hits"] == 0


async def test_a_warm_up_that_was_broken_off_goes_on(model):
    """What was answered before the end is not asked again."""
    texts = [f"number {number}" for number in range(20)]

    def stop(so_far):
        if so_far.done == 7:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await warm(model, texts, concurrency=1, on_progress=stop)
    ended = await warm(model, texts)

    assert (ended.cached, ended.stored) == (7, 13)
    assert len(model.asked) == 20


async def test_equal_requests_are_asked_once(model):
    """A request that comes twice costs one call."""
    ended = await warm(model, ["one"] * 5)

    assert model.asked == ["one"]
    assert (ended.stored, ended.cached) == (1, 4)


async def test_no_more_calls_are_under_way_than_allowed(model):
    """``concurrency`` bounds the calls, and uses what it allows."""
    await warm(model, [f"number {number}" for number in range(12)], concurrency=3)

    assert model.most_under_way == 3


async def test_requests_are_taken_one_by_one(model):
    """An endless stream of requests is not read ahead."""
    taken = []

    def endless():
        number = 0
        while True:
            taken.append(number)
            yield f"number {number}"
            number += 1

    def stop(so_far):
        if so_far.done == 5:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await warm(model, endless(), concurrency=2, on_progress=stop)

    assert len(taken) <= 7


async def test_progress_is_told_after_each_request(model):
    """``on_progress`` gets how far it is."""
    told = []

    ended = await warm(model, ["one", "two", "three"], on_progress=told.append)

    assert [so_far.done for so_far in told] == [1, 2, 3]
    assert told[-1] == ended


async def test_the_cost_is_that_of_the_calls(model):
    """Only what was asked costs anything."""
    await warm(model, ["one"])

    ended = await warm(model, ["one", "two", "three"])

    # By the list price of gpt-4o: 1,000 tokens of input at $2.50 a million and 100 of output at $10, twice.
    assert (ended.input_tokens, ended.output_tokens, ended.unpriced) == (2000, 200, 0)
    assert ended.dollars == pytest.approx(0.007)


async def test_an_unknown_price_is_no_price_of_nothing(make_model):
    """Calls to a model that the price table does not know are counted as such."""
    ended = await warm(make_model("a-model-of-mine"), ["one"])

    assert (ended.dollars, ended.unpriced) == (0.0, 1)


async def test_a_failure_does_not_stop_the_others(model):
    """Who fails is told, with the place of its request and the error."""
    ended = await warm(model, ["one", "fail", "two"])

    assert ended.stored == 2
    (failure,) = ended.failures
    assert failure.position == 1
    assert isinstance(failure.error, ConnectionError)


async def test_failures_in_a_row_end_the_warm_up(model):
    """A wrong API key is not tried a thousand times."""
    ended = await warm(model, [f"fail {number}" for number in range(1000)], concurrency=4)

    assert ended.gave_up
    assert len(model.asked) <= 14


async def test_an_answer_that_may_not_be_stored_is_told(model):
    """An answer cut at the token limit leaves the cache as cold as it was."""
    ended = await warm(model, ["cut"])

    assert (ended.stored, ended.unstored) == (0, 1)


async def test_a_request_that_cannot_be_keyed_is_not_asked(model):
    """What would not be stored is not paid for."""
    request = {"messages": [{"role": "user", "content": "one"}], "extra": object()}

    ended = await warm(model, [request])

    assert model.asked == []
    assert isinstance(ended.failures[0].error, UncacheableRequestError)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"enabled": False}, "caching is off for openai/gpt-4o"),
        ({"ttl_seconds": 0}, "caching is off for openai/gpt-4o"),
        ({"mode": "read-only"}, "mode read-only stores nothing"),
        ({"mode": "replay"}, "mode replay stores nothing"),
        ({"mode": "bypass"}, "mode bypass stores nothing"),
    ],
)
async def test_a_cache_that_stores_nothing_is_not_warmed(make_model, settings, message):
    """Nobody pays for answers that are thrown away."""
    model = make_model(**settings)

    with pytest.raises(ConfigError, match=message):
        await warm(model, ["one"])
    with pytest.raises(ConfigError, match=message):
        estimate(model, ["one"])
    assert model.asked == []


async def test_refresh_asks_everything_again(make_model):
    """In refresh mode nothing is passed over."""
    await warm(make_model(), ["one"])

    ended = await warm(make_model(mode="refresh"), ["one"])

    assert (ended.cached, ended.stored) == (0, 1)


@pytest.mark.parametrize("asked", [3, None, {"prompt": "one"}, {"messages": "one"}, {1, 2}])
async def test_a_request_of_another_form_is_refused(model, asked):
    """What is no request is an error of the caller."""
    with pytest.raises(TypeError, match="a request is a text, a list of messages, or"):
        await warm(model, [asked])


async def test_a_concurrency_of_none_is_refused(model):
    """No call at a time is none at all."""
    with pytest.raises(ValueError, match="concurrency=0"):
        await warm(model, ["one"], concurrency=0)


async def test_the_retries_of_the_sdk_hold(tmp_path):
    """A provider that asks to come back later gets its answer stored all the same."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path / "cache")
    with StandInProvider() as provider:
        provider.fail_next(429, times=2)
        args = {"base_url": provider.base_url, "api_key": "any", "max_retries": 3}
        async with OpenAIModel("gpt-4o", cache_config=config, client_args=args) as model:
            ended = await warm(model, ["one"], concurrency=1)

    assert (ended.stored, ended.failures, provider.calls) == (1, (), 3)
