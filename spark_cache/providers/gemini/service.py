"""Which of Google's services a client reaches, and what it adds to every request: known without the SDK."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from spark_cache.keys import is_credential, normalise_endpoint

__all__ = ["Service", "merged", "service_of"]

_GEMINI_API = "https://generativelanguage.googleapis.com"
_VERTEX = "https://aiplatform.googleapis.com"

_VERTEX_HOST = re.compile(r"([a-z0-9-]+-)?aiplatform(\.[a-z0-9-]+\.rep)?(\.mtls)?\.googleapis\.com")
"""The hosts of Vertex AI, one for each location."""

_USUAL_VERSIONS = ("v1", "v1beta", "v1beta1", "beta")
"""Versions of the interface that serve the same models; which is the default differs between releases of the SDK."""

_SDK_HEADERS = re.compile(
    r"accept|accept-encoding|connection|content-type|user-agent"
    r"|x-goog-api-client|x-goog-user-project|x-server-timeout"
)
"""Headers that the SDK and its HTTP client send by themselves, or that say who pays."""


@dataclass(frozen=True, slots=True)
class Service:
    """Where the requests of a client go, and what they carry beside what is asked.

    Attributes:
        vertex: Whether it is Vertex AI; else the Gemini API.
        base_url: The address that it was given; None is Google's own.
        version: The version of the interface that it was given; None is the SDK's choice.
        headers: Its headers that are neither the SDK's own nor credentials, by their names in lower case.
        query: What its HTTP client appends to every address, likewise.
        body: What it lays over the body of every request.
    """

    vertex: bool
    base_url: str | None = None
    version: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def endpoint(self) -> str | None:
        """The address as it enters a key; None is the Gemini API of Google's own.

        The locations of Vertex AI are one address: they serve the same models. So do the usual versions of the interface.
        """
        address = (self.base_url or (_VERTEX if self.vertex else _GEMINI_API)).rstrip("/")
        query = [self.query] if self.query else []
        if _VERTEX_HOST.fullmatch(urlsplit(address).hostname or ""):
            address = _VERTEX
        elif self.vertex:
            # Behind an address of somebody else's the two services differ only in the paths of their models.
            query.append("vertexai=true")
        if self.version and self.version not in _USUAL_VERSIONS:
            address = f"{address}/{self.version}"
        return normalise_endpoint(f"{address}?{'&'.join(query)}" if query else address, _GEMINI_API)

    def pinned(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a client that reaches this service, whatever the environment says by then."""
        base_url = self.base_url or (None if self.vertex else _GEMINI_API)
        options = {} if base_url is None else _with_base_url(arguments.get("http_options"), base_url)
        kind = {} if arguments.get("enterprise") is not None else {"vertexai": self.vertex}
        return {**arguments, **kind, **options}


def service_of(client: Any, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Service:
    """The service of a client that was given, or of one that is made with these arguments in this environment."""
    if client is not None:
        # The SDK has no public names for what a client was made with.
        known = client._api_client  # noqa: SLF001
        options, vertex, http_client = known._http_options, bool(client.vertexai), known._async_httpx_client  # noqa: SLF001
        base_url, version = options.base_url, options.api_version
    else:
        options, vertex = arguments.get("http_options"), _is_vertex(arguments, environ)
        http_client = _option(options, "httpx_async_client")
        named = environ.get("GOOGLE_VERTEX_BASE_URL" if vertex else "GOOGLE_GEMINI_BASE_URL")
        base_url = _option(options, "base_url") or named
        version = _option(options, "api_version") or environ.get("GOOGLE_GENAI_API_VERSION")
    made_with = _option(options, "async_client_args") or {}
    sources = (_option(http_client, "headers"), made_with.get("headers"), _option(options, "headers"))
    headers = {name.lower(): value for source in sources for name, value in (source or {}).items()}
    params = _option(http_client, "params") or made_with.get("params") or {}
    pairs = params.multi_items() if hasattr(params, "multi_items") else dict(params).items()
    return Service(
        vertex=vertex,
        base_url=base_url or None,
        version=version or None,
        headers={name: value for name, value in headers.items() if _can_matter(name)},
        query=urlencode([pair for pair in pairs if not is_credential(pair[0])]),
        body=_option(options, "extra_body") or {},
    )


def merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with another laid over it, at every depth."""
    together = dict(base)
    for name, value in extra.items():
        below = together.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            together[name] = merged(below, value)
        else:
            together[name] = value
    return together


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
    """Whether a header is neither the SDK's own nor a credential."""
    return not _SDK_HEADERS.fullmatch(header) and not is_credential(header)
