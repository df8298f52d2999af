"""How requests to Anthropic are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.providers.anthropic.messages import body_of
from spark_cache.providers.checks import refuse_reserved, refuse_stream
from spark_cache.providers.dialect import Dialect
from spark_cache.providers.sdk import Sdk
from spark_cache.providers.snapshot import Rules

if TYPE_CHECKING:
    from spark_cache.providers.dialect import Arguments

__all__ = ["SDK", "AnthropicDialect"]

SDK = Sdk(
    module="anthropic",
    client="AsyncAnthropic",
    own_address="https://api.anthropic.com",
    variables="ANTHROPIC",
    own_headers={"anthropic-version": "2026-10-21"},
    choose_address=("config", "profile"),
)

_MAX_TOKENS = 4096
"""The provider requires a limit with each request. Every model, even the oldest, accepts this one."""

_RESERVED = frozenset({"model", "messages"})


class AnthropicDialect(Dialect):
    """How requests to Anthropic's Messages API are written."""

    name = "anthropic"
    rules = Rules()
    content_rules = rules._replace(read=True)

    def is_not_given(self, value: object) -> bool:
        return SDK.is_not_given(value)

    def can_matter(self, header: str, value: Any) -> bool:
        return SDK.can_matter(header, value)

    def checked(self, parameters: dict[str, Any], operation: str) -> dict[str, Any]:  # noqa: ARG002 - text and JSON alike
        if parameters:
            refuse_reserved(parameters, _RESERVED)
            refuse_stream(parameters)
            betas = parameters.pop("betas", None)
            if betas:
                # The SDK's beta API sends them like this.
                extra = {
                    "extra_headers": {"anthropic-beta": ",".join(betas)},
                    "extra_query": {"beta": "true"},
                }
                parameters |= {
                    name: {**value, **(parameters.get(name) or {})} for name, value in extra.items()
                }
        if parameters.get("max_tokens") is None:
            parameters["max_tokens"] = _MAX_TOKENS
        return parameters

    def body(self, arguments: Arguments) -> dict[str, Any]:
        return body_of(arguments)
