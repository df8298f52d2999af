"""OpenAI models through the official SDK: chat completions or the Responses API."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import orjson

from spark_cache.models.base import Model
from spark_cache.models.sdk_client import SdkClient, arguments_of
from spark_cache.providers.json_values import bare_error
from spark_cache.providers.openai.azure import AZURE, is_azure
from spark_cache.providers.openai.dialect import SDK, OpenAIDialect, check_api
from spark_cache.providers.openai.reading import OpenAIReading
from spark_cache.providers.response import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from typing import Unpack

    from openai import AsyncOpenAI
    from openai._legacy_response import LegacyAPIResponse

    from spark_cache.models.options import ModelOptions
    from spark_cache.providers.dialect import Added, Dialect
    from spark_cache.providers.sdk import Sdk
    from spark_cache.types import Request

__all__ = ["OpenAIModel", "OpenAIProvider"]


class _Api(NamedTuple):
    """What differs between the two APIs: the SDK's resource, and what a stream needs to report its usage."""

    resource: Callable[[AsyncOpenAI], Any]
    stream_options: Mapping[str, Any] | None


_APIS = MappingProxyType(
    {
        "chat": _Api(lambda client: client.chat.completions, {"include_usage": True}),
        "responses": _Api(lambda client: client.responses, None),
    }
)


class OpenAIModel(Model):
    """A model behind one of OpenAI's APIs, or behind a compatible service.

    Args:
        model_id: The name of the model, such as ``gpt-4o``.
        api: The API for text, JSON and streams: ``chat`` (chat completions) or ``responses``. The two never share an entry;
            ``responses`` is part of the key, as a parameter ``api``.
        client: An ``openai.AsyncOpenAI`` of yours, for one event loop. You close it.
        client_args: Arguments for the clients that the model creates, one for each event loop, when the first call is sent:
            ``api_key``, ``base_url``, … or those of ``AsyncAzureOpenAI``: ``azure_endpoint``, ``api_version``, … The environment is
            read once, at the first call.
        **options: See :class:`spark_cache.models.ModelOptions`.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: ``client`` is not asynchronous, or an option does not exist.
        ValueError: Both ``client`` and ``client_args`` are given, ``client_args`` has an argument by which the SDK chooses the
            address, or ``api`` is neither of the two.
    """

    provider = "openai"

    def __init__(
        self,
        model_id: str,
        *,
        api: Literal["chat", "responses"] = "chat",
        client: AsyncOpenAI | None = None,
        client_args: Mapping[str, Any] | None = None,
        **options: Unpack[ModelOptions],
    ) -> None:
        check_api(api)
        self.api = api
        super().__init__(
            model_id, OpenAIProvider(SdkClient(_sdk_of(client_args), client, client_args), api), **options
        )


class OpenAIProvider(OpenAIReading):
    """OpenAI behind its SDK; arguments as for the model."""

    # The API accepts 300,000 tokens a call, and hardly any text has more tokens than characters.
    embed_characters: ClassVar[int | None] = 300_000

    def __init__(self, client: SdkClient, api: str) -> None:
        self._client = client
        self._api_name = api
        self._api = _APIS[api]
        self._dialect = OpenAIDialect(api)
        super().__init__(api)

    def __getstate__(self) -> tuple[SdkClient, str]:
        return self._client, self._api_name

    def __setstate__(self, state: tuple[SdkClient, str]) -> None:
        OpenAIProvider.__init__(self, *state)

    async def aclose(self) -> None:
        await self._client.aclose()

    # -- requests ----------------------------------------------------------------------------------------------

    def added(self) -> Added:
        return self._client.added()

    @property
    def dialect(self) -> Dialect:
        return self._dialect

    def embed_batch(self, model_id: str) -> int:  # noqa: ARG002 - the same for all models
        return 2048

    # -- calls -------------------------------------------------------------------------------------------------

    async def call(self, request: Request) -> Any:
        create = self._resource().create
        arguments = arguments_of(request, create)
        arguments.pop("stream_options", None)
        response = await self._client.send(lambda: create(**arguments))
        try:
            raw = orjson.loads(response.content)
        except ValueError:
            raw = _unusual_json(response)
        error = bare_error(raw, *self.error_unless)
        if error is not None:
            raise _error_of(error, response)
        return raw

    async def stream(self, request: Request) -> AsyncGenerator[Any, None]:
        create = self._resource().create
        from openai import AsyncStream  # noqa: PLC0415 - a hit needs no SDK

        arguments = arguments_of(request, create)
        # The usage, so that the stream also serves callers who want the whole response.
        options = arguments.pop("stream_options", self._api.stream_options)
        if options is not None:
            arguments["stream_options"] = options
        response = await self._client.send(lambda: create(**arguments, stream=True))
        # The events stay plain JSON values. The SDK still separates them, and raises the errors among them.
        async with response.parse(to=AsyncStream[object]) as events:
            async for event in events:
                yield event

    async def embed(
        self, request: Request, texts: Sequence[str]
    ) -> tuple[Sequence[Sequence[float]], Usage | None]:
        create = self._client.client().embeddings.create
        arguments = {**arguments_of(request, create), "input": list(texts)}
        arguments.pop("stream_options", None)
        response = await self._client.send(lambda: create(**arguments))
        vectors = [one.embedding for one in sorted(response.data, key=lambda one: one.index)]
        used = response.usage
        # Compatible services may leave it out.
        usage = Usage(input_tokens=used.prompt_tokens, total_tokens=used.total_tokens) if used else None
        return vectors, usage

    def _resource(self) -> Any:
        return self._api.resource(self._client.client()).with_raw_response


def _sdk_of(client_args: Mapping[str, Any] | None) -> Sdk:
    return AZURE if client_args and is_azure(client_args) else SDK


def _error_of(error: Any, response: LegacyAPIResponse[Any]) -> Exception:
    """Return the SDK's exception for an error that a compatible service sent with the status 200."""
    from openai import APIError  # noqa: PLC0415 - only for such a response

    message = error.get("message") if isinstance(error, dict) else error
    return APIError(str(message), response.http_request, body=error)


def _unusual_json(response: LegacyAPIResponse[Any]) -> Any:
    """Parse JSON that only lenient parsers accept, such as the SDK's: NaN, or half a character where a response was truncated."""
    try:
        return json.loads(response.content)
    except ValueError:
        from openai import APIResponseValidationError  # noqa: PLC0415 - only for an invalid response

        raise APIResponseValidationError(response=response.http_response, body=response.text) from None
