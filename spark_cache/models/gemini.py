"""Google's Gemini models through the official SDK: the Gemini API and Vertex AI."""

from __future__ import annotations

import json
import os
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson

from spark_cache.models.base import Model
from spark_cache.models.sdks import LoopClients, import_sdk, refuse_both
from spark_cache.providers.gemini.dialect import GeminiDialect, added_by
from spark_cache.providers.gemini.reading import GeminiReading
from spark_cache.providers.gemini.request import model_path
from spark_cache.providers.gemini.service import merged, service_of
from spark_cache.providers.json_values import bare_error, with_text
from spark_cache.providers.response import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from typing import Unpack

    from google.genai import Client

    from spark_cache.models.options import ModelOptions
    from spark_cache.providers.dialect import Added, Dialect
    from spark_cache.providers.gemini.service import Service
    from spark_cache.types import Request

__all__ = ["GeminiModel", "GeminiProvider"]

_DIALECT = GeminiDialect()


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


class GeminiProvider(GeminiReading):
    """Gemini behind its SDK; arguments as for the model."""

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

    def added(self) -> Added:
        return added_by(self._resolve_service())

    @property
    def dialect(self) -> Dialect:
        return _DIALECT

    def embed_batch(self, model_id: str) -> int:  # noqa: ARG002 - the same for all models
        return 100

    # -- responses ---------------------------------------------------------------------------------------------

    async def call(self, request: Request) -> Any:
        response = await self._transport().async_request("post", *self._arguments(request, "generateContent"))
        raw = _json(response.body)
        if (error := bare_error(raw, *self.error_unless)) is not None:
            from google.genai.errors import APIError  # noqa: PLC0415 - only for such a response

            code = error.get("code") if isinstance(error, dict) else None
            raise APIError(code if isinstance(code, int) else 200, raw)
        return raw

    async def stream(self, request: Request) -> AsyncGenerator[Any, None]:
        arguments = self._arguments(request, "streamGenerateContent?alt=sse")
        async with aclosing(await self._transport().async_request_streamed("post", *arguments)) as events:
            async for event in events:
                yield _json(event.body)

    async def embed(
        self, request: Request, texts: Sequence[str]
    ) -> tuple[Sequence[Sequence[float]], Usage | None]:
        options = self._options(request) or {}
        # The extra body stands outside the requests for the texts.
        outside = {"content", *options.get("extra_body", ())}
        config = {name: value for name, value in request.body.items() if name not in outside}
        response = await self._client().aio.models.embed_content(
            model=request.model_id,
            # Some models treat plain strings as the parts of one text.
            contents=[{"parts": [{"text": text}]} for text in texts],
            config={**config, "http_options": options or None},  # type: ignore[arg-type]  # the SDK checks it
        )
        embeddings = response.embeddings or []
        return [embedding.values or [] for embedding in embeddings], _embedding_usage(response, embeddings)

    def _arguments(self, request: Request, method: str) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
        """Return the path, the body and the options of a request."""
        model = model_path(request.model_id, vertex=self._resolve_service().vertex)
        return f"{model}:{method}", with_text(request.body), self._options(request)

    def _options(self, request: Request) -> dict[str, Any] | None:
        """Return the SDK's options for one request. Its extra body replaces that of the client, which the SDK would merge in."""
        given = {
            "headers": request.options.get("extra_headers"),
            "timeout": request.options.get("timeout"),
            "extra_body": merged(self._resolve_service().body, request.options.get("extra_body") or {})
            or None,
        }
        return {option: value for option, value in given.items() if value is not None} or None

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


def _embedding_usage(response: Any, embeddings: Sequence[Any]) -> Usage | None:
    """Return the usage of an embedding call. Vertex AI reports it for each text; the Gemini API for the whole call, or not at all."""
    counts = [embedding.statistics.token_count for embedding in embeddings if embedding.statistics]
    total = getattr(response, "usage_metadata", None)
    tokens = sum(count or 0 for count in counts) or (total and total.prompt_token_count)
    return Usage(input_tokens=int(tokens), total_tokens=int(tokens)) if tokens else None


def _json(text: str | None) -> Any:
    """Parse a response, also one that only lenient parsers accept. Raises what the SDK raises if it is not JSON."""
    if not text:
        return {}
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)
