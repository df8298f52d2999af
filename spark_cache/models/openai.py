"""OpenAI's chat completions, through the official SDK."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

import orjson

from spark_cache.keys import normalise_endpoint
from spark_cache.models.base import Model
from spark_cache.models.credentials import is_credential
from spark_cache.models.openai_chat import body_of, read_answer, stop_reasons

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from openai import AsyncOpenAI
    from openai._legacy_response import LegacyAPIResponse

    from spark_cache.config import CacheConfig
    from spark_cache.models.response import ModelResponse
    from spark_cache.types import Request

__all__ = ["OpenAIModel"]

_OWN_ENDPOINT = "https://api.openai.com/v1"
"""The SDK's own default (``openai.AsyncOpenAI``)."""

_CHOOSE_ADDRESS = ("data_residency", "provider")
"""Arguments by which the SDK chooses the address itself."""

_SDK_HEADERS = re.compile(
    r"accept|accept-encoding|connection|content-type|user-agent|openai-organization|openai-project|x-stainless-.*"
)
"""Headers that the SDK and its HTTP client send by themselves."""


class OpenAIModel(Model):
    """A model behind OpenAI's chat completions interface, or one that speaks it.

    Args:
        model_id: Such as ``gpt-4o``.
        client: An ``openai.AsyncOpenAI`` of yours, for one event loop; you close it.
        client_args: Arguments for the client that is made when the first call goes out, one for each event loop:
            ``api_key``, ``base_url``, …
        params: Parameters of every call, such as ``{"temperature": 0}``; those of a call win.
        enable_cache: Whether answers are cached. This and what follows comes from :func:`spark_cache.load_config` where it
            is left at None.
        cache_ttl_seconds: How long an answer may be served: seconds, or text such as ``"24h"``.
        cache_dir: Where entries are kept.
        cache_config: A whole configuration, instead of the one that is found.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: ``client`` is not an asynchronous one, ``model_id`` is no text, or ``cache_config`` no configuration.
        ValueError: Both ``client`` and ``client_args`` are given, or an argument by which the SDK chooses the address.
    """

    provider: ClassVar[str] = "openai"

    def __init__(
        self,
        model_id: str,
        *,
        client: AsyncOpenAI | None = None,
        client_args: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        enable_cache: bool | None = None,
        cache_ttl_seconds: float | str | None = None,
        cache_dir: str | PathLike[str] | None = None,
        cache_config: CacheConfig | None = None,
    ) -> None:
        if client is not None and client_args:
            raise ValueError(
                "give client or client_args, not both: client_args are for the client that is made here"
            )
        if client is not None and not hasattr(client, "__aenter__"):
            raise TypeError(
                f"client is an {type(client).__name__}: it takes an asynchronous one, an AsyncOpenAI"
            )
        self._client_args = dict(client_args or {})
        for name in _CHOOSE_ADDRESS:
            if self._client_args.get(name) is not None:
                raise ValueError(
                    f"client_args: with {name!r}, make an AsyncOpenAI yourself and give it as client"
                )
        super().__init__(
            model_id,
            enable_cache=enable_cache,
            cache_ttl_seconds=cache_ttl_seconds,
            cache_dir=cache_dir,
            cache_config=cache_config,
            params=params,
        )
        self._given_client = client
        self._base_url: str | None = None
        # Connections belong to the event loop that opened them.
        self._clients: dict[asyncio.AbstractEventLoop, AsyncOpenAI] = {}
        self._clients_lock = Lock()

    async def aclose(self) -> None:
        """Close the connections that this model opened on the running event loop; a client of yours stays open."""
        await super().aclose()
        with self._clients_lock:
            client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def _address(self) -> str:
        """The base URL as the SDK resolves it; found once, so that keys and calls agree whatever the environment does later."""
        if self._given_client is not None:
            return str(self._given_client.base_url)
        if self._base_url is None:
            given = self._client_args.get("base_url")
            known = os.environ.get("OPENAI_BASE_URL") if given is None or _is_left_out(given) else given
            self._base_url = str(known or _OWN_ENDPOINT)
        return self._base_url

    def _endpoint(self) -> str | None:
        return normalise_endpoint(self._address() + self._query_of_http_client(), _OWN_ENDPOINT)

    def _query_of_http_client(self) -> str:
        """What the HTTP client of the caller appends to every address, without credentials."""
        params = getattr(self._http_client(), "params", None)
        pairs = (
            [] if params is None else [pair for pair in params.multi_items() if not is_credential(pair[0])]
        )
        return f"?{urlencode(pairs)}" if pairs else ""

    def _parameters(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        parameters = dict(super()._parameters(given))
        for name in ("model", "messages"):
            if name in parameters:
                raise TypeError(
                    f"{name!r} is no parameter of a call: it is given to the model or to get_text by place"
                )
        if parameters.get("stream"):
            raise TypeError("get_text answers in one piece: leave out stream=True")
        # What the client adds to every request can change the answer like what the call adds, so it is keyed like it.
        for name, own in (("extra_headers", self._own_headers()), ("extra_query", self._own_query())):
            called = parameters.get(name) or {}
            if own and isinstance(called, Mapping):
                parameters[name] = {**own, **called}
        self._add_headers_of_http_client(parameters)
        return parameters

    def _is_left_out(self, value: object) -> bool:
        return _is_left_out(value)

    def _add_headers_of_http_client(self, parameters: dict[str, Any]) -> None:
        """Add what the HTTP client of the caller sends with every request, unless a header of that name replaces it."""
        named = parameters.get("extra_headers") or {}
        if not isinstance(named, Mapping):
            return
        taken = {str(name).lower() for name in named}
        headers = getattr(self._http_client(), "headers", None) or {}
        added = {name: headers[name] for name in headers if name not in taken and _can_matter(name)}
        if added:
            parameters["extra_headers"] = {**added, **named}

    def _http_client(self) -> Any:
        """The HTTP client that calls go through, where the caller gave one."""
        # The SDK has no public name for it.
        return getattr(self._given_client, "_client", None) or self._client_args.get("http_client")

    def _own_headers(self) -> dict[str, str]:
        """The headers of every request that are neither the SDK's own nor credentials."""
        if self._given_client is not None:
            headers: Any = self._given_client.default_headers
        else:
            headers = {**_environment_headers(), **(self._client_args.get("default_headers") or {})}
        return {
            name: value for name, value in headers.items() if isinstance(value, str) and _can_matter(name)
        }

    def _own_query(self) -> dict[str, object]:
        """The query parameters of every request that are no credentials."""
        if self._given_client is not None:
            query: Any = self._given_client.default_query
        else:
            query = self._client_args.get("default_query") or {}
        return {name: value for name, value in query.items() if not is_credential(name)}

    async def _call(self, request: Request) -> Any:
        answer = await self._client().chat.completions.with_raw_response.create(**body_of(request))
        try:
            return orjson.loads(answer.content)
        except ValueError:
            return _unusual_json(answer)

    def _read(self, raw: Any) -> ModelResponse:
        return read_answer(raw)

    def _stop_reasons(self, response: ModelResponse) -> Sequence[str | None]:
        return stop_reasons(response.raw)

    def _client(self) -> AsyncOpenAI:
        if self._given_client is not None:
            return self._given_client
        loop = asyncio.get_running_loop()
        with self._clients_lock:
            client = self._clients.get(loop)
            if client is None:
                try:
                    from openai import AsyncOpenAI  # noqa: PLC0415 - a hit needs no SDK
                except ModuleNotFoundError as error:
                    raise ModuleNotFoundError(
                        f"{error}; a call that the cache does not answer needs it: pip install 'spark-cache[openai]'",
                        name=error.name,
                    ) from None
                # A loop that is closed never comes back; its client would keep it and the connections alive.
                self._clients = {
                    known: kept for known, kept in self._clients.items() if not known.is_closed()
                }
                client = self._clients[loop] = AsyncOpenAI(**self._arguments())
        return client

    def _arguments(self) -> dict[str, Any]:
        if "workload_identity" in self._client_args:
            # Some of these need the SDK's own choice of the address.
            return self._client_args
        return {**self._client_args, "base_url": self._address()}


def _can_matter(header: str) -> bool:
    """Whether a header is neither the SDK's own nor a credential."""
    return not _SDK_HEADERS.fullmatch(header.lower()) and not is_credential(header)


def _is_left_out(value: object) -> bool:
    """Whether a value is one of the SDK's marks for an argument that is not given."""
    kind = type(value)
    return kind.__name__ in ("NotGiven", "Omit") and kind.__module__.partition(".")[0] == "openai"


def _environment_headers() -> dict[str, str]:
    """The headers that the SDK takes from the environment: one a line."""
    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    parts = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, colon, value in parts if colon}


def _unusual_json(answer: LegacyAPIResponse[Any]) -> Any:
    """JSON that only lenient readers take, the SDK among them: NaN, half a character at a cut."""
    try:
        return json.loads(answer.content)
    except ValueError:
        from openai import APIResponseValidationError  # noqa: PLC0415 - for an answer that is no answer

        raise APIResponseValidationError(response=answer.http_response, body=answer.text) from None
