"""Which parameters of a request belong to its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spark_cache.keys.canonical import DIGEST_FROM, INT_MAX, INT_MIN, float_form
from spark_cache.keys.credentials import without_credentials
from spark_cache.keys.headers import meaningful_headers

__all__ = ["key_parameters", "simple_parameters", "stateful_parameter"]

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

_SPECIAL = _NOT_KEYED | {"extra_headers"}

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
    """The parameters that can change the answer: None counts as absent; transport, call options and credentials are left out."""
    given = {
        name: value for name, value in parameters.items() if value is not None and name not in _NOT_KEYED
    }
    keyed = without_credentials(given, "keyed")
    headers = keyed.get("extra_headers")
    if isinstance(headers, Mapping):
        kept = meaningful_headers(headers)
        if kept:
            keyed["extra_headers"] = kept
        else:
            del keyed["extra_headers"]
    return keyed


def simple_parameters(parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """What :func:`key_parameters` gives, in canonical form, where every parameter is a number, a short text or a flag.

    That is what most requests have, and it takes a third of the time. None where there is anything else among them.
    """
    simple: dict[str, Any] = {}
    for name, value in parameters.items():
        if value is None:
            continue
        form = value
        kind = type(value)
        if kind is float:
            form = float_form(value)
            if form is None:
                return None
        elif kind is int:
            if not INT_MIN <= value <= INT_MAX:
                return None
        elif kind is not bool and (kind is not str or len(value) >= DIGEST_FROM):
            return None
        if type(name) is not str or name in _SPECIAL or name[:1] == "~":
            return None
        simple[name] = form
    return simple


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
