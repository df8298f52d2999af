"""Anthropic models through the official SDK."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spark_cache.models.base import Model
from spark_cache.models.sdk_client import SdkClient, arguments_of
from spark_cache.providers.anthropic.dialect import SDK, AnthropicDialect
from spark_cache.providers.anthropic.reading import AnthropicReading
from spark_cache.providers.anthropic.stream import gather
from spark_cache.providers.json_values import bare_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from typing import Unpack

    from anthropic import AsyncAnthropic

    from spark_cache.models.options import ModelOptions
    from spark_cache.providers.dialect import Added, Dialect
    from spark_cache.types import Request

__all__ = ["AnthropicModel", "AnthropicProvider"]

_DIALECT = AnthropicDialect()

_NEEDS_STREAM = "Streaming is required"
"""How the SDK's error for a long request begins."""


class AnthropicModel(Model):
    """A model behind Anthropic's Messages API, or behind a compatible service.

    A call without ``max_tokens`` is sent with 4096. Parameters that the SDK does not know by name are sent all the same,
    and ``betas`` as the SDK's beta API sends them. ``get_json`` sends the schema in ``output_config``, the provider's own
    structured output. The SDK does not pass on the keep-alive events of a stream (``ping``).

    A paused turn (``pause_turn``) is complete as far as it goes, and stored. A call with ``container`` depends on state at the
    provider and is not cached. A file never changes, so a ``file_id`` is keyed by its name.

    Args:
        model_id: The name of the model, such as ``claude-sonnet-5``.
        client: An ``anthropic.AsyncAnthropic`` of yours, for one event loop. You close it.
        client_args: Arguments for the clients that the model creates, one for each event loop, when the first call is sent:
            ``api_key``, ``base_url``, … The environment is read once, at the first call.
        **options: See :class:`spark_cache.models.ModelOptions`.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: ``client`` is not asynchronous, or an option does not exist.
        ValueError: Both ``client`` and ``client_args`` are given, or ``client_args`` has an argument by which the SDK chooses
            the address.
    """

    provider = "anthropic"

    def __init__(
        self,
        model_id: str,
        *,
        client: AsyncAnthropic | None = None,
        client_args: Mapping[str, Any] | None = None,
        **options: Unpack[ModelOptions],
    ) -> None:
        super().__init__(model_id, AnthropicProvider(SdkClient(SDK, client, client_args)), **options)


class AnthropicProvider(AnthropicReading):
    """Anthropic behind its SDK; arguments as for the model."""

    def __init__(self, client: SdkClient) -> None:
        self._client = client

    async def aclose(self) -> None:
        await self._client.aclose()

    # -- requests ----------------------------------------------------------------------------------------------

    def added(self) -> Added:
        return self._client.added()

    @property
    def dialect(self) -> Dialect:
        return _DIALECT

    # -- responses ---------------------------------------------------------------------------------------------

    async def call(self, request: Request) -> Any:
        messages = self._client.client().messages
        arguments = arguments_of(request, messages.create)
        try:
            response = await self._client.send(lambda: messages.with_raw_response.create(**arguments))
        except ValueError as error:
            if not str(error).startswith(_NEEDS_STREAM):
                raise
            # The SDK sends a request that may take longer than ten minutes only as a stream.
            whole = gather([event async for event in self.stream(request)])
            if whole is None:
                raise _broken_off() from None
            return whole
        try:
            raw = json.loads(response.http_response.content)
        except ValueError:
            from anthropic import APIResponseValidationError  # noqa: PLC0415 - only for an invalid response

            raise APIResponseValidationError(
                response=response.http_response, body=response.http_response.text
            ) from None
        told = bare_error(raw, *self.error_unless)
        if told is not None:
            from anthropic import APIError  # noqa: PLC0415 - only for such a response

            message = told.get("message") if isinstance(told, dict) else told
            raise APIError(str(message), response.http_request, body=raw)
        return raw

    async def stream(self, request: Request) -> AsyncGenerator[Any, None]:
        messages = self._client.client().messages
        from anthropic import AsyncStream  # noqa: PLC0415 - a hit needs no SDK

        arguments = arguments_of(request, messages.create)
        stream = await self._client.send(lambda: messages.create(**arguments, stream=True))
        # The SDK's own objects drop unknown fields. Cast to plain objects, the events stay as they were sent.
        async with AsyncStream(
            cast_to=object, response=stream.response, client=self._client.client()
        ) as events:
            async for event in events:
                yield event


def _broken_off() -> Exception:
    from anthropic import AnthropicError  # noqa: PLC0415 - only for a stream that is cut

    return AnthropicError("the stream ended before the response was complete")
