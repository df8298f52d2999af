"""The estimate of a warm-up distinguishes what is known, estimated and unknown."""

from __future__ import annotations

import pytest

from spark_cache import CacheConfig, OpenAIModel
from spark_cache.warmup import estimate

USER = "user"


@pytest.fixture
def model(tmp_path):
    config = CacheConfig(enabled=True, cache_dir=tmp_path / "cache")
    return OpenAIModel("gpt-4o", cache_config=config)


def question(text, **parameters):
    return {"messages": [{"role": USER, "content": text}], **parameters}


def store_response(model, request, output_tokens):
    """Store a response with this number of tokens."""
    usage = {"input_tokens": 10, "output_tokens": output_tokens, "total_tokens": 10 + output_tokens}
    answer = {"content": "Yes.", "stop_reason": "end_turn", "usage": usage}
    assert model.cache.set(model.cache_key(**request), "openai", "gpt-4o", None, answer)


def test_missing_requests_are_counted_once(model):
    """Equal requests need one call, and a cached request needs none."""
    store_response(model, question("one"), 100)

    found = estimate(model, ["one", "two", "two", "three"])

    assert (found.cached, found.missing) == (1, 2)


def test_the_input_is_estimated_by_the_length_of_its_text(model):
    """Four characters count as one token in messages, prompts and tools."""
    request = question("word " * 80, system_prompt="text " * 80, tool_specs=[{"description": "tool " * 80}])

    assert estimate(model, [request]).input_tokens == (1200 + len(USER)) // 4


def test_images_are_left_out_and_counted(model):
    """The tokens of an image do not depend on the length of its base64 text."""
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'A' * 9000}"}}
    request = {"messages": [{"role": USER, "content": [image]}]}

    found = estimate(model, [request])

    assert found.attachments == 1
    assert found.input_tokens < 10


def test_the_output_is_estimated_by_cached_responses(model):
    """New responses are assumed to be as long as the average cached one."""
    store_response(model, question("one"), 100)
    store_response(model, question("two"), 300)

    assert estimate(model, ["one", "two", "three", "four", "five"]).output_tokens == 600


def test_without_a_cached_response_the_output_is_unknown(model):
    """If nothing is cached, the output cannot be estimated."""
    found = estimate(model, ["one"])

    assert (found.output_tokens, found.most_output_tokens, found.most_dollars) == (None, None, None)


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_limits_bound_the_output(model, limit):
    """If every request has a limit, the cost has a maximum."""
    found = estimate(model, [question("word " * 800, **{limit: 50}), question("two", **{limit: 70})])

    assert found.most_output_tokens == 120
    # The list price of gpt-4o is $2.50 per million input tokens and $10 per million output tokens.
    assert found.most_dollars == pytest.approx(found.input_tokens * 2.5e-6 + 120 * 10e-6)


def test_one_request_without_a_limit_leaves_no_bound(model):
    """If one request has no limit, the maximum output is unknown."""
    assert estimate(model, [question("one", max_tokens=50), "two"]).most_output_tokens is None


def test_a_model_without_a_price_has_no_cost(tmp_path):
    """An unknown price is None, not zero."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path / "cache")

    assert estimate(OpenAIModel("a-model-of-mine", cache_config=config), ["one"]).dollars is None


def test_requests_that_cannot_be_keyed_are_counted(model):
    """They would not be sent."""
    found = estimate(model, [question("one", extra=object()), "two"])

    assert (found.uncacheable, found.missing) == (1, 1)


def test_an_estimate_writes_nothing(model, tmp_path):
    """An estimate does not create the cache directory."""
    estimate(model, ["one"])

    assert not (tmp_path / "cache").exists()
