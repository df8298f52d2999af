"""Headers: those that are part of a key, and names that denote credentials."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_credential", "is_transport_header", "meaningful_headers", "server_headers"]

_LAST_WORD = re.compile(
    r"(.*[-_])?(auth|authorization|cookie|credentials?|key|password|secret|token)", re.IGNORECASE
)

_TRANSPORT_HEADERS = frozenset(
    """
    authorization proxy-authorization api-key x-api-key x-goog-api-key x-amz-security-token cookie
    user-agent host content-type content-length connection expect te transfer-encoding forwarded via
    x-goog-api-client x-goog-user-project x-amz-date x-amz-content-sha256 x-server-timeout
    openai-organization openai-project http-referer x-title
    idempotency-key x-idempotency-key
    traceparent tracestate baggage b3 uber-trace-id sentry-trace elastic-apm-traceparent newrelic
    request-id request-context correlation-context ms-cv x-ms-request-id x-ms-client-request-id
    x-amzn-trace-id x-amzn-requestid x-cloud-trace-context grpc-trace-bin
    x-request-id x-client-request-id x-correlation-id x-trace-id x-span-id
    """.split()  # noqa: SIM905 - one name in each line would fill two screens
)
_TRANSPORT_PREFIXES = (
    "accept",
    "amz-sdk-",
    "jaeger-",
    "sec-fetch-",
    "uberctx-",
    "x-b3-",
    "x-datadog-",
    "x-forwarded-",
    "x-ms-correlation-",
    "x-stainless-",
)
"""The headers that cannot change a response: credentials, the connection, the SDKs about themselves, who pays, retries, and the
tracing families of W3C, B3, Jaeger, Datadog, Sentry, Elastic, New Relic, Azure, AWS and Google."""


def is_transport_header(name: str) -> bool:
    """Return whether a header cannot change a response. Every other header is part of the key.

    Args:
        name: The name of the header, in any case.
    """
    lower = name.lower()
    return lower in _TRANSPORT_HEADERS or lower.startswith(_TRANSPORT_PREFIXES)


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
        if not (isinstance(name, str) and is_transport_header(name))
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
