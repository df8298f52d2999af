"""Amazon Bedrock Converse and ConverseStream."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from benchmarks.replay.provider import Exchange, RecordedContent

if TYPE_CHECKING:
    from spark_cache import Model

_PATH = re.compile(r"/model/(?P<model>[^/]+)/(?P<endpoint>converse|converse-stream)")
_REASONS = {"guardrail_intervened": "content_filter", "content_filtered": "content_filter"}


def endpoint(exchange: Exchange) -> str | None:
    """Return the name of the endpoint of an exchange, or None if it belongs to another provider.

    Args:
        exchange: The recorded exchange.
    """
    found = _PATH.fullmatch(exchange["path"])
    return None if found is None else found["endpoint"]


def model(exchange: Exchange, server: str) -> Model:
    """Return the model of an exchange.

    Args:
        exchange: The recorded exchange.
        server: The URL of the server.
    """
    from botocore.config import Config  # noqa: PLC0415 - the comparing process does not need it

    from spark_cache.models import BedrockModel  # noqa: PLC0415 - the comparing process does not need it

    found = _PATH.fullmatch(exchange["path"])
    if found is None:
        raise ValueError(exchange["path"])
    credentials = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    return BedrockModel(
        unquote(found["model"]),
        region_name="us-east-1",
        endpoint_url=server,
        client_args={**credentials, "config": Config(retries={"total_max_attempts": 1})},
    )


def arguments(exchange: Exchange) -> dict[str, Any]:
    """Return the arguments of ``get_text`` for the recorded request.

    Args:
        exchange: The recorded exchange.
    """
    parameters = dict(exchange["request"])
    tools = parameters.pop("toolConfig", {})
    return {**parameters, "tool_specs": tools.get("tools"), "tool_choice": tools.get("toolChoice")}


def status_of(error: Exception) -> int | None:
    """Return the HTTP status of an error of the SDK, or None for any other error.

    Args:
        error: The error.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415 - the comparing process does not need it

    if not isinstance(error, ClientError):
        return None
    status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status


def recorded_content(exchange: Exchange) -> RecordedContent:
    """Return the content of a recorded response.

    Args:
        exchange: The recorded exchange.
    """
    blocks, reason, usage = _in_events(events(exchange)) if exchange["stream"] else _whole(exchange)
    read, written = usage.get("cacheReadInputTokens"), usage.get("cacheWriteInputTokens")
    calls = [block["toolUse"] for block in blocks if "toolUse" in block]
    return RecordedContent(
        content="".join(block.get("text", "") for block in blocks),
        tool_calls=[
            [call["toolUseId"], call["name"], call["input"]]
            for call in calls
            if call.get("type") != "server_tool_use"
        ],
        stop_reason=_REASONS.get(reason, reason),
        provider_stop_reason=reason,
        usage=[
            usage["inputTokens"] + (read or 0) + (written or 0),
            usage["outputTokens"],
            usage["totalTokens"],
            read,
            None,
        ],
    )


def _whole(exchange: Exchange) -> tuple[list[dict[str, Any]], str, dict[str, Any]]:
    raw = json.loads(exchange["response"])
    return raw["output"]["message"]["content"], raw["stopReason"], raw["usage"]


def _in_events(recorded: list[Any]) -> tuple[list[dict[str, Any]], str, dict[str, Any]]:
    """Return the content blocks, the stop reason and the usage of a stream."""
    payloads: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in recorded:
        ((kind, payload),) = event.items()
        block = blocks.setdefault(payload.get("contentBlockIndex", -1), {})
        call = payload.get("start", {}).get("toolUse")
        if call is not None:
            block["toolUse"] = {**call, "input": ""}
        delta = payload.get("delta", {})
        if "text" in delta:
            block["text"] = block.get("text", "") + delta["text"]
        if "toolUse" in delta:
            block["toolUse"]["input"] += delta["toolUse"]["input"]
        payloads[kind] = payload
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
    return [*blocks.values()], payloads["messageStop"]["stopReason"], payloads["metadata"]["usage"]


def events(exchange: Exchange) -> list[Any]:
    """Return the recorded events of a stream, each under its type.

    Args:
        exchange: The recorded exchange.
    """
    from botocore.eventstream import EventStreamBuffer  # noqa: PLC0415 - only streams need it

    frames = EventStreamBuffer()
    frames.add_data(b64decode(exchange["response"]))
    return [{frame.headers[":event-type"]: json.loads(frame.payload)} for frame in frames]


def not_stored(exchange: Exchange) -> str | None:
    """Return why a response must not be stored, or None if it may be stored.

    Args:
        exchange: The recorded exchange.
    """
    reason = recorded_content(exchange).stop_reason
    return None if reason in ("end_turn", "tool_use", "stop_sequence") else f"it ended with {reason}"
