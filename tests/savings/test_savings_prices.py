"""List prices of calls."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from spark_cache.models import Usage
from spark_cache.savings.prices import price

_THEN = datetime(2025, 11, 3, 12, tzinfo=UTC)


def _price(provider: str, model: str, inputs: int, outputs: int, cached: int = 0, **more) -> Decimal | None:
    consumed = Usage(inputs, outputs, inputs + outputs, cached_tokens=cached)
    return price(provider, model, consumed, **{"when": _THEN, **more})


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [((10**6, 0), "2.5"), ((0, 10**6), "10"), ((10**6, 0, 10**6), "1.25"), ((0, 0), "0")],
    ids=["input", "output", "cached at the provider", "nothing"],
)
def test_prices_of_tokens(tokens, expected):
    """Input, output and cached tokens have the prices of the table."""
    assert _price("openai", "gpt-4o", *tokens) == Decimal(expected)


def test_price_of_cache_writes():
    """Tokens that the provider writes to its prompt cache have a separate price."""
    usage = Usage(10**6, 0, 10**6, cache_write_tokens=10**6)
    cost = price("anthropic", "claude-sonnet-4-5-20250929", usage, calls=10, when=_THEN)
    assert cost == Decimal("3.75")


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-mini-2024-07-18"),
        ("anthropic", "claude-sonnet-4-5-20250929"),
        ("bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
        ("bedrock", "eu.amazon.nova-pro-v1:0"),
        ("gemini", "gemini-2.5-flash"),
        ("openai", "text-embedding-3-small"),
    ],
)
def test_models_of_all_providers_have_prices(provider, model):
    """The table knows models of all four providers under their API names."""
    cost = _price(provider, model, 1000, 0)
    assert cost is not None
    assert cost > 0


@pytest.mark.parametrize(
    ("provider", "model", "tokens"),
    [
        ("openai", "my-own-model", (10, 1)),
        ("my-own-provider", "gpt-4o", (10, 1)),
        ("", "", (10, 1)),
        ("openai", "whisper-1", (10, 1)),
        ("openai", "gpt-4o", (10, 1, 20)),
        ("openai", "gpt-4o", (-10, 1)),
    ],
    ids=[
        "model",
        "provider",
        "empty names",
        "billed by the hour",
        "more cached than input",
        "negative",
    ],
)
def test_unknown_is_not_zero(provider, model, tokens):
    """A price that the table does not have is None, not zero."""
    assert _price(provider, model, *tokens) is None


def test_without_usage_there_is_no_price():
    """Without usage the price is None."""
    assert price("openai", "gpt-4o", None) is None


def test_many_calls_cost_what_each_costs():
    """Several short calls are not priced as one long call."""
    one = _price("anthropic", "claude-sonnet-4-5", 150_000, 1_000)
    assert one == Decimal("0.465")
    assert _price("anthropic", "claude-sonnet-4-5", 450_000, 3_000, calls=3) == 3 * one


@pytest.mark.parametrize(("day", "expected"), [(9, "10"), (10, "2")])
def test_prices_have_a_date(day, expected):
    """A model whose price changed is priced as of the given day."""
    when = datetime(2025, 6, day, 12, tzinfo=UTC)
    assert _price("openai", "o3", 10**6, 0, when=when) == Decimal(expected)
