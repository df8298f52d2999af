"""Which parameters of a request belong to its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["key_parameters", "stateful_parameter"]

_NOT_KEYED = frozenset(
    {
        # how long to wait and how often to try
        "timeout",
        "max_retries",
        "idempotency_key",
        # whether and how the answer is streamed
        "stream",
        "stream_options",
        # call options of this library
        "cache",
        "sensitive",
    }
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
        # the client's own name
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

_STATEFUL = frozenset(
    {
        "previous_response_id",
        "conversation",
        "background",
        "container",
        "prompt",
        "thread_id",
        "assistant_id",
        "cached_content",
        "cachedContent",
    }
)
"""Parameters that name something kept, and changed, at the provider: its answer is not a function of the request."""


def key_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that can change the answer: None counts as absent, transport and call options are left out."""
    keyed = {
        name: value for name, value in parameters.items() if value is not None and name not in _NOT_KEYED
    }
    headers = keyed.get("extra_headers")
    if isinstance(headers, Mapping):
        kept = _meaningful_headers(headers)
        if kept:
            keyed["extra_headers"] = kept
        else:
            del keyed["extra_headers"]
    return keyed


def stateful_parameter(parameters: Mapping[str, Any]) -> str | None:
    """The name of the first parameter that leans on state at the provider, or None."""
    for name, value in parameters.items():
        if name in _STATEFUL and value is not None and value is not False:
            return name
        if name == "extra_body" and isinstance(value, Mapping):
            inner = stateful_parameter(value)
            if inner is not None:
                return f"extra_body.{inner}"
    return None


def _meaningful_headers(headers: Mapping[Any, Any]) -> dict[Any, Any]:
    """Headers without those of the transport; names in lower case, unless two would then be one."""
    kept = {
        name: value
        for name, value in headers.items()
        if not (isinstance(name, str) and name.lower() in _TRANSPORT_HEADERS)
    }
    lowered = {name.lower() if isinstance(name, str) else name: value for name, value in kept.items()}
    return lowered if len(lowered) == len(kept) else kept
