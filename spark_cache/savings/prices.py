"""List prices of calls, from the dated price table of the ``genai-prices`` package. Works offline."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Consumed", "price", "price_table"]

_PROVIDERS = {"bedrock": "aws", "gemini": "google"}
"""Names of providers in the price table, where they differ from the names used here."""


class Consumed(Protocol):
    """The tokens of one or more calls, such as a :class:`spark_cache.models.Usage`."""

    @property
    def input_tokens(self) -> int:
        """Tokens of the request, including cached tokens."""

    @property
    def output_tokens(self) -> int:
        """Tokens of the response, including reasoning."""

    @property
    def cached_tokens(self) -> int | None:
        """Tokens of the request that the provider read from its prompt cache. None if it does not report them."""

    @property
    def cache_write_tokens(self) -> int | None:
        """Tokens of the request that the provider wrote to its prompt cache. None if it does not report them."""


def price(
    provider: str, model_id: str, usage: Consumed | None, *, calls: int = 1, when: datetime | None = None
) -> Decimal | None:
    """Return the price of calls in US dollars.

    Args:
        provider: The provider.
        model_id: The model.
        usage: The total usage of the calls. None if it is not known.
        calls: The number of calls. They should be of similar length, because long inputs may have a different price.
        when: When the calls were made. None means now.

    Returns:
        The price. None if the usage is unknown or impossible, or if the table has no token price for this model.
    """
    if usage is None:
        return None
    import genai_prices  # noqa: PLC0415 - a large table, loaded only for prices

    try:
        found = genai_prices.calc_price(
            # The average call: the steps and the price per request of the table apply to one call, not to the sum.
            genai_prices.Usage(
                input_tokens=Decimal(usage.input_tokens) / calls,
                output_tokens=Decimal(usage.output_tokens) / calls,
                cache_read_tokens=Decimal(usage.cached_tokens or 0) / calls,
                cache_write_tokens=Decimal(usage.cache_write_tokens or 0) / calls,
            ),
            model_ref=model_id,
            provider_id=_PROVIDERS.get(provider, provider),
            genai_request_timestamp=when,
        )
    except (LookupError, ValueError):
        # ValueError means an impossible usage, such as more cached tokens than input tokens.
        return None
    # The table also has models that are billed by the hour. Their tokens are not free, they have no price.
    return None if found.model_price.input_mtok is None else found.total_price * calls


def price_table() -> str:
    """Return the name and the version of the price table."""
    import genai_prices  # noqa: PLC0415 - see price

    return f"genai-prices {genai_prices.__version__}"
