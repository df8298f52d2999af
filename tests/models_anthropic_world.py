"""Helpers for the tests of AnthropicModel and BedrockModel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spark_cache.providers.known import plain_request
from spark_cache.testing.standin.transport import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spark_cache import Model
    from spark_cache.providers.stream import StreamEvent
    from spark_cache.types import Request

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 1}},
    "required": ["city", "people"],
}

CLOSED_SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "people": {"type": "integer", "description": "minimum: 1"},
    },
    "required": ["city", "people"],
    "additionalProperties": False,
}


def request_of(provider: str, messages: Any, **parts: Any) -> Request:
    """Return a request as a model without a configuration builds it."""
    named = ("system_prompt", "tool_specs", "tool_choice", "output_schema")
    given = [parts.get(name) for name in named]
    operation, parameters = parts.get("operation", "text"), parts.get("parameters", {})
    return plain_request(provider, "m", messages, *given, operation, None, None, parameters, {})


async def events_of(model: Model, *arguments: Any, **parameters: Any) -> list[StreamEvent]:
    """Return all events of a stream."""
    return [event async for event in model.stream_text(*arguments, **parameters)]


def server_sent(events: Iterable[dict[str, Any]]) -> Stream:
    """Return events in the framing of Anthropic's streams, with errors framed as errors."""

    def framed() -> Iterator[bytes]:
        for event in events:
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()

    return Stream("text/event-stream", framed())
