"""The clients of an SDK, created when a call is sent, one for each event loop, and what they add to every request.

For SDKs whose client accepts ``base_url``, ``default_headers``, ``default_query`` and ``http_client``.
"""

from __future__ import annotations

import os
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

from spark_cache.keys import keyed_query, normalise_endpoint
from spark_cache.models.sdks import LoopClients, import_sdk, refuse_both
from spark_cache.providers.dialect import Added
from spark_cache.providers.json_values import copied, with_text

__all__ = ["SdkClient", "arguments_of"]

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from spark_cache.providers.sdk import Sdk
    from spark_cache.types import Request

T = TypeVar("T")

_STALE_CONNECTIONS = 20
"""How many connections of closed event loops are dropped for one call."""


def arguments_of(request: Request, create: Callable[..., Any]) -> dict[str, Any]:
    """Return a request as arguments of an SDK's function, which sends its body as it is.

    Args:
        request: The request.
        create: The function. Fields that its signature lacks go through ``extra_body``.
    """
    body = {"model": request.model_id, **with_text(request.body)}
    accepted = signature(create).parameters
    unknown = {name: body.pop(name) for name in list(body) if name not in accepted}
    return {**body, **request.options, "extra_body": unknown or None}


async def _close(client: Any) -> None:
    await client.close()


async def _leave_open(_: Any) -> None:
    """Do not close a client whose HTTP client belongs to the caller, who closes it."""


class SdkClient:
    """The caller's client, or one client for each event loop that sends calls.

    The environment is read once, on first use, so that keys and calls agree if it changes.

    Args:
        sdk: The SDK of the client.
        client: A client of the caller, for one event loop. The caller closes it.
        client_args: Arguments for the clients that are created.

    Raises:
        TypeError: ``client`` is not asynchronous.
        ValueError: Both ``client`` and ``client_args`` are given, or ``client_args`` has an argument by which the SDK chooses the
            address.
    """

    def __init__(self, sdk: Sdk, client: Any, client_args: Mapping[str, Any] | None) -> None:
        refuse_both(client, client_args)
        if client is not None and not hasattr(client, "__aenter__"):
            raise TypeError(f"client must be asynchronous, an {sdk.client}, not {type(client).__name__}")
        self._sdk = sdk
        self._given = client
        self._arguments: dict[str, Any] = copied(dict(client_args or {}))
        for name in sdk.choose_address:
            if self._arguments.get(name) is not None:
                raise ValueError(
                    f"client_args cannot contain {name!r}: create an {sdk.client} with it and give that as client"
                )
        # An HTTP client of the caller may change. Everything else is resolved once.
        self._is_fixed = client is None and self._arguments.get("http_client") is None
        self._fixed: Added | None = None
        self._address: str | None = None
        self._environment_headers: Mapping[str, str] | None = None
        self._clients = LoopClients(
            self._make, _close if self._arguments.get("http_client") is None else _leave_open
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fixed": None}

    def client(self) -> Any:
        """Return the client for the running event loop.

        Raises:
            ModuleNotFoundError: The SDK is not installed.
        """
        return self._clients.get() if self._given is None else self._given

    def _make(self) -> Any:
        sdk: Any = import_sdk(self._sdk.module, self._sdk.module)
        found = self._headers_of_environment()
        # The SDK reads the environment itself. Headers that were added since the first read are omitted, and removed ones are restored.
        added = {name: sdk.Omit() for name in self._sdk.headers(os.environ) if name not in found}
        given_headers = self._arguments.get("default_headers") or {}
        named = {str(name).lower() for name in (*found, *given_headers)}
        pinned = {name: value for name, value in self._sdk.own_headers.items() if name not in named}
        headers = {**pinned, **added, **found, **given_headers}
        given = {**self._arguments, "base_url": self.address()}
        return getattr(sdk, self._sdk.client)(**(given | {"default_headers": headers} if headers else given))

    async def aclose(self) -> None:
        """Close the connections that were opened for the running event loop. What the caller made stays open."""
        await self._clients.aclose()

    async def send(self, call: Callable[[], Awaitable[T]]) -> T:
        """Send a call. An HTTP client of the caller may still have connections of an event loop that is closed.

        Each of them fails once, before anything is sent, and is dropped.

        Args:
            call: Sends the call.
        """
        if self._arguments.get("http_client") is not None:
            for _ in range(_STALE_CONNECTIONS):
                try:
                    return await call()
                except Exception as error:
                    # Anthropic's SDK raises its own error from it.
                    if "Event loop is closed" not in (str(error), str(error.__cause__)):
                        raise
        return await call()

    # -- what a client adds to a request -----------------------------------------------------------------------

    def address(self) -> str:
        """Return the base URL, resolved like the SDK does."""
        if self._given is not None:
            return str(self._given.base_url)
        if self._address is None:
            if self._sdk.resolve is not None:
                self._arguments = self._sdk.resolve(self._arguments, os.environ)
            given = self._arguments.get("base_url")
            if given is None or self._sdk.is_not_given(given):
                given = self._sdk.address(os.environ)
            self._address = str(given or self._sdk.own_address)
        return self._address

    def added(self) -> Added:
        """Return what the client adds to every request. It can change the response, so it is keyed like what a call gives."""
        if self._fixed is not None:
            return self._fixed
        added = Added(self._endpoint(), self._headers(), self._query())
        if self._is_fixed:
            self._fixed = added
        return added

    def _endpoint(self) -> str | None:
        """Return the address that is part of a key, with the query of the caller's HTTP client. None is the provider's own."""
        address = self.address()
        params = getattr(self._http_client(), "params", None)
        if params is not None:
            query = keyed_query(params.multi_items())
            address = f"{address}?{query}" if query else address
        return normalise_endpoint(address, self._sdk.own_address)

    def _http_client(self) -> Any:
        """Return the HTTP client of the caller; None if there is none."""
        # The SDKs have no public name for it.
        return getattr(self._given, "_client", None) or self._arguments.get("http_client")

    def _headers(self) -> dict[str, str]:
        """Return the headers of every request that can change a response."""
        if self._given is not None:
            headers: Any = self._given.default_headers
        else:
            headers = {**self._headers_of_environment(), **(self._arguments.get("default_headers") or {})}
        named = {name.lower() for name in headers}
        # A header of the SDK's client replaces the HTTP client's header with the same name.
        below = getattr(self._http_client(), "headers", None) or {}
        together = {**{name: below[name] for name in below if name.lower() not in named}, **headers}
        return {
            name: value
            for name, value in together.items()
            if isinstance(value, str) and self._sdk.can_matter(name, value)
        }

    def _headers_of_environment(self) -> Mapping[str, str]:
        """Return the headers that the SDK reads from the environment and that can change a response."""
        if self._environment_headers is None:
            self._environment_headers = self._sdk.headers(os.environ)
        return self._environment_headers

    def _query(self) -> dict[str, object]:
        """Return the query parameters of every request."""
        if self._given is not None:
            query: Any = self._given.default_query
        else:
            query = self._arguments.get("default_query") or {}
        return dict(query)
