"""A warm-up calls the provider once for each missing request and skips cached ones."""

from __future__ import annotations

import asyncio

import pytest

from spark_cache import CacheConfig, ConfigError, Model, ModelResponse, OpenAIModel, UncacheableRequestError
from spark_cache.models import Provider, Usage
from spark_cache.testing import StandInProvider
from spark_cache.warmup import estimate, warm


class EchoProvider(Provider):
    """A provider that repeats the prompt, fails if it begins with ``fail``, and is cut off if it begins with ``cut``."""

    name = "openai"

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.concurrent = 0
        self.most_concurrent = 0

    def endpoint(self):
        return None

    async def call(self, request):
        text = request.body["messages"][-1]["content"]
        self.prompts.append(text)
        self.concurrent += 1
        self.most_concurrent = max(self.most_concurrent, self.concurrent)
        await asyncio.sleep(0.001)
        self.concurrent -= 1
        if text.startswith("fail"):
            raise ConnectionError(text)
        return text

    def read(self, raw):
        reason = "max_tokens" if raw.startswith("cut") else "end_turn"
        return ModelResponse(raw, reason, Usage(1000, 100, 1100), raw=raw)


class Echo(Model):
    """A model of an :class:`EchoProvider`."""

    def __init__(self, model_id, **options) -> None:
        self.echo = EchoProvider()
        super().__init__(model_id, self.echo, **options)


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
    """A request is a string, a list of messages, or a dictionary of arguments."""
    result = await warm(
        model,
        [
            "one",
            [{"role": "user", "content": "two"}],
            {"messages": [{"role": "user", "content": "three"}], "temperature": 0},
        ],
    )

    assert (result.stored, result.done) == (3, 3)
    assert sorted(model.echo.prompts) == ["one", "three", "two"]
    assert (await model.get_text([{"role": "user", "content": "one"}])).cached


async def test_cached_requests_are_skipped(model):
    """A second warm-up sends only new requests, and does not count a use of the other entries."""
    await warm(model, ["one", "two"])

    result = await warm(model, ["one", "two", "three"])

    assert (result.cached, result.stored) == (2, 1)
    assert len(model.echo.prompts) == 3
    assert model.cache.get_stats()["hits"] == 0


async def test_an_interrupted_warm_up_continues(model):
    """Requests that were answered before the interruption are not sent again."""
    texts = [f"number {number}" for number in range(20)]

    def stop(progress):
        if progress.done == 7:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await warm(model, texts, concurrency=1, on_progress=stop)
    result = await warm(model, texts)

    assert (result.cached, result.stored) == (7, 13)
    assert len(model.echo.prompts) == 20


async def test_equal_requests_are_sent_once(model):
    """Equal requests need one call."""
    result = await warm(model, ["one"] * 5)

    assert model.echo.prompts == ["one"]
    assert (result.stored, result.cached) == (1, 4)


async def test_concurrency_is_used_and_not_exceeded(model):
    """``concurrency`` is the number of concurrent calls."""
    await warm(model, [f"number {number}" for number in range(12)], concurrency=3)

    assert model.echo.most_concurrent == 3


async def test_requests_are_consumed_one_at_a_time(model):
    """An endless generator of requests is not read ahead."""
    taken = []

    def endless():
        number = 0
        while True:
            taken.append(number)
            yield f"number {number}"
            number += 1

    def stop(progress):
        if progress.done == 5:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await warm(model, endless(), concurrency=2, on_progress=stop)

    assert len(taken) <= 7


async def test_progress_is_reported_after_each_request(model):
    """``on_progress`` receives the progress so far."""
    reports = []

    result = await warm(model, ["one", "two", "three"], on_progress=reports.append)

    assert [progress.done for progress in reports] == [1, 2, 3]
    assert reports[-1] == result


async def test_the_cost_is_that_of_the_calls(model):
    """Cached requests cost nothing."""
    await warm(model, ["one"])

    result = await warm(model, ["one", "two", "three"])

    # Two calls at the list price of gpt-4o: 1,000 input tokens at $2.50 per million, 100 output tokens at $10.
    assert (result.input_tokens, result.output_tokens, result.unpriced) == (2000, 200, 0)
    assert result.dollars == pytest.approx(0.007)


async def test_an_unknown_price_is_not_zero(make_model):
    """Calls to a model that the price table does not include are counted as unpriced."""
    result = await warm(make_model("a-model-of-mine"), ["one"])

    assert (result.dollars, result.unpriced) == (0.0, 1)


async def test_a_failure_does_not_stop_the_others(model):
    """A failure is reported with the position of the request and the error."""
    result = await warm(model, ["one", "fail", "two"])

    assert result.stored == 2
    (failure,) = result.failures
    assert failure.position == 1
    assert isinstance(failure.error, ConnectionError)


async def test_failures_in_a_row_end_the_warm_up(model):
    """A wrong API key is not tried for a thousand requests."""
    result = await warm(model, [f"fail {number}" for number in range(1000)], concurrency=4)

    assert result.gave_up
    assert len(model.echo.prompts) <= 14


async def test_a_response_that_is_not_stored_is_counted(model):
    """A response that is cut off at the token limit is not stored."""
    result = await warm(model, ["cut"])

    assert (result.stored, result.unstored) == (0, 1)


async def test_a_request_that_cannot_be_keyed_is_not_sent(model):
    """The provider is not called for a response that cannot be stored."""
    request = {"messages": [{"role": "user", "content": "one"}], "extra": object()}

    result = await warm(model, [request])

    assert model.echo.prompts == []
    assert isinstance(result.failures[0].error, UncacheableRequestError)


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
    """The provider is not called for responses that would be discarded."""
    model = make_model(**settings)

    with pytest.raises(ConfigError, match=message):
        await warm(model, ["one"])
    with pytest.raises(ConfigError, match=message):
        estimate(model, ["one"])
    assert model.echo.prompts == []


async def test_refresh_sends_every_request(make_model):
    """In refresh mode, no request is skipped."""
    await warm(make_model(), ["one"])

    result = await warm(make_model(mode="refresh"), ["one"])

    assert (result.cached, result.stored) == (0, 1)


@pytest.mark.parametrize("value", [3, None, {"prompt": "one"}, {"messages": "one"}, {1, 2}])
async def test_a_request_of_another_form_is_refused(model, value):
    """A value that is not a request is an error of the caller."""
    with pytest.raises(TypeError, match="a request must be a string, a list of messages, or"):
        await warm(model, [value])


async def test_a_concurrency_of_zero_is_refused(model):
    """``concurrency`` must be at least 1."""
    with pytest.raises(ValueError, match="concurrency=0: must be at least 1"):
        await warm(model, ["one"], concurrency=0)


async def test_the_retries_of_the_sdk_hold(tmp_path):
    """The SDK retries a rate-limited request, and the response is stored."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path / "cache")
    with StandInProvider() as provider:
        provider.fail_next(429, times=2)
        args = {"base_url": provider.base_url, "api_key": "any", "max_retries": 3}
        async with OpenAIModel("gpt-4o", cache_config=config, client_args=args) as model:
            result = await warm(model, ["one"], concurrency=1)

    assert (result.stored, result.failures, provider.calls) == (1, (), 3)
