"""The clients of an SDK that speaks HTTP: made when a call goes out, one for each event loop, and what they add to a request.

For SDKs whose client takes ``base_url``, ``default_headers``, ``default_query`` and ``http_client``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from spark_cache.keys import is_credential, normalise_endpoint
from spark_cache.models.sdks import LoopClients, import_sdk, refuse_both
from spark_cache.providers.json_values import copied

__all__ = ["Sdk", "SdkClient"]

if TYPE_CHECKING:
    from collections.abc import Sequence

_OWN_HEADERS = re.compile(r"accept|accept-encoding|connection|content-type|user-agent|x-stainless-.*")
"""Headers that every such SDK and its HTTP client send by themselves."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """What there is to know of an SDK.

    Attributes:
        module: Its module, which is also the name of the extra that installs it.
        client: The class of its asynchronous client.
        own_address: The address that it calls unless it is told another.
        variables: The beginning of the names of its environment variables.
        own_headers: Further headers that it sends by itself, in lower case.
        choose_address: Arguments by which the client chooses the address itself.
    """

    module: str
    client: str
    own_address: str
    variables: str
    own_headers: frozenset[str]
    choose_address: Sequence[str]


class SdkClient:
    """A client of the caller's, or the ones that are made for the event loops that calls go out from.

    What the environment says is found once, when it is first asked for: keys and calls agree whatever it says later.

    Args:
        sdk: Whose client it is.
        client: A client of the caller's, for one event loop, who closes it.
        client_args: Arguments for the clients that are made here.

    Raises:
        TypeError: ``client`` is not an asynchronous one.
        ValueError: Both ``client`` and ``client_args`` are given, or an argument by which the SDK chooses the address.
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
                    f"client_args: with {name!r}, make an {sdk.client} yourself and give it as client"
                )
        # An HTTP client of the caller's may change; everything else stays as it is found.
        self._stays = client is None and self._arguments.get("http_client") is None
        self._endpoint: tuple[str | None] | None = None
        self._added: Sequence[tuple[str, Mapping[str, object]]] | None = None
        self._address: str | None = None
        self._environment_headers: Mapping[str, str] | None = None
        self._clients = LoopClients(self._make)

    def client(self) -> Any:
        """The client for the running event loop.

        Raises:
            ModuleNotFoundError: The SDK is not installed.
        """
        return self._clients.get() if self._given is None else self._given

    def _make(self) -> Any:
        sdk: Any = import_sdk(self._sdk.module, self._sdk.module)
        found = self._headers_of_environment()
        # The SDK looks for itself: what came since then is withdrawn, and what went is put back.
        since = {name: sdk.Omit() for name in self._read_environment() if name not in found}
        headers = {**since, **found, **(self._arguments.get("default_headers") or {})}
        given = {**self._arguments, "base_url": self.address()}
        return getattr(sdk, self._sdk.client)(**(given | {"default_headers": headers} if headers else given))

    async def aclose(self) -> None:
        """Close the connections that were opened for the running event loop; a client of the caller's stays open."""
        client = self._clients.pop()
        if client is not None:
            await client.close()

    def is_not_given(self, value: object) -> bool:
        """Whether a value is one of the SDK's marks for an argument that is not given."""
        kind = type(value)
        return kind.__name__ in ("NotGiven", "Omit") and kind.__module__.partition(".")[0] == self._sdk.module

    # -- what a client adds to a request --------------------------------------------------------------------------------------------

    def address(self) -> str:
        """The base URL as the SDK resolves it."""
        if self._given is not None:
            return str(self._given.base_url)
        if self._address is None:
            given = self._arguments.get("base_url")
            if given is None or self.is_not_given(given):
                given = os.environ.get(f"{self._sdk.variables}_BASE_URL")
            self._address = str(given or self._sdk.own_address)
        return self._address

    def endpoint(self) -> str | None:
        """The address as it enters a key, with what the caller's HTTP client appends to it; None is the provider's own."""
        found = self._endpoint
        if found is None:
            found = (self._found_endpoint(),)
            if self._stays:
                self._endpoint = found
        return found[0]

    def add_to(self, parameters: dict[str, Any]) -> None:
        """Add to a call what its client adds to every request: it can change the answer, and is keyed like what the call adds."""
        found = self._added
        if found is None:
            every = (("extra_headers", self._headers()), ("extra_query", self._query()))
            found = [(name, own) for name, own in every if own]
            if self._stays:
                self._added = found
        for name, own in found:
            called = parameters.get(name) or {}
            if isinstance(called, Mapping):
                parameters[name] = {**own, **called}
        if not self._stays:
            self._add_headers_of_http_client(parameters)

    def _found_endpoint(self) -> str | None:
        address = self.address()
        params = getattr(self._http_client(), "params", None)
        if params is not None:
            query = urlencode([pair for pair in params.multi_items() if not is_credential(pair[0])])
            address = f"{address}?{query}" if query else address
        return normalise_endpoint(address, self._sdk.own_address)

    def _add_headers_of_http_client(self, parameters: dict[str, Any]) -> None:
        named = parameters.get("extra_headers") or {}
        if not isinstance(named, Mapping):
            return
        # What the HTTP client sends, unless a header of that name replaces it.
        taken = {str(name).lower() for name in named}
        headers = getattr(self._http_client(), "headers", None) or {}
        more = {name: headers[name] for name in headers if name not in taken and self._can_matter(name)}
        if more:
            parameters["extra_headers"] = {**more, **named}

    def _http_client(self) -> Any:
        """The HTTP client that calls go through, where the caller gave one."""
        # The SDKs have no public name for it.
        return getattr(self._given, "_client", None) or self._arguments.get("http_client")

    def _headers(self) -> dict[str, str]:
        """The headers of every request that are neither the SDK's own nor credentials."""
        if self._given is not None:
            headers: Any = self._given.default_headers
        else:
            headers = {**self._headers_of_environment(), **(self._arguments.get("default_headers") or {})}
        return {
            name: value
            for name, value in headers.items()
            if isinstance(value, str) and self._can_matter(name)
        }

    def _headers_of_environment(self) -> Mapping[str, str]:
        """The headers that the SDK takes from the environment, as far as they can change an answer."""
        if self._environment_headers is None:
            self._environment_headers = self._read_environment()
        return self._environment_headers

    def _read_environment(self) -> dict[str, str]:
        """What the environment says now: one header a line."""
        lines = os.environ.get(f"{self._sdk.variables}_CUSTOM_HEADERS", "").split("\n")
        parts = (line.partition(":") for line in lines)
        headers = {name.strip(): value.strip() for name, colon, value in parts if colon}
        return {name: value for name, value in headers.items() if self._can_matter(name)}

    def _query(self) -> dict[str, object]:
        """The query parameters of every request that are no credentials."""
        if self._given is not None:
            query: Any = self._given.default_query
        else:
            query = self._arguments.get("default_query") or {}
        return {name: value for name, value in query.items() if not is_credential(name)}

    def _can_matter(self, header: str) -> bool:
        """Whether a header is neither the SDK's own nor a credential."""
        name = header.lower()
        return (
            not _OWN_HEADERS.fullmatch(name) and name not in self._sdk.own_headers and not is_credential(name)
        )
