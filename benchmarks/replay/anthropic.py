"""Anthropic Messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.replay.provider import Exchange, RecordedContent

if TYPE_CHECKING:
    from spark_cache import Model

_PATH = "/v1/messages"
_NAMED = {
    "messages": "messages",
    "system": "system_prompt",
    "tools": "tool_specs",
    "tool_choice": "tool_choice",
}


def endpoint(exchange: Exchange) -> str | None:
    """Return the name of the endpoint of an exchange, or None if it belongs to another provider.

    Args:
        exchange: The recorded exchange.
    """
    return "messages" if exchange["path"] == _PATH else None


def model(exchange: Exchange, server: str) -> Model:
    """Return the model of an exchange.

    Args:
        exchange: The recorded exchange.
        server: The URL of the server.
    """
    from spark_cache.models import AnthropicModel  # noqa: PLC0415 - the comparing process does not need it

    return AnthropicModel(
        exchange["request"]["model"], client_args={"base_url": server, "api_key": "x", "max_retries": 0}
    )


def arguments(exchange: Exchange) -> dict[str, Any]:
    """Return the arguments of ``get_text`` for the recorded request.

    Args:
        exchange: The recorded exchange.
    """
    parameters = exchange["request"].items()
    return {_NAMED.get(name, name): value for name, value in parameters if name not in ("model", "stream")}


def status_of(error: Exception) -> int | None:
    """Return the HTTP status of an error of the SDK, or None for any other error.

    Args:
        error: The error.
    """
    from anthropic import APIStatusError  # noqa: PLC0415 - the comparing process does not need it

    return error.status_code if isinstance(error, APIStatusError) else None


def recorded_content(exchange: Exchange) -> RecordedContent:
    """Return the content of a recorded response.

    Args:
        exchange: The recorded exchange.
    """
    blocks, reason, usage = _in_events(events(exchange)) if exchange["stream"] else _whole(exchange)
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    asked, answered = usage["input_tokens"] + (read or 0) + (written or 0), usage["output_tokens"]
    thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens")
    return RecordedContent(
        content="".join(block["text"] for block in blocks if block["type"] == "text"),
        tool_calls=[
            [block["id"], block["name"], block["input"]] for block in blocks if block["type"] == "tool_use"
        ],
        stop_reason=reason,
        provider_stop_reason=reason,
        usage=[asked, answered, asked + answered, read, thought],
    )


def _whole(exchange: Exchange) -> tuple[list[dict[str, Any]], str, dict[str, Any]]:
    raw = json.loads(exchange["response"])
    return raw["content"], raw["stop_reason"], raw["usage"]


def _in_events(recorded: list[Any]) -> tuple[list[dict[str, Any]], str, dict[str, Any]]:
    """Return the content blocks, the stop reason and the usage of a stream."""
    of_type: dict[str, list[Any]] = {}
    for event in recorded:
        of_type.setdefault(event["type"], []).append(event)
    blocks = []
    for start in of_type["content_block_start"]:
        deltas = [
            event["delta"] for event in of_type["content_block_delta"] if event["index"] == start["index"]
        ]
        block = {**start["content_block"]}
        if block["type"] == "text":
            block["text"] += "".join(delta.get("text", "") for delta in deltas)
        if block["type"] == "tool_use":
            block["input"] = json.loads("".join(delta["partial_json"] for delta in deltas) or "{}")
        blocks.append(block)
    (started,), (ended,) = of_type["message_start"], of_type["message_delta"]
    return blocks, ended["delta"]["stop_reason"], {**started["message"]["usage"], **ended["usage"]}


def events(exchange: Exchange) -> list[Any]:
    """Return the recorded events of a stream, without those that only keep the connection alive.

    Args:
        exchange: The recorded exchange.
    """
    lines = exchange["response"].splitlines()
    found = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return [event for event in found if event["type"] != "ping"]


def not_stored(exchange: Exchange) -> str | None:
    """Return why a response must not be stored, or None if it may be stored.

    Args:
        exchange: The recorded exchange.
    """
    if "container" in exchange["request"]:
        return "it depends on a container at the provider"
    reason = recorded_content(exchange).stop_reason
    return (
        None
        if reason in ("end_turn", "tool_use", "stop_sequence", "pause_turn")
        else f"it ended with {reason}"
    )
