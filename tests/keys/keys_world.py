"""Requests for the tests of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.providers.known import plain_request

if TYPE_CHECKING:
    from spark_cache.types import Request


def request_of(
    provider: str = "openai", model_id: str = "gpt-4o", messages: Any = None, **fields: Any
) -> Request:
    """Return the request of a call: that of a plain model if the provider is known, else the generic form."""
    if messages is None:
        messages = [{"role": "user", "content": "Hello"}]
    named = ("system_prompt", "tool_specs", "tool_choice", "output_schema")
    given = [fields.get(name) for name in named]
    operation = fields.get("operation", "text")
    others = fields.get("endpoint"), fields.get("sample"), fields.get("parameters", {})
    return plain_request(provider, model_id, messages, *given, operation, *others, {})
