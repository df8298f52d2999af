"""Requests as they go over HTTP, recognised by method and path, and read into the form that models build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from spark_cache.keys import is_credential, is_transport_header, normalise_endpoint
from spark_cache.providers.anthropic.dialect import SDK as ANTHROPIC
from spark_cache.providers.bedrock.address import endpoint_of
from spark_cache.providers.gemini.service import Service
from spark_cache.providers.openai.dialect import SDK as OPENAI
from spark_cache.types import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["request_of_http"]


class _Target(NamedTuple):
    """What a path calls.

    Attributes:
        provider: The provider.
        operation: ``text`` or ``embedding``.
        base: The path in front of the part that names the call.
        model_id: The model, if the path names it.
    """

    provider: str
    operation: str
    base: str
    model_id: str | None = None


_ENDINGS = (
    ("/chat/completions", "openai", "text"),
    ("/responses", "openai", "text"),
    ("/embeddings", "openai", "embedding"),
    ("/v1/messages", "anthropic", "text"),
)

_BEDROCK = {"converse": "text", "converse-stream": "text", "invoke": "embedding"}

_GEMINI = {"generateContent": "text", "streamGenerateContent": "text", "embedContent": "embedding"}


def request_of_http(method: str, url: str, headers: Mapping[str, str], body: Any) -> Request | None:
    """Read an HTTP request of an SDK. None if it is not a call that can be cached.

    Args:
        method: The method.
        url: The whole URL.
        headers: The headers, with names in any case.
        body: The JSON body.
    """
    parts = urlsplit(url)
    target = _target(parts.path) if method == "POST" and isinstance(body, dict) else None
    if target is None:
        return None
    fields = dict(body)
    model_id = fields.pop("model", None) if target.model_id is None else target.model_id
    if not isinstance(model_id, str):
        return None
    sdk = {"anthropic": ANTHROPIC, "openai": OPENAI}.get(target.provider)
    kept = {
        name.lower(): value
        for name, value in headers.items()
        if (not is_transport_header(name) if sdk is None else sdk.can_matter(name, value))
    }
    query = {
        name: value
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name != "alt" and not is_credential(name)
    }
    address = urlunsplit((parts.scheme, parts.netloc, target.base, "", ""))
    return Request(
        target.provider,
        model_id,
        fields,
        target.operation,
        _endpoint(target.provider, address),
        kept,
        query,
    )


def _target(path: str) -> _Target | None:
    for ending, provider, operation in _ENDINGS:
        if path.endswith(ending):
            return _Target(provider, operation, path.removesuffix(ending))
    head, _, verb = path.rpartition("/")
    # A model may be called "model".
    base, _, model_id = head.rpartition("/")
    if verb in _BEDROCK and base.endswith("/model"):
        return _Target("bedrock", _BEDROCK[verb], base.removesuffix("/model"), unquote(model_id))
    base, found, call = path.rpartition("/models/")
    model_id, _, verb = call.rpartition(":")
    if found and verb in _GEMINI:
        return _Target("gemini", _GEMINI[verb], base, unquote(model_id))
    return None


def _endpoint(provider: str, address: str) -> str | None:
    if provider == "bedrock":
        return endpoint_of(address)
    if provider == "gemini":
        base, _, _ = address.partition("/projects/")
        base, _, version = base.rpartition("/")
        return Service(vertex="/projects/" in address, base_url=base, version=version).endpoint
    return normalise_endpoint(address, (OPENAI if provider == "openai" else ANTHROPIC).own_address)
