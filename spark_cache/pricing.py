"""What a call costs, by the price table of the package ``genai-prices`` (offline)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spark_cache.models import Usage

__all__ = ["price"]

_PROVIDERS = {"bedrock": "aws", "gemini": "google"}
"""What the price table calls a provider, where it is not our name for it."""


def price(provider: str, model_id: str, usage: Usage | None) -> float | None:
    """The price of a call in US dollars; None where the table does not know the model, or the usage tells no price."""
    if usage is None:
        return None
    import genai_prices  # noqa: PLC0415 - a large table, for those who ask for prices

    try:
        return float(
            genai_prices.calc_price(
                genai_prices.Usage(
                    input_tokens=usage.input_tokens,
                    output_tokens=usage.output_tokens,
                    cache_read_tokens=usage.cached_tokens,
                ),
                model_ref=model_id,
                provider_id=_PROVIDERS.get(provider, provider),
            ).total_price
        )
    except (LookupError, ValueError):
        # The second is for usage that cannot be, such as more cached tokens than there are.
        return None
