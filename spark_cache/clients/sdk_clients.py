"""Clients of the official SDKs whose calls go through the cache."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

from spark_cache.clients.aws import let_through
from spark_cache.clients.exchange import Exchange
from spark_cache.clients.transports import cached_transport

if TYPE_CHECKING:
    from spark_cache.config import CacheConfig
    from spark_cache.manager import CacheManager

__all__ = ["cached"]

T = TypeVar("T")

_DEPTH = 3
"""How deep the objects of a Gemini client are nested that refer to its API client."""


def cached(
    client: T,
    *,
    cache_config: CacheConfig | None = None,
    cache_manager: CacheManager | None = None,
    **settings: Any,
) -> T:
    """Return a client like the given one whose calls go through the cache.

    Requests that the library recognises are answered from the cache if possible; their new responses are judged and stored as
    those of a model are, and share entries with them. Everything else passes unchanged. The new client uses the connections,
    proxies, hooks, cookies and authentication of the given one. Closing the new client leaves them open; close the given one.

    Args:
        client: A client of ``openai``, ``anthropic`` or ``google.genai``, synchronous or asynchronous, or boto3's
            ``bedrock-runtime``.
        cache_config: The configuration; None loads it with :func:`spark_cache.load_config`.
        cache_manager: A manager of yours, instead of a configuration.
        **settings: Settings of the configuration, such as ``enabled`` or ``cache_dir``.

    Returns:
        A client of the same class. Clients of boto3 cannot be copied, so that of Bedrock is the given one, which goes through
        the cache from now on.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: The library does not know the client.
        ValueError: ``cache_manager`` is given together with something else.
    """
    library = _sdk_of(client)
    if library is None:
        kind = f"{type(client).__module__}.{type(client).__qualname__}"
        raise TypeError(
            f"cached() takes a client of openai, anthropic, google.genai or boto3's bedrock-runtime, not {kind}"
        )
    exchange = Exchange.of(cache_config, cache_manager, settings)
    if library == "botocore":
        let_through(client, exchange)
        return client
    if library == "google.genai":
        gemini: T = _gemini(client, exchange)
        return gemini
    given: Any = client
    made: T = given.copy(http_client=_http_client(given._client, exchange))
    return made


def _sdk_of(client: Any) -> str | None:
    """Return the SDK whose class a client has, which may be derived."""
    modules = [f"{kind.__module__}." for kind in type(client).__mro__]
    if "botocore.client." in modules:
        return "botocore" if client.meta.service_model.service_name == "bedrock-runtime" else None
    has_http = hasattr(client, "_client") and hasattr(client, "copy")
    sdks = ("openai", "anthropic") if has_http else ("google.genai",) if hasattr(client, "_aio") else ()
    return next((sdk for sdk in sdks for module in modules if module.startswith(f"{sdk}.")), None)


def _http_client(given: Any, exchange: Exchange) -> Any:
    """Return a client of the HTTP library that shares everything with a given one and sends through the cache."""
    made = copy.copy(given)
    # A client closes its connections when nothing refers to it any more.
    made._spark_cache_given = given
    made._transport = cached_transport(given, given._transport, exchange)
    made._mounts = {
        pattern: None if transport is None else cached_transport(given, transport, exchange)
        for pattern, transport in given._mounts.items()
    }
    if hasattr(given, "_client_for_running_loop"):
        # That of google.genai sends with one client for each event loop.
        made._client_for_running_loop = lambda: _http_client(given._client_for_running_loop(), exchange)
    return made


def _gemini(client: Any, exchange: Exchange) -> Any:
    """Return a client of google.genai whose API client sends through the cache."""
    old = client._api_client
    new = copy.copy(old)
    names = {"httpx_client": "_httpx_client", "httpx_async_client": "_async_httpx_client"}
    made = {
        option: _http_client(vars(old)[name], exchange)
        for option, name in names.items()
        if vars(old).get(name) is not None
    }
    for option, http_client in made.items():
        setattr(new, names[option], http_client)
    # The SDK leaves clients that it is given open, and then does not use aiohttp.
    new._http_options = old._http_options.model_copy(update=made)
    # It closes what it made when nothing refers to it any more.
    new._spark_cache_given = client
    new._aiohttp_sessions = {}
    return _referring_to(client, old, new, _DEPTH)


def _referring_to(value: Any, old: Any, new: Any, depth: int) -> Any:
    """Return a copy of an object of the SDK that refers to another API client, as do the objects in it."""
    made = copy.copy(value)
    for name, inner in vars(value).items():
        if inner is old:
            setattr(made, name, new)
        elif depth and type(inner).__module__.startswith("google.genai") and hasattr(inner, "_api_client"):
            setattr(made, name, _referring_to(inner, old, new, depth - 1))
    return made
