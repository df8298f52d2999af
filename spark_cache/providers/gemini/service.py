"""The Google service that a client calls, and what the client adds to every request. Resolved without the SDK."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from spark_cache.keys import is_transport_header, keyed_query, normalise_endpoint

__all__ = ["Service", "merged", "service_of"]

_GEMINI_API = "https://generativelanguage.googleapis.com"
_VERTEX = "https://aiplatform.googleapis.com"

_VERTEX_HOST = re.compile(r"([a-z0-9-]+-)?aiplatform(\.[a-z0-9-]+\.rep)?(\.mtls)?\.googleapis\.com")
"""The hosts of Vertex AI, one for each location."""

_USUAL_VERSIONS = ("v1", "v1beta", "v1beta1", "beta")
"""API versions that serve the same models. The default differs between releases of the SDK."""

_SDK_HEADERS = re.compile(
    r"accept|accept-encoding|connection|content-type|user-agent"
    r"|x-goog-api-client|x-goog-user-project|x-server-timeout"
)
"""Headers that the SDK and its HTTP client always send, and headers for billing."""


@dataclass(frozen=True, slots=True)
class Service:
    """The service that a client calls, and what the client adds to every request.

    Attributes:
        vertex: Whether the service is Vertex AI rather than the Gemini API.
        base_url: The configured address. None is Google's own.
        version: The configured API version. None leaves it to the SDK.
        headers: The client's headers that are neither the SDK's own nor credentials, with names in lower case.
        query: The query that its HTTP client appends to every address, without credentials.
        body: Values that the client merges into the body of every request.
    """

    vertex: bool
    base_url: str | None = None
    version: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def endpoint(self) -> str | None:
        """The address in the form that is part of a key. None is Google's own Gemini API.

        All locations of Vertex AI count as one address, because they serve the same models. The same holds for the usual API
        versions.
        """
        address = (self.base_url or (_VERTEX if self.vertex else _GEMINI_API)).rstrip("/")
        query = [self.query] if self.query else []
        if _VERTEX_HOST.fullmatch(urlsplit(address).hostname or ""):
            address = _VERTEX
        elif self.vertex:
            # At an address other than Google's, the two services differ only in the paths of their models.
            query.append("vertexai=true")
        if self.version and self.version not in _USUAL_VERSIONS:
            address = f"{address}/{self.version}"
        return normalise_endpoint(f"{address}?{'&'.join(query)}" if query else address, _GEMINI_API)

    def pinned(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments for a client that calls this service even if the environment has changed.

        Args:
            arguments: The client arguments of the caller.
        """
        base_url = self.base_url or (None if self.vertex else _GEMINI_API)
        options = {} if base_url is None else _with_base_url(arguments.get("http_options"), base_url)
        kind = {} if arguments.get("enterprise") is not None else {"vertexai": self.vertex}
        return {**arguments, **kind, **options}


def service_of(client: Any, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Service:
    """Return the service of a given client, or of a client created from arguments and the environment.

    Args:
        client: The client. None if it is yet to be created.
        arguments: The arguments of the client.
        environ: The environment.
    """
    if client is not None:
        # The SDK has no public names for the options of a client.
        api_client = client._api_client  # noqa: SLF001
        options, vertex = api_client._http_options, bool(client.vertexai)  # noqa: SLF001
        http_client = api_client._async_httpx_client  # noqa: SLF001
        base_url, version = options.base_url, options.api_version
    else:
        options, vertex = arguments.get("http_options"), _is_vertex(arguments, environ)
        http_client = _option(options, "httpx_async_client")
        named = environ.get("GOOGLE_VERTEX_BASE_URL" if vertex else "GOOGLE_GEMINI_BASE_URL")
        base_url = _option(options, "base_url") or named
        version = _option(options, "api_version") or environ.get("GOOGLE_GENAI_API_VERSION")
    client_options = _option(options, "async_client_args") or {}
    sources = (_option(http_client, "headers"), client_options.get("headers"), _option(options, "headers"))
    headers = {name.lower(): value for source in sources for name, value in (source or {}).items()}
    params = _option(http_client, "params") or client_options.get("params") or {}
    pairs = params.multi_items() if hasattr(params, "multi_items") else dict(params).items()
    return Service(
        vertex=vertex,
        base_url=base_url or None,
        version=version or None,
        headers={name: value for name, value in headers.items() if _can_matter(name)},
        query=keyed_query(pairs),
        body=_option(options, "extra_body") or {},
    )


def merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a JSON object into another, at every depth.

    Args:
        base: The object.
        extra: The object that takes precedence.
    """
    result = dict(base)
    for name, value in extra.items():
        current = result.get(name)
        if isinstance(current, Mapping) and isinstance(value, Mapping):
            result[name] = merged(current, value)
        else:
            result[name] = value
    return result


def _with_base_url(options: Any, base_url: str) -> dict[str, Any]:
    named = {"base_url": base_url}
    is_object = options is not None and not isinstance(options, Mapping)
    return {"http_options": options.model_copy(update=named) if is_object else {**(options or {}), **named}}


def _option(options: Any, name: str) -> Any:
    return options.get(name) if isinstance(options, Mapping) else getattr(options, name, None)


def _is_vertex(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    given = (arguments.get(name) for name in ("enterprise", "vertexai"))
    named = (environ.get(name) for name in ("GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_USE_VERTEXAI"))
    chosen = next((choice for choice in (*given, *named) if choice is not None), False)
    return chosen.lower() in ("true", "1") if isinstance(chosen, str) else bool(chosen)


def _can_matter(header: str) -> bool:
    """Whether a header can change the response."""
    return not _SDK_HEADERS.fullmatch(header) and not is_transport_header(header)
