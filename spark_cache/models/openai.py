"""OpenAI models through the official SDK: chat completions or the Responses API."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import orjson

from spark_cache.models.base import Model
from spark_cache.models.sdk_client import Sdk, SdkClient
from spark_cache.models.sdks import refuse_reserved, refuse_stream
from spark_cache.providers.base import Provider
from spark_cache.providers.openai import chat, chat_stream, responses, responses_stream
from spark_cache.providers.response import ModelResponse, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from typing import Unpack

    from openai import AsyncOpenAI
    from openai._legacy_response import LegacyAPIResponse

    from spark_cache.models.options import ModelOptions
    from spark_cache.providers.stream import StreamEvent
    from spark_cache.types import Request

__all__ = ["OpenAIModel", "OpenAIProvider"]

_SDK = Sdk(
    module="openai",
    client="AsyncOpenAI",
    own_address="https://api.openai.com/v1",
    variables="OPENAI",
    own_headers={},
    choose_address=("data_residency", "provider"),
)


class _Api(NamedTuple):
    """What differs between the two APIs: the SDK's resource, and how its JSON is written and read."""

    resource: Callable[[AsyncOpenAI], Any]
    reserved: frozenset[str]
    body: Callable[[Request], dict[str, Any]]
    stream_body: Callable[[Request], dict[str, Any]]
    read: Callable[[Any], ModelResponse]
    stop_reasons: Callable[[Any], Sequence[str | None]]
    turn: Callable[[Any], Sequence[Any] | None]
    state: Callable[[Request], str | None]
    read_event: Callable[[Any], StreamEvent]
    gather: Callable[[Sequence[Any]], Any | None]
    events_of: Callable[[Any], Sequence[Any]]


_APIS = MappingProxyType(
    {
        "chat": _Api(
            resource=lambda client: client.chat.completions,
            reserved=frozenset({"api", "messages", "model"}),
            body=chat.body_of,
            stream_body=chat_stream.body_of,
            read=chat.read_answer,
            stop_reasons=chat.stop_reasons,
            turn=chat.turn_of,
            state=lambda _: None,
            read_event=chat_stream.event_of,
            gather=chat_stream.gather,
            events_of=chat_stream.events_of,
        ),
        "responses": _Api(
            resource=lambda client: client.responses,
            reserved=frozenset({"api", "input", "model"}),
            body=responses.body_of,
            stream_body=responses_stream.body_of,
            read=responses.read_answer,
            stop_reasons=responses.stop_reasons,
            turn=responses.turn_of,
            state=responses.state_of,
            read_event=responses_stream.event_of,
            gather=responses_stream.gather,
            events_of=responses_stream.events_of,
        ),
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
            ``api_key``, ``base_url``, … The environment is read once, at the first call.
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
        if api not in _APIS:
            raise ValueError(f"api={api!r} must be {' or '.join(map(repr, _APIS))}")
        self.api = api
        super().__init__(model_id, OpenAIProvider(SdkClient(_SDK, client, client_args), api), **options)


class OpenAIProvider(Provider):
    """OpenAI behind its SDK; arguments as for the model."""

    name: ClassVar[str] = "openai"
    # The API accepts 300,000 tokens a call, and hardly any text has more tokens than characters.
    embed_characters: ClassVar[int | None] = 300_000

    def __init__(self, client: SdkClient, api: str) -> None:
        self._client = client
        self._api_name = api
        self._api = _APIS[api]

    def __getstate__(self) -> tuple[SdkClient, str]:
        return self._client, self._api_name

    def __setstate__(self, state: tuple[SdkClient, str]) -> None:
        OpenAIProvider.__init__(self, *state)

    async def aclose(self) -> None:
        await self._client.aclose()

    # -- requests ----------------------------------------------------------------------------------------------

    def endpoint(self) -> str | None:
        return self._client.endpoint()

    def parameters(self, given: dict[str, Any], operation: str) -> dict[str, Any]:
        if given:
            refuse_reserved(given, self._api.reserved)
            refuse_stream(given)
            if operation == "embedding" and given.get("encoding_format", "float") != "float":
                raise TypeError("leave out encoding_format: vectors are always returned as lists of numbers")
        self._client.add_to(given)
        # Embeddings have one API. A response of one text API cannot serve the other.
        if self._api_name != "chat" and operation != "embedding":
            given["api"] = self._api_name
        return given

    def is_not_given(self, value: object) -> bool:
        return self._client.is_not_given(value)

    def state_path(self, request: Request) -> str | None:
        return self._api.state(request)

    def embed_batch(self, model_id: str) -> int:  # noqa: ARG002 - the same for all models
        return 2048

    # -- calls -------------------------------------------------------------------------------------------------

    async def call(self, request: Request) -> Any:
        body = self._api.body(request)
        response = await self._client.send(lambda: self._resource().create(**body))
        try:
            return orjson.loads(response.content)
        except ValueError:
            return _unusual_json(response)

    async def stream(self, request: Request) -> AsyncGenerator[Any, None]:
        resource = self._resource()
        from openai import AsyncStream  # noqa: PLC0415 - a hit needs no SDK

        body = self._api.stream_body(request)
        response = await self._client.send(lambda: resource.create(**body, stream=True))
        # The events stay plain JSON values. The SDK still separates them, and raises the errors among them.
        async with response.parse(to=AsyncStream[object]) as events:
            async for event in events:
                yield event

    async def embed(
        self, model_id: str, texts: Sequence[str], parameters: Mapping[str, Any]
    ) -> tuple[Sequence[Sequence[float]], Usage | None]:
        embeddings = self._client.client().embeddings
        response = await self._client.send(
            lambda: embeddings.create(model=model_id, input=list(texts), **parameters)
        )
        vectors = [one.embedding for one in sorted(response.data, key=lambda one: one.index)]
        used = response.usage
        # Compatible services may leave it out.
        usage = Usage(input_tokens=used.prompt_tokens, total_tokens=used.total_tokens) if used else None
        return vectors, usage

    def _resource(self) -> Any:
        return self._api.resource(self._client.client()).with_raw_response

    # -- responses ---------------------------------------------------------------------------------------------

    def read(self, raw: Any) -> ModelResponse:
        return self._api.read(raw)

    def stop_reasons(self, response: ModelResponse) -> Sequence[str | None]:
        return self._api.stop_reasons(response.raw)

    def turn_of(self, response: ModelResponse) -> Sequence[Any] | None:
        return self._api.turn(response.raw)

    def read_event(self, raw_event: Any) -> StreamEvent:
        return self._api.read_event(raw_event)

    def gather(self, events: Sequence[Any]) -> Any | None:
        return self._api.gather(events)

    def events_of(self, raw: Any) -> Sequence[Any]:
        return self._api.events_of(raw)


def _unusual_json(response: LegacyAPIResponse[Any]) -> Any:
    """Parse JSON that only lenient parsers accept, such as the SDK's: NaN, or half a character where a response was truncated."""
    try:
        return json.loads(response.content)
    except ValueError:
        from openai import APIResponseValidationError  # noqa: PLC0415 - only for an invalid response

        raise APIResponseValidationError(response=response.http_response, body=response.text) from None
