"""Gemini generateContent and streamGenerateContent."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from benchmarks.replay.provider import Exchange, RecordedContent

if TYPE_CHECKING:
    from spark_cache import Model

_PATH = re.compile(
    r"/(?P<version>\w+)/models/(?P<model>[^:]+):(?P<endpoint>generateContent|streamGenerateContent)"
)
_CAPITAL = re.compile(r"[A-Z]")
_PROVIDER_STATE = {
    '"fileUri": "https://generativelanguage.googleapis.com/': "it refers to an uploaded file",
    '"file_search_store_names"': "it searches a store at the provider",
}
_REASONS = {"STOP": "end_turn", "MAX_TOKENS": "max_tokens", "SAFETY": "content_filter"}


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
    from spark_cache.models import GeminiModel  # noqa: PLC0415 - the comparing process does not need it

    found = _PATH.fullmatch(exchange["path"])
    if found is None:
        raise ValueError(exchange["path"])
    options = {"base_url": server, "api_version": found["version"]}
    return GeminiModel(found["model"], client_args={"api_key": "x", "http_options": options})


def arguments(exchange: Exchange) -> dict[str, Any]:
    """Return the arguments of ``get_text`` for the recorded request: text in the library's format, the rest in Gemini's.

    Args:
        exchange: The recorded exchange.
    """
    body = exchange["request"]
    parameters: dict[str, Any] = {"messages": [_message(content) for content in body["contents"]]}
    match body.get("systemInstruction"):
        case {"parts": [{"text": text}]}:
            parameters["system_prompt"] = text
        case None:
            pass
        case instruction:
            parameters["system_instruction"] = instruction
    tools = body.get("tools")
    # One tool may stand alone, without a list.
    parameters["tools" if isinstance(tools, dict) else "tool_specs"] = tools
    parameters["tool_choice"] = body.get("toolConfig")
    parameters |= {name: value for name, value in body.items() if name not in _NAMED}
    config = body.get("generationConfig")
    if config is None:
        return parameters
    named = {
        _CAPITAL.sub(lambda found: f"_{found[0].lower()}", name): value for name, value in config.items()
    }
    return parameters | (named or {"generation_config": config})


_NAMED = ("contents", "generationConfig", "systemInstruction", "toolConfig", "tools")


def _message(content: dict[str, Any]) -> dict[str, Any]:
    if any(part.keys() != {"text"} for part in content["parts"]):
        return content
    return {"role": {"model": "assistant"}.get(content["role"], "user"), "content": content["parts"]}


def status_of(error: Exception) -> int | None:
    """Return the HTTP status of an error of the SDK, or None for any other error.

    Args:
        error: The error.
    """
    from google.genai.errors import APIError  # noqa: PLC0415 - the comparing process does not need it

    return error.code if isinstance(error, APIError) else None


def recorded_content(exchange: Exchange) -> RecordedContent:
    """Return the content of a recorded response.

    Args:
        exchange: The recorded exchange.
    """
    recorded = events(exchange) if exchange["stream"] else [json.loads(exchange["response"])]
    candidates = [event["candidates"][0] for event in recorded]
    parts = [part for candidate in candidates for part in candidate.get("content", {}).get("parts", ())]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    reason, usage = candidates[-1]["finishReason"], recorded[-1]["usageMetadata"]
    thought = usage.get("thoughtsTokenCount")
    return RecordedContent(
        content="".join(part.get("text", "") for part in parts if not part.get("thought")),
        tool_calls=[[call.get("id", call["name"]), call["name"], call["args"]] for call in calls],
        stop_reason="tool_use" if calls else _REASONS.get(reason, reason),
        provider_stop_reason=reason,
        usage=[
            usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0),
            usage.get("candidatesTokenCount", 0) + (thought or 0),
            usage["totalTokenCount"],
            usage.get("cachedContentTokenCount"),
            thought,
        ],
    )


def events(exchange: Exchange) -> list[Any]:
    """Return the recorded events of a stream.

    Args:
        exchange: The recorded exchange.
    """
    lines = exchange["response"].splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def not_stored(exchange: Exchange) -> str | None:
    """Return why a response must not be stored, or None if it may be stored.

    Args:
        exchange: The recorded exchange.
    """
    request = json.dumps([exchange["request"]["contents"], exchange["request"].get("tools")])
    state = next((why for mark, why in _PROVIDER_STATE.items() if mark in request), None)
    if "cachedContent" in exchange["request"]:
        state = "it refers to cached content"
    reason = recorded_content(exchange).stop_reason
    return state or (None if reason in ("end_turn", "tool_use") else f"it ended with {reason}")
