"""The requests of plain models: what a program that holds only the arguments of a call would send."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from spark_cache.providers.dialect import (
    Added,
    Arguments,
    build_request,
    generic_dialect,
    given_parameters,
    plain_arguments,
)
from spark_cache.providers.snapshot import snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.providers.dialect import Dialect
    from spark_cache.types import Request

__all__ = ["near_name", "plain_request"]

_ADDRESSES = {
    "anthropic": ("ANTHROPIC_BASE_URL",),
    "bedrock": ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME",),
    "gemini": ("GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL"),
    "openai": ("OPENAI_BASE_URL",),
}
"""The variables in which each provider's SDK looks for an address."""

_KNOWN = tuple(_ADDRESSES)

_OPTIONS_OF_A_CALL = frozenset({"cache", "sensitive", "stream", "stream_options"})
"""What a call of a model accepts, and what does not change its response."""


# A program that uses another provider asks for every key.
@lru_cache(maxsize=64)
def near_name(provider: str) -> str | None:
    """Return the provider that a name is probably meant for; None if the name is known, or like none that is.

    Args:
        provider: The name.
    """
    if provider in _KNOWN:
        return None
    return next(iter(get_close_matches(provider.lower(), _KNOWN, n=1, cutoff=0.75)), None)


def plain_request(
    provider: str,
    model_id: str,
    messages: Any,
    system_prompt: Any,
    tool_specs: Any,
    tool_choice: Any,
    output_schema: Any,
    operation: str,
    endpoint: str | None,
    sample: int | None,
    parameters: Mapping[str, Any],
    environ: Mapping[str, str],
) -> Request:
    """Return the request that a model without further arguments would send.

    Args:
        provider: The provider. One that is not known has the generic form: the arguments by their names.
        model_id: The model.
        messages: The conversation, or the text of a single message; of an embedding, the text.
        system_prompt: System instructions in addition to the messages.
        tool_specs: The tools that the model may call.
        tool_choice: The tool that the model should call.
        output_schema: The schema of a structured answer.
        operation: ``text``, ``json`` or ``embedding``.
        endpoint: The address, if the environment does not name it.
        sample: The number of this sample.
        parameters: All other parameters. ``api`` chooses one of OpenAI's.
        environ: The environment, from which the SDKs take addresses and headers.

    Raises:
        TypeError: ``messages`` or ``tool_specs`` of a known provider is not a list, or a parameter must be given elsewhere.
    """
    given = {name: value for name, value in parameters.items() if name not in _OPTIONS_OF_A_CALL}
    arguments = Arguments(
        model_id, messages, system_prompt, tool_specs, tool_choice, output_schema, operation, given
    )
    if provider not in _KNOWN:
        return _generic_request(provider, arguments, endpoint, sample)
    named: Any = endpoint
    is_address = isinstance(named, str)
    if is_address:
        environ = {**environ, **dict.fromkeys(_ADDRESSES[provider], named)}
    dialect, added = _known(provider, given, environ)
    if named is not None and not is_address:
        # It has no key, and the error says so.
        added = added._replace(endpoint=named)
    if operation == "embedding":
        plain = given_parameters(dialect, given, operation)
        text = str.__str__(messages) if isinstance(messages, str) else snapshot(messages, dialect.rules)
        arguments = Arguments(model_id, text, operation=operation, parameters=plain)
    else:
        if isinstance(messages, str):
            arguments = arguments._replace(messages=[{"role": "user", "content": messages}])
        arguments = plain_arguments(dialect, *arguments)
    return build_request(dialect, added, arguments, sample)


def _generic_request(
    provider: str, arguments: Arguments, endpoint: str | None, sample: int | None
) -> Request:
    dialect = generic_dialect(provider)
    named = ("messages", "system_prompt", "tool_specs", "tool_choice", "output_schema")
    plain = {name: snapshot(getattr(arguments, name), dialect.rules) for name in named}
    plain["parameters"] = given_parameters(dialect, arguments.parameters, arguments.operation)
    return build_request(dialect, Added(endpoint), arguments._replace(**plain), sample)


def _known(provider: str, parameters: dict[str, Any], environ: Mapping[str, str]) -> tuple[Dialect, Added]:
    """Return how a provider's requests are written, and what a client of its SDK adds; takes ``api`` out of the parameters."""
    if provider == "openai":
        from spark_cache.providers.openai import dialect as openai  # noqa: PLC0415 - a program uses one or two providers

        api = parameters.pop("api", "chat")
        openai.check_api(api)
        return openai.OpenAIDialect(api), openai.SDK.added(environ)
    if provider == "anthropic":
        from spark_cache.providers.anthropic import dialect as anthropic  # noqa: PLC0415 - the same

        return anthropic.AnthropicDialect(), anthropic.SDK.added(environ)
    if provider == "bedrock":
        from spark_cache.providers.bedrock.address import configured_address, endpoint_of  # noqa: PLC0415 - the same
        from spark_cache.providers.bedrock.dialect import BedrockDialect  # noqa: PLC0415 - the same

        return BedrockDialect(), Added(endpoint_of(configured_address(None, environ)))
    from spark_cache.providers.gemini.dialect import GeminiDialect, added_by  # noqa: PLC0415 - the same
    from spark_cache.providers.gemini.service import service_of  # noqa: PLC0415 - the same

    return GeminiDialect(), added_by(service_of(None, {}, environ))
