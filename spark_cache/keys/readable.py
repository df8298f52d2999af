"""The readable form of a request, stored in its entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spark_cache.keys.credentials import without_credentials
from spark_cache.keys.headers import is_credential
from spark_cache.keys.parameters import key_parameters

if TYPE_CHECKING:
    from spark_cache.types import Request

__all__ = ["readable_request"]

_EXTRAS = ("extra_headers", "extra_query", "extra_body")
"""The parameters with arbitrary content. In them, only the name identifies a credential."""


def readable_request(request: Request) -> dict[str, Any]:
    """Return the parts of a request that can change its response, by name and without credentials.

    Args:
        request: The request.

    Returns:
        The parts. Absent parts are omitted.
    """
    parts = {
        "messages": request.messages,
        "system_prompt": request.system_prompt,
        "tool_specs": without_credentials({"tools": request.tool_specs}, "dropped")["tools"],
        "tool_choice": request.tool_choice,
        "output_schema": request.output_schema,
        "sample": request.sample,
        "endpoint": request.endpoint,
        "parameters": _readable_parameters(request.parameters) or None,
    }
    return {name: value for name, value in parts.items() if value is not None}


def _readable_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {inner: kept for inner, kept in value.items() if not is_credential(str(inner))}
        if name in _EXTRAS and isinstance(value, Mapping)
        else value
        for name, value in without_credentials(key_parameters(parameters), "dropped").items()
    }
