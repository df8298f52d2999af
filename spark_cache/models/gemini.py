"""Google's Gemini models through the official SDK: the Gemini API and Vertex AI."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from spark_cache.models.base import Model
from spark_cache.models.sdks import LoopClients, import_sdk, refuse_both
from spark_cache.providers.base import Provider
from spark_cache.providers.gemini.answer import (
    events_of,
    gather,
    read_answer,
    read_event,
    stop_reasons,
    turn_of,
)
from spark_cache.providers.gemini.content import plain
from spark_cache.providers.gemini.request import body_of, kept_by_provider, model_path, named_once
from spark_cache.providers.gemini.service import Service, merged, service_of
from spark_cache.providers.response import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from typing import Unpack

    from google.genai import Client

    from spark_cache.models.options import ModelOptions
    from spark_cache.providers.response import ModelResponse
    from spark_cache.providers.stream import StreamEvent
    from spark_cache.types import Request

__all__ = ["GeminiModel", "GeminiProvider"]

_OF_A_CALL = {"headers": "extra_headers", "extra_body": "extra_body", "timeout": "timeout"}
"""The options that ``http_options`` of a call may contain, and the parameters that they set."""

_NOT_PARAMETERS = {
    "model": "give it to GeminiModel",
    "contents": "give it as messages",
    "config": "give its fields by their names, such as temperature=0",
    "stream": "call stream_text",
}
"""Arguments of the SDK that are not parameters of a call, and what to do instead."""


class GeminiModel(Model):
    """A Gemini model behind the Gemini API or Vertex AI.

    The parameters of a call are the fields of ``google.genai.types.GenerateContentConfig``: ``temperature``,
    ``max_output_tokens``, ``stop_sequences``, ``safety_settings``, ``thinking_config``, …; ``max_tokens`` is accepted too.
    Messages may be in the common form or the SDK's contents. :meth:`Model.turn_of` keeps the thought signatures of a response.

    The Gemini API and Vertex AI are different addresses in the key, because their default settings differ. Vertex's project
    and location are not part of the key: they say who pays and where the model runs. Requests with ``cached_content``, an
    uploaded file, an object in Google's storage or a search tool's store depend on state at the provider and are not cached.

    Args:
        model_id: The name of the model, such as ``gemini-2.5-flash``.
        client: A ``google.genai.Client`` of yours, for one event loop. You close it.
        client_args: Arguments for the clients that the model creates, one for each event loop, when the first call is sent:
            ``api_key``, ``vertexai``, ``project``, ``location``, ``http_options``, …
        **options: See :class:`spark_cache.models.ModelOptions`.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: ``client`` is not a ``google.genai.Client``, or an option does not exist.
        ValueError: Both ``client`` and ``client_args`` are given.
    """

    provider = "gemini"

    def __init__(
        self,
        model_id: str,
        *,
        client: Client | None = None,
        client_args: Mapping[str, Any] | None = None,
        **options: Unpack[ModelOptions],
    ) -> None:
        super().__init__(model_id, GeminiProvider(client, client_args), **options)


class GeminiProvider(Provider):
    """Gemini behind its SDK; arguments as for the model."""

    name: ClassVar[str] = "gemini"

    def __init__(self, client: Client | None, client_args: Mapping[str, Any] | None) -> None:
        refuse_both(client, client_args)
        if client is not None and not hasattr(client, "aio"):
            raise TypeError(f"client must be a google.genai.Client, not {type(client).__name__}")
        self._given_client = client
        self._client_args = dict(client_args or {})
        self._service: Service | None = None
        self._clients = LoopClients(self._make_client, _close)

    async def aclose(self) -> None:
        await self._clients.aclose()

    # -- requests ----------------------------------------------------------------------------------------------

    def _resolve_service(self) -> Service:
        """Return the service that calls go to. It is resolved once, so that keys and calls agree if the environment changes."""
        if self._service is None:
            self._service = service_of(self._given_client, self._client_args, os.environ)
        return self._service

    def endpoint(self) -> str | None:
        return self._resolve_service().endpoint

    def dump(self, value: Any) -> Any:
        return plain(value)

    def state_path(self, request: Request) -> str | None:
        return kept_by_provider(request)

    def parameters(self, given: dict[str, Any], operation: str) -> dict[str, Any]:  # noqa: ARG002 - the same for all
        for name, advice in _NOT_PARAMETERS.items():
            if name in given:
                raise TypeError(f"{name!r} is not a parameter of a call: {advice}")
        options = given.pop("http_options", None) or {}
        for name, value in _set_fields(options).items():
            if name not in _OF_A_CALL:
                raise TypeError(
                    f"http_options of a call accepts {', '.join(_OF_A_CALL)}: give {name!r} to the client"
                )
            given[_OF_A_CALL[name]] = value
        # What the client adds to every request can change the response, so it is keyed like the call's own parameters.
        service = self._resolve_service()
        if service.headers:
            given["extra_headers"] = {**service.headers, **(given.get("extra_headers") or {})}
        if service.body:
            given["extra_body"] = merged(service.body, given.get("extra_body") or {})
        return named_once(given)

    def embed_batch(self, model_id: str) -> int:  # noqa: ARG002 - the same for all models
        return 100

    # -- responses ---------------------------------------------------------------------------------------------

    async def call(self, request: Request) -> Any:
        response = await self._transport().async_request("post", *self._arguments(request, "generateContent"))
        return _json(response.body)

    def read(self, raw: Any) -> ModelResponse:
        return read_answer(raw)

    def stop_reasons(self, response: ModelResponse) -> Sequence[str | None]:
        return stop_reasons(response.raw) or (response.stop_reason,)

    def turn_of(self, response: ModelResponse) -> Sequence[Any] | None:
        return turn_of(response.raw)

    async def stream(self, request: Request) -> AsyncGenerator[Any, None]:
        arguments = self._arguments(request, "streamGenerateContent?alt=sse")
        async with aclosing(await self._transport().async_request_streamed("post", *arguments)) as events:
            async for event in events:
                yield _json(event.body)

    def gather(self, events: Sequence[Any]) -> Any | None:
        return gather(events)

    def read_event(self, raw_event: Any) -> StreamEvent:
        return read_event(raw_event)

    def events_of(self, raw: Any) -> Sequence[Any]:
        return events_of(raw)

    async def embed(
        self, model_id: str, texts: Sequence[str], parameters: Mapping[str, Any]
    ) -> tuple[Sequence[Sequence[float]], Usage | None]:
        config = {name: value for name, value in parameters.items() if name not in _OF_A_CALL.values()}
        response = await self._client().aio.models.embed_content(
            model=model_id,
            # Some models treat plain strings as the parts of one text.
            contents=[{"parts": [{"text": text}]} for text in texts],
            config={**config, "http_options": _options_of(parameters)},  # type: ignore[arg-type]  # the SDK checks it
        )
        embeddings = response.embeddings or []
        return [embedding.values or [] for embedding in embeddings], _embedding_usage(response, embeddings)

    def _arguments(self, request: Request, method: str) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
        """Return the path, the body and the options of a request."""
        model = model_path(request.model_id, vertex=self._resolve_service().vertex)
        return f"{model}:{method}", body_of(request), _options_of(request.parameters)

    def _transport(self) -> Any:
        """Return the SDK's transport, which signs, sends, retries and raises, and passes JSON on unchanged.

        The SDK's objects drop the fields that they do not know, in requests and in responses.
        """
        return self._client()._api_client  # noqa: SLF001 - the SDK has no public name for it

    def _client(self) -> Client:
        return self._clients.get() if self._given_client is None else self._given_client

    def _make_client(self) -> Client:
        made: Client = import_sdk("google.genai", "gemini").Client(
            **self._resolve_service().pinned(self._client_args)
        )
        return made


async def _close(client: Client) -> None:
    client.close()
    await client.aio.aclose()


def _set_fields(options: Any) -> dict[str, Any]:
    given = options if isinstance(options, Mapping) else options.model_dump(exclude_none=True)
    return {name: value for name, value in given.items() if value is not None}


def _embedding_usage(response: Any, embeddings: Sequence[Any]) -> Usage | None:
    """Return the usage of an embedding call. Vertex AI reports it for each text; the Gemini API for the whole call, or not at all."""
    counts = [embedding.statistics.token_count for embedding in embeddings if embedding.statistics]
    total = getattr(response, "usage_metadata", None)
    tokens = sum(count or 0 for count in counts) or (total and total.prompt_token_count)
    return Usage(input_tokens=int(tokens), total_tokens=int(tokens)) if tokens else None


def _options_of(parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the SDK's options for one request: headers, timeout, and additions to the body."""
    given = {option: parameters.get(name) for option, name in _OF_A_CALL.items()}
    return {option: value for option, value in given.items() if value is not None} or None


def _json(text: str | None) -> Any:
    """Parse a response, also one that only lenient parsers accept. Raises what the SDK raises if it is not JSON."""
    if not text:
        return {}
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)
