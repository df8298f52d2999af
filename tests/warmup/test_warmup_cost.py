"""What a warm-up would cost: known, guessed, or unknown, and never one for the other."""

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


def remember(model, asked, output_tokens):
    """Store an answer of so many tokens."""
    usage = {"input_tokens": 10, "output_tokens": output_tokens, "total_tokens": 10 + output_tokens}
    answer = {"content": "Yes.", "stop_reason": "end_turn", "usage": usage}
    assert model.cache.set(model.cache_key(**asked), "openai", "gpt-4o", None, answer)


def test_what_is_missing_is_counted_once(model):
    """Equal requests are one call, and a cached one is none."""
    remember(model, question("one"), 100)

    found = estimate(model, ["one", "two", "two", "three"])

    assert (found.cached, found.missing) == (1, 2)


def test_the_input_is_guessed_by_the_length_of_its_texts(model):
    """Four characters are a token, of messages, prompts and tools alike."""
    asked = question("word " * 80, system_prompt="text " * 80, tool_specs=[{"description": "tool " * 80}])

    assert estimate(model, [asked]).input_tokens == (1200 + len(USER)) // 4


def test_images_are_left_out_and_told(model):
    """The tokens of an image do not go by the length of its base64."""
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'A' * 9000}"}}
    asked = {"messages": [{"role": USER, "content": [image]}]}

    found = estimate(model, [asked])

    assert found.attachments == 1
    assert found.input_tokens < 10


def test_the_output_is_guessed_by_the_answers_there_are(model):
    """Answers to come are as long as the cached ones on average."""
    remember(model, question("one"), 100)
    remember(model, question("two"), 300)

    assert estimate(model, ["one", "two", "three", "four", "five"]).output_tokens == 600


def test_without_any_answer_the_output_is_unknown(model):
    """Where nothing is cached there is nothing to guess by."""
    found = estimate(model, ["one"])

    assert (found.output_tokens, found.most_output_tokens, found.most_dollars) == (None, None, None)


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_limits_bound_the_output(model, limit):
    """Where every request has a limit, the cost has one."""
    found = estimate(model, [question("word " * 800, **{limit: 50}), question("two", **{limit: 70})])

    assert found.most_output_tokens == 120
    # By the list price of gpt-4o: the input at $2.50 a million tokens, the output at $10.
    assert found.most_dollars == pytest.approx(found.input_tokens * 2.5e-6 + 120 * 10e-6)


def test_one_request_without_a_limit_leaves_no_bound(model):
    """The bound of some is not the bound of all."""
    assert estimate(model, [question("one", max_tokens=50), "two"]).most_output_tokens is None


def test_a_model_without_a_price_has_no_cost(tmp_path):
    """An unknown price is None, not zero."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path / "cache")

    assert estimate(OpenAIModel("a-model-of-mine", cache_config=config), ["one"]).dollars is None


def test_requests_that_cannot_be_keyed_are_told(model):
    """They would not be asked."""
    found = estimate(model, [question("one", extra=object()), "two"])

    assert (found.uncacheable, found.missing) == (1, 1)


def test_an_estimate_writes_nothing(model, tmp_path):
    """Looking leaves no trace."""
    estimate(model, ["one"])

    assert not (tmp_path / "cache").exists()
