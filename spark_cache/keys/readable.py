"""A request as it is stored and shown beside its answer."""

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
"""The parameters of a call that hold whatever its author puts there: there the name alone tells a credential."""


def readable_request(request: Request) -> dict[str, Any]:
    """The parts of a request that can change its answer, under their names: those that it has, without credentials."""
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
