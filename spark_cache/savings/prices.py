"""What calls cost by the list price, from the dated price table of the package ``genai-prices`` (offline)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Consumed", "price", "price_table"]

_PROVIDERS = {"bedrock": "aws", "gemini": "google"}
"""What the price table calls a provider, where it is not our name for it."""


class Consumed(Protocol):
    """What is paid for: the tokens of a :class:`spark_cache.models.Usage`, or of many."""

    @property
    def input_tokens(self) -> int:
        """Tokens of the request, cached ones included."""

    @property
    def output_tokens(self) -> int:
        """Tokens of the answer, reasoning included."""

    @property
    def cached_tokens(self) -> int | None:
        """Tokens of the request that the provider had in its own prompt cache; None where it does not say."""

    @property
    def cache_write_tokens(self) -> int | None:
        """Tokens of the request that the provider put into its own prompt cache; None where it does not say."""


def price(
    provider: str, model_id: str, usage: Consumed | None, *, calls: int = 1, when: datetime | None = None
) -> Decimal | None:
    """The price of calls in US dollars.

    Args:
        provider: The provider.
        model_id: Its model.
        usage: What the calls consumed together; None where that is not known.
        calls: How many calls there were, of about one length: long inputs may have another price than short ones.
        when: When they were made; None is now.

    Returns:
        The price; None where the usage is not known or cannot be, or the table has no price for the tokens of this model.
    """
    if usage is None:
        return None
    import genai_prices  # noqa: PLC0415 - a large table, for those who ask for prices

    try:
        found = genai_prices.calc_price(
            # The average call, so that neither the table's steps nor its price of a request are applied to the sum.
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
        # The second is for usage that cannot be, such as more cached tokens than there are.
        return None
    # A model that is sold by the hour is in the table too: its tokens are not free, they have no price.
    return None if found.model_price.input_mtok is None else found.total_price * calls


def price_table() -> str:
    """The name and the version of the price table."""
    import genai_prices  # noqa: PLC0415 - see price

    return f"genai-prices {genai_prices.__version__}"
