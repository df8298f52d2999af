"""Gemini's generateContent and streamGenerateContent."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from benchmarks.replay.provider import Exchange, Said

if TYPE_CHECKING:
    from spark_cache import Model

_PATH = re.compile(
    r"/(?P<version>\w+)/models/(?P<model>[^:]+):(?P<endpoint>generateContent|streamGenerateContent)"
)
_HUMP = re.compile(r"[A-Z]")
_KEPT = {
    '"fileUri": "https://generativelanguage.googleapis.com/': "it names an uploaded file",
    '"file_search_store_names"': "it searches a store at the provider",
}
_REASONS = {"STOP": "end_turn"}


def endpoint(exchange: Exchange) -> str | None:
    """The name of the endpoint that an exchange was recorded from; None where it is not this provider's."""
    found = _PATH.fullmatch(exchange["path"])
    return None if found is None else found["endpoint"]


def model(exchange: Exchange, server: str) -> Model:
    """The model to ask, at a server."""
    from spark_cache.models import GeminiModel  # noqa: PLC0415 - the comparing process has no use for it

    found = _PATH.fullmatch(exchange["path"])
    if found is None:
        raise ValueError(exchange["path"])
    options = {"base_url": server, "api_version": found["version"]}
    return GeminiModel(found["model"], client_args={"api_key": "x", "http_options": options})


def arguments(exchange: Exchange) -> dict[str, Any]:
    """The arguments of ``get_text`` that mean the recorded request: what is text in our form, all else in the provider's own."""
    body = exchange["request"]
    asked: dict[str, Any] = {"messages": [_message(content) for content in body["contents"]]}
    if "systemInstruction" in body:
        (part,) = body["systemInstruction"]["parts"]
        asked["system_prompt"] = part["text"]
    asked |= {"tool_specs": body.get("tools"), "tool_choice": body.get("toolConfig")}
    config = body["generationConfig"]
    named = {_HUMP.sub(lambda hump: f"_{hump[0].lower()}", name): value for name, value in config.items()}
    return asked | (named or {"generation_config": config})


def _message(content: dict[str, Any]) -> dict[str, Any]:
    if any(part.keys() != {"text"} for part in content["parts"]):
        return content
    return {"role": {"model": "assistant"}.get(content["role"], "user"), "content": content["parts"]}


def status_of(error: Exception) -> int | None:
    """The HTTP status of an error of the SDK; None for any other error."""
    from google.genai.errors import APIError  # noqa: PLC0415 - the comparing process has no use for it

    return error.code if isinstance(error, APIError) else None


def said(exchange: Exchange) -> Said:
    """What a recorded answer says."""
    recorded = events(exchange) if exchange["stream"] else [json.loads(exchange["response"])]
    candidates = [event["candidates"][0] for event in recorded]
    parts = [part for candidate in candidates for part in candidate["content"].get("parts", ())]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    reason, usage = candidates[-1]["finishReason"], recorded[-1]["usageMetadata"]
    thought = usage.get("thoughtsTokenCount")
    return Said(
        content="".join(part.get("text", "") for part in parts if not part.get("thought")),
        tool_calls=[[call.get("id", call["name"]), call["name"], call["args"]] for call in calls],
        stop_reason="tool_use" if calls else _REASONS.get(reason, reason),
        provider_stop_reason=reason,
        usage=[
            usage["promptTokenCount"] + usage.get("toolUsePromptTokenCount", 0),
            usage.get("candidatesTokenCount", 0) + (thought or 0),
            usage["totalTokenCount"],
            usage.get("cachedContentTokenCount"),
            thought,
        ],
    )


def events(exchange: Exchange) -> list[Any]:
    """The recorded events of a stream."""
    lines = exchange["response"].splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def not_stored(exchange: Exchange) -> str | None:
    """Why an answer must not be stored; None where it may be."""
    asked = json.dumps([exchange["request"]["contents"], exchange["request"].get("tools")])
    kept = next((why for mark, why in _KEPT.items() if mark in asked), None)
    reason = said(exchange).stop_reason
    return kept or (None if reason in ("end_turn", "tool_use") else f"it ended with {reason}")
