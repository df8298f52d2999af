"""What calls cost by the price table."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from spark_cache.models import Usage
from spark_cache.savings.prices import price

_THEN = datetime(2025, 11, 3, 12, tzinfo=UTC)


def _price(provider: str, model: str, given: int, written: int, cached: int = 0, **more) -> Decimal | None:
    consumed = Usage(given, written, given + written, cached_tokens=cached)
    return price(provider, model, consumed, **{"when": _THEN, **more})


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [((10**6, 0), "2.5"), ((0, 10**6), "10"), ((10**6, 0, 10**6), "1.25"), ((0, 0), "0")],
    ids=["input", "output", "cached at the provider", "nothing"],
)
def test_prices_of_tokens(tokens, expected):
    """Prices are those of the table for input, output and what the provider had cached."""
    assert _price("openai", "gpt-4o", *tokens) == Decimal(expected)


def test_price_of_what_the_provider_keeps():
    """Input that the provider puts into its prompt cache costs what the table says of that, and not the price of input."""
    kept = Usage(10**6, 0, 10**6, cache_write_tokens=10**6)
    cost = price("anthropic", "claude-sonnet-4-5-20250929", kept, calls=10, when=_THEN)
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
    """The table knows the models of all four providers by the names that they are asked under."""
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
        "no names",
        "sold by the hour",
        "more cached than there is",
        "less than nothing",
    ],
)
def test_unknown_is_not_zero(provider, model, tokens):
    """What the table cannot tell is unknown."""
    assert _price(provider, model, *tokens) is None


def test_without_usage_there_is_no_price():
    """What a call consumed has to be known."""
    assert price("openai", "gpt-4o", None) is None


def test_many_calls_cost_what_each_costs():
    """A sum of short calls is not priced as one long call."""
    one = _price("anthropic", "claude-sonnet-4-5", 150_000, 1_000)
    assert one == Decimal("0.465")
    assert _price("anthropic", "claude-sonnet-4-5", 450_000, 3_000, calls=3) == 3 * one


@pytest.mark.parametrize(("day", "expected"), [(9, "10"), (10, "2")])
def test_prices_have_a_date(day, expected):
    """A model whose price changed has the price of the day."""
    when = datetime(2025, 6, day, 12, tzinfo=UTC)
    assert _price("openai", "o3", 10**6, 0, when=when) == Decimal(expected)
