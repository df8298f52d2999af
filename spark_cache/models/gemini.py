"""Google's Gemini models, through the official SDK: the Gemini API and Vertex AI."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from spark_cache.models.base import Model
from spark_cache.models.sdks import LoopClients, import_sdk, refuse_both
from spark_cache.providers.gemini.answer import (
    events_of,
    gather,
    read_answer,
    read_event,
    stop_reasons,
    turn_of,
)
from spark_cache.providers.gemini.request import body_of, kept_by_provider, model_path
from spark_cache.providers.gemini.service import Service, merged, service_of
from spark_cache.providers.response import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from os import PathLike

    from google.genai import Client

    from spark_cache.config import CacheConfig
    from spark_cache.providers.response import ModelResponse
    from spark_cache.providers.stream import StreamEvent
    from spark_cache.types import Request

__all__ = ["GeminiModel"]

_OF_A_CALL = {"headers": "extra_headers", "extra_body": "extra_body", "timeout": "timeout"}
"""What ``http_options`` of a single call may hold, and the parameters that it stands for."""

_ELSEWHERE = {
    "model": "it is given to GeminiModel",
    "contents": "it is given by place, as messages",
    "config": "give its fields by their names, such as temperature=0",
    "stream": "stream_text answers in a stream",
}
"""Arguments of the SDK that are no parameters of a call here, and the way out."""


class GeminiModel(Model):
    """A Gemini model of Google's, behind the Gemini API or Vertex AI.

    The parameters of a call are the fields of ``google.genai.types.GenerateContentConfig``: ``temperature``, ``max_output_tokens``,
    ``stop_sequences``, ``safety_settings``, ``thinking_config``, …; ``max_tokens`` is taken too. Its messages are ours or the
    SDK's contents; an answer goes back with its thought signatures by :meth:`Model.turn_of`.

    The Gemini API and Vertex AI are two addresses in the key, since they serve the models with defaults of their own. Vertex's project
    and location are not in it: they say who pays, and where it runs. Requests that use ``cached_content``, an uploaded file, an object in
    Google's storage or the store of a search tool lean on what is kept there, and are not cached.

    Args:
        model_id: Such as ``gemini-2.5-flash``.
        client: A ``google.genai.Client`` of yours, for one event loop; you close it.
        client_args: Arguments for the client that is made when the first call goes out, one for each event loop: ``api_key``,
            ``vertexai``, ``project``, ``location``, ``http_options``, …
        params: Parameters of every call, such as ``{"temperature": 0}``; those of a call win.
        should_cache: Asked of every answer that may be stored, with its request: whether it is.
        enable_cache: Whether answers are cached. This and what follows comes from :func:`spark_cache.load_config` where it
            is left at None.
        cache_ttl_seconds: How long an answer may be served: seconds, or text such as ``"24h"``.
        cache_dir: Where entries are kept.
        cache_config: A whole configuration, instead of the one that is found.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: ``client`` is no ``google.genai.Client``, ``model_id`` is no text, or ``cache_config`` no configuration.
        ValueError: Both ``client`` and ``client_args`` are given.
    """

    provider: ClassVar[str] = "gemini"
    embed_batch: ClassVar[int] = 100

    def __init__(
        self,
        model_id: str,
        *,
        client: Client | None = None,
        client_args: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        should_cache: Callable[[Request, ModelResponse], bool] | None = None,
        enable_cache: bool | None = None,
        cache_ttl_seconds: float | str | None = None,
        cache_dir: str | PathLike[str] | None = None,
        cache_config: CacheConfig | None = None,
    ) -> None:
        refuse_both(client, client_args)
        if client is not None and not hasattr(client, "aio"):
            raise TypeError(f"client is an {type(client).__name__}: it takes a google.genai.Client")
        super().__init__(
            model_id,
            enable_cache=enable_cache,
            cache_ttl_seconds=cache_ttl_seconds,
            cache_dir=cache_dir,
            cache_config=cache_config,
            params=params,
            should_cache=should_cache,
        )
        self._given_client = client
        self._client_args = dict(client_args or {})
        self._service: Service | None = None
        self._clients = LoopClients(self._make_client)

    async def aclose(self) -> None:
        """Close the connections that this model opened on the running event loop; a client of yours stays open."""
        await super().aclose()
        client = self._clients.pop()
        if client is not None:
            await client.aio.aclose()
            client.close()

    def _reached(self) -> Service:
        """The service that calls go to; found once, so that keys and calls agree whatever the environment does later."""
        if self._service is None:
            self._service = service_of(self._given_client, self._client_args, os.environ)
        return self._service

    def _endpoint(self) -> str | None:
        return self._reached().endpoint

    def _state_of(self, request: Request) -> str | None:
        return kept_by_provider(request)

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        parameters = super()._parameters(given)
        for name, way_out in _ELSEWHERE.items():
            if name in parameters:
                raise TypeError(f"{name!r} is no parameter of a call: {way_out}")
        options = parameters.pop("http_options", None) or {}
        for name, value in _set_fields(options).items():
            if name not in _OF_A_CALL:
                raise TypeError(
                    f"http_options of a call takes {', '.join(_OF_A_CALL)}: give {name!r} to the client"
                )
            parameters[_OF_A_CALL[name]] = value
        # What the client adds to every request can change the answer like what the call adds, so it is keyed like it.
        service = self._reached()
        if service.headers:
            parameters["extra_headers"] = {**service.headers, **(parameters.get("extra_headers") or {})}
        if service.body:
            parameters["extra_body"] = merged(service.body, parameters.get("extra_body") or {})
        return parameters

    # -- answers --------------------------------------------------------------------------------------------------------------------

    async def _call(self, request: Request) -> Any:
        answer = await self._transport().async_request("post", *self._asked(request, "generateContent"))
        return _json(answer.body)

    def _read(self, raw: Any) -> ModelResponse:
        return read_answer(raw)

    def _stop_reasons(self, response: ModelResponse) -> Sequence[str | None]:
        return stop_reasons(response.raw) or (response.stop_reason,)

    def _turn_of(self, response: ModelResponse) -> Sequence[Any] | None:
        return turn_of(response.raw)

    async def _stream(self, request: Request) -> AsyncGenerator[Any, None]:
        asked = self._asked(request, "streamGenerateContent?alt=sse")
        async with aclosing(await self._transport().async_request_streamed("post", *asked)) as arriving:
            async for event in arriving:
                yield _json(event.body)

    def _gather(self, events: Sequence[Any]) -> Any | None:
        return gather(events)

    def _event(self, raw_event: Any) -> StreamEvent:
        return read_event(raw_event)

    def _events_of(self, raw: Any) -> Sequence[Any]:
        return events_of(raw)

    async def _embed(
        self, texts: Sequence[str], parameters: Mapping[str, Any]
    ) -> tuple[Sequence[Sequence[float]], Usage | None]:
        config = {name: value for name, value in parameters.items() if name not in _OF_A_CALL.values()}
        answer = await self._client().aio.models.embed_content(
            model=self.model_id,
            # As plain texts some models would take them for the parts of one.
            contents=[{"parts": [{"text": text}]} for text in texts],
            config={**config, "http_options": _options_of(parameters)},  # type: ignore[arg-type]  # the SDK checks it
        )
        embeddings = answer.embeddings or []
        return [embedding.values or [] for embedding in embeddings], _consumed(answer, embeddings)

    def _asked(self, request: Request, method: str) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
        """The path, the body and the options of a request."""
        model = model_path(request.model_id, vertex=self._reached().vertex)
        return f"{model}:{method}", body_of(request), _options_of(request.parameters)

    def _transport(self) -> Any:
        """The part of the SDK below its objects: it signs, sends, retries and raises, and passes JSON on as it is.

        The objects leave out what they do not know, of a request as of an answer.
        """
        return self._client()._api_client  # noqa: SLF001 - the SDK has no public name for it

    def _client(self) -> Client:
        return self._clients.get() if self._given_client is None else self._given_client

    def _make_client(self) -> Client:
        made: Client = import_sdk("google.genai", "gemini").Client(
            **self._reached().pinned(self._client_args)
        )
        return made


def _set_fields(options: Any) -> dict[str, Any]:
    given = options if isinstance(options, Mapping) else options.model_dump(exclude_none=True)
    return {name: value for name, value in given.items() if value is not None}


def _consumed(answer: Any, embeddings: Sequence[Any]) -> Usage | None:
    """What embedding took: Vertex AI tells it of each text, the Gemini API of all together, where it does."""
    counted = [embedding.statistics.token_count for embedding in embeddings if embedding.statistics]
    together = getattr(answer, "usage_metadata", None)
    tokens = sum(count or 0 for count in counted) or (together and together.prompt_token_count)
    return Usage(input_tokens=int(tokens), total_tokens=int(tokens)) if tokens else None


def _options_of(parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a request tells the SDK of its transport, and to lay over its body."""
    told = {option: parameters.get(name) for option, name in _OF_A_CALL.items()}
    return {option: value for option, value in told.items() if value is not None} or None


def _json(text: str | None) -> Any:
    """The JSON of an answer, also such as only lenient readers take; what is none raises what the SDK raises."""
    if not text:
        return {}
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)
