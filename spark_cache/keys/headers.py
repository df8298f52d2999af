"""Headers: those that are part of a key, and names that denote credentials."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_credential", "meaningful_headers", "server_headers"]

_LAST_WORD = re.compile(
    r"(.*[-_])?(auth|authorization|cookie|credentials?|key|password|secret|token)", re.IGNORECASE
)

_TRANSPORT_HEADERS = frozenset(
    {
        # credentials
        "authorization",
        "proxy-authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "x-amz-security-token",
        "cookie",
        # client identification
        "user-agent",
        "x-stainless-retry-count",
        "x-stainless-read-timeout",
        # tracing
        "traceparent",
        "tracestate",
        "baggage",
        "b3",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-sampled",
        "x-request-id",
        "x-client-request-id",
        "x-correlation-id",
        "x-cloud-trace-context",
        "x-amzn-trace-id",
        "sentry-trace",
        # idempotency
        "idempotency-key",
        "x-idempotency-key",
    }
)


def is_credential(name: str) -> bool:
    """Return whether the last word of a name denotes a credential.

    Args:
        name: The name of a header or a parameter.
    """
    return _LAST_WORD.fullmatch(name) is not None


def meaningful_headers(headers: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the headers without transport headers.

    Names are converted to lower case, unless two names would then be equal.

    Args:
        headers: The headers of a request.
    """
    kept = {
        name: value
        for name, value in headers.items()
        if not (isinstance(name, str) and name.lower() in _TRANSPORT_HEADERS)
    }
    lowered = {name.lower() if isinstance(name, str) else name: value for name, value in kept.items()}
    return lowered if len(lowered) == len(kept) else kept


def server_headers(headers: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the headers for a tool's server without transport headers and credentials.

    Credentials are recognised by the last word of the header's name, because each server chooses its own names.

    Args:
        headers: The headers that a provider passes on to a tool's server.
    """
    return {
        name: value
        for name, value in meaningful_headers(headers).items()
        if not (isinstance(name, str) and is_credential(name))
    }
