"""OpenAI's models, through the official SDK: chat completions, or the Responses interface."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import orjson

from spark_cache.models.base import Model
from spark_cache.models.sdk_client import Sdk, SdkClient
from spark_cache.models.sdks import refuse_given_by_place, refuse_stream
from spark_cache.providers.openai import chat, chat_stream, responses, responses_stream
from spark_cache.providers.response import ModelResponse, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from os import PathLike

    from openai import AsyncOpenAI
    from openai._legacy_response import LegacyAPIResponse

    from spark_cache.config import CacheConfig
    from spark_cache.providers.stream import StreamEvent
    from spark_cache.types import Request

__all__ = ["OpenAIModel"]

_SDK = Sdk(
    module="openai",
    client="AsyncOpenAI",
    own_address="https://api.openai.com/v1",
    variables="OPENAI",
    own_headers=frozenset({"openai-organization", "openai-project"}),
    choose_address=("data_residency", "provider"),
)


class _Interface(NamedTuple):
    """What differs between the interfaces: what a call is named, and how its JSON is written and read."""

    resource: Callable[[AsyncOpenAI], Any]
    given_by_place: frozenset[str]
    body: Callable[[Request], dict[str, Any]]
    stream_body: Callable[[Request], dict[str, Any]]
    read: Callable[[Any], ModelResponse]
    stop_reasons: Callable[[Any], Sequence[str | None]]
    turn: Callable[[Any], Sequence[Any] | None]
    state: Callable[[Request], str | None]
    event: Callable[[Any], StreamEvent]
    gather: Callable[[Sequence[Any]], Any | None]
    events_of: Callable[[Any], Sequence[Any]]


_INTERFACES = MappingProxyType(
    {
        "chat": _Interface(
            resource=lambda client: client.chat.completions,
            given_by_place=frozenset({"api", "messages", "model"}),
            body=chat.body_of,
            stream_body=chat_stream.body_of,
            read=chat.read_answer,
            stop_reasons=chat.stop_reasons,
            turn=chat.turn_of,
            state=lambda _: None,
            event=chat_stream.event_of,
            gather=chat_stream.gather,
            events_of=chat_stream.events_of,
        ),
        "responses": _Interface(
            resource=lambda client: client.responses,
            given_by_place=frozenset({"api", "input", "model"}),
            body=responses.body_of,
            stream_body=responses_stream.body_of,
            read=responses.read_answer,
            stop_reasons=responses.stop_reasons,
            turn=responses.turn_of,
            state=responses.state_of,
            event=responses_stream.event_of,
            gather=responses_stream.gather,
            events_of=responses_stream.events_of,
        ),
    }
)


class OpenAIModel(Model):
    """A model behind one of OpenAI's interfaces, or one that speaks them.

    Args:
        model_id: Such as ``gpt-4o``.
        api: Which interface answers ``get_text``, ``get_json`` and ``stream_text``: ``chat`` completions, or ``responses``. The
            two never share an answer; ``responses`` is part of the key, as a parameter ``api``.
        client: An ``openai.AsyncOpenAI`` of yours, for one event loop; you close it.
        client_args: Arguments for the client that is made when the first call goes out, one for each event loop:
            ``api_key``, ``base_url``, … What the SDK takes from the environment is as it was at the first call.
        params: Parameters of every call, such as ``{"temperature": 0}``; those of a call win.
        enable_cache: Whether answers are cached. This and what follows comes from :func:`spark_cache.load_config` where it
            is left at None.
        cache_ttl_seconds: How long an answer may be served: seconds, or text such as ``"24h"``.
        cache_dir: Where entries are kept.
        cache_config: A whole configuration, instead of the one that is found.
        should_cache: Asked before a fresh answer is stored, see :class:`spark_cache.Model`.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: ``client`` is not an asynchronous one, ``model_id`` is no text, or ``cache_config`` no configuration.
        ValueError: Both ``client`` and ``client_args`` are given, an argument by which the SDK chooses the address, or an
            ``api`` that there is not.
    """

    provider: ClassVar[str] = "openai"
    embed_batch: ClassVar[int] = 2048
    # The interface takes 300,000 tokens a call, and hardly any text has more tokens than characters.
    embed_characters: ClassVar[int | None] = 300_000

    def __init__(
        self,
        model_id: str,
        *,
        api: Literal["chat", "responses"] = "chat",
        client: AsyncOpenAI | None = None,
        client_args: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        enable_cache: bool | None = None,
        cache_ttl_seconds: float | str | None = None,
        cache_dir: str | PathLike[str] | None = None,
        cache_config: CacheConfig | None = None,
        should_cache: Callable[[Request, ModelResponse], bool] | None = None,
    ) -> None:
        if api not in _INTERFACES:
            raise ValueError(f"api={api!r}: it takes {' or '.join(map(repr, _INTERFACES))}")
        self._client = SdkClient(_SDK, client, client_args)
        self._interface = _INTERFACES[api]
        self.api = api
        super().__init__(
            model_id,
            enable_cache=enable_cache,
            cache_ttl_seconds=cache_ttl_seconds,
            cache_dir=cache_dir,
            cache_config=cache_config,
            params=params,
            should_cache=should_cache,
        )

    async def aclose(self) -> None:
        """Close the connections that this model opened on the running event loop; a client of yours stays open."""
        await super().aclose()
        await self._client.aclose()

    def _endpoint(self) -> str | None:
        return self._client.endpoint()

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        parameters = super()._parameters(given)
        refuse_given_by_place(parameters, self._interface.given_by_place)
        refuse_stream(parameters)
        self._client.add_to(parameters)
        if self.api != "chat":
            # An answer of one interface is none of another's.
            parameters["api"] = self.api
        return parameters

    def _request_to_embed(self, text: str, parameters: Mapping[str, Any]) -> Request:
        # Embeddings have one interface.
        return super()._request_to_embed(
            text, {name: parameters[name] for name in parameters if name != "api"}
        )

    def _is_left_out(self, value: object) -> bool:
        return self._client.is_left_out(value)

    def _state_of(self, request: Request) -> str | None:
        return self._interface.state(request)

    # -- calls ------------------------------------------------------------------------------------------------------------------------

    async def _call(self, request: Request) -> Any:
        answer = await self._resource().create(**self._interface.body(request))
        try:
            return orjson.loads(answer.content)
        except ValueError:
            return _unusual_json(answer)

    async def _stream(self, request: Request) -> AsyncGenerator[Any, None]:
        resource = self._resource()
        from openai import AsyncStream  # noqa: PLC0415 - a hit needs no SDK

        answer = await resource.create(**self._interface.stream_body(request), stream=True)
        # As plain JSON values; the SDK still finds the events, and raises the errors among them.
        async with answer.parse(to=AsyncStream[object]) as events:
            async for event in events:
                yield event

    async def _embed(
        self, texts: Sequence[str], parameters: Mapping[str, Any]
    ) -> tuple[Sequence[Sequence[float]], Usage | None]:
        if "encoding_format" in parameters:
            raise TypeError("leave out encoding_format: a vector is a list of numbers, however it is sent")
        answer = await self._client.client().embeddings.create(
            model=self.model_id, input=list(texts), **parameters
        )
        vectors = [one.embedding for one in sorted(answer.data, key=lambda one: one.index)]
        used = answer.usage
        # Compatible services leave it out.
        usage = Usage(input_tokens=used.prompt_tokens, total_tokens=used.total_tokens) if used else None
        return vectors, usage

    def _resource(self) -> Any:
        return self._interface.resource(self._client.client()).with_raw_response

    # -- answers ----------------------------------------------------------------------------------------------------------------------

    def _read(self, raw: Any) -> ModelResponse:
        return self._interface.read(raw)

    def _stop_reasons(self, response: ModelResponse) -> Sequence[str | None]:
        return self._interface.stop_reasons(response.raw)

    def _turn_of(self, response: ModelResponse) -> Sequence[Any] | None:
        return self._interface.turn(response.raw)

    def _event(self, raw_event: Any) -> StreamEvent:
        return self._interface.event(raw_event)

    def _gather(self, events: Sequence[Any]) -> Any | None:
        return self._interface.gather(events)

    def _events_of(self, raw: Any) -> Sequence[Any]:
        return self._interface.events_of(raw)


def _unusual_json(answer: LegacyAPIResponse[Any]) -> Any:
    """JSON that only lenient readers take, the SDK among them: NaN, half a character at a cut."""
    try:
        return json.loads(answer.content)
    except ValueError:
        from openai import APIResponseValidationError  # noqa: PLC0415 - for an answer that is no answer

        raise APIResponseValidationError(response=answer.http_response, body=answer.text) from None
