"""Copies of what a caller may still change: of its dictionaries and lists, not of the texts and objects in them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_cache.providers.response import ModelResponse
    from spark_cache.types import Request

__all__ = ["copied", "own_request", "own_response"]


def copied(value: Any) -> Any:
    """A value whose dictionaries, lists and tuples are new ones."""
    if isinstance(value, dict):
        return {name: copied(item) for name, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return tuple(copied(item) for item in value) if type(value) is tuple else value


def own_request(request: Request) -> Request:
    """A request that stays as it was keyed, whatever becomes of the caller's messages before it is sent and stored."""
    return replace(
        request,
        messages=copied(request.messages),
        system_prompt=copied(request.system_prompt),
        tool_specs=copied(request.tool_specs),
        tool_choice=copied(request.tool_choice),
        parameters=copied(request.parameters),
    )


def own_response(response: ModelResponse) -> ModelResponse:
    """A response that one caller may change without the others that got it."""
    calls = tuple(replace(call, arguments=copied(call.arguments)) for call in response.tool_calls)
    return replace(response, raw=copied(response.raw), tool_calls=calls)
