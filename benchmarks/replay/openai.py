"""OpenAI's chat completions, also those of services that speak them, and its Responses interface."""

from __future__ import annotations

import json
from inspect import signature
from typing import TYPE_CHECKING, Any

from benchmarks.replay.provider import Exchange, Said

if TYPE_CHECKING:
    from spark_cache import Model

_PATHS = {"/chat/completions": "chat", "/responses": "responses"}
_NAMED = {
    "messages": "messages",
    "input": "messages",
    "instructions": "system_prompt",
    "tools": "tool_specs",
    "tool_choice": "tool_choice",
}
_STOPPED = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_STATEFUL = ("background", "conversation", "previous_response_id")
_WHOLE = ("end_turn", "tool_use")


def endpoint(exchange: Exchange) -> str | None:
    """The name of the endpoint that an exchange was recorded from; None where it is not this provider's."""
    return next((name for path, name in _PATHS.items() if exchange["path"].endswith(path)), None)


def model(exchange: Exchange, server: str) -> Model:
    """The model to ask, at a server."""
    from spark_cache import OpenAIModel  # noqa: PLC0415 - the comparing process has no use for it

    (path,) = (path for path in _PATHS if exchange["path"].endswith(path))
    base_url = server + exchange["path"].removesuffix(path)
    return OpenAIModel(
        exchange["request"]["model"],
        api="responses" if _PATHS[path] == "responses" else "chat",
        client_args={"base_url": base_url, "api_key": "x", "max_retries": 0},
    )


def arguments(exchange: Exchange) -> dict[str, Any]:
    """The arguments of ``get_text`` that mean the recorded request; what the SDK does not know by name is its ``extra_body``."""
    from openai.resources.chat import AsyncCompletions  # noqa: PLC0415 - the comparing process has no use for it
    from openai.resources.responses import AsyncResponses  # noqa: PLC0415 - the same

    resource: Any = AsyncResponses if endpoint(exchange) == "responses" else AsyncCompletions
    known = signature(resource.create).parameters
    asked = {name: value for name, value in exchange["request"].items() if name not in ("model", "stream")}
    named = {_NAMED.get(name, name): value for name, value in asked.items() if name in known}
    unnamed = {name: value for name, value in asked.items() if name not in known}
    return {**named, "extra_body": unnamed} if unnamed else named


def status_of(error: Exception) -> int | None:
    """The HTTP status of an error of the SDK; None for any other error."""
    from openai import APIStatusError  # noqa: PLC0415 - the comparing process has no use for it

    return error.status_code if isinstance(error, APIStatusError) else None


def events(exchange: Exchange) -> list[Any]:
    """The recorded events of a stream."""
    data = [
        line.removeprefix("data: ") for line in exchange["response"].splitlines() if line.startswith("data: ")
    ]
    return [json.loads(text) for text in data if text != "[DONE]"]


def said(exchange: Exchange) -> Said:
    """What a recorded answer says."""
    if endpoint(exchange) == "responses":
        return _said_by_response(
            events(exchange)[-1]["response"] if exchange["stream"] else json.loads(exchange["response"])
        )
    if exchange["stream"]:
        return _said_by_chunks(events(exchange))
    raw = json.loads(exchange["response"])
    choice = raw["choices"][0]
    calls = choice["message"].get("tool_calls") or ()
    return Said(
        content=choice["message"].get("content") or "",
        tool_calls=[
            [call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])]
            for call in calls
        ],
        stop_reason=_STOPPED[choice["finish_reason"]],
        provider_stop_reason=choice["finish_reason"],
        usage=_chat_usage(raw["usage"]),
    )


def _said_by_chunks(chunks: list[Any]) -> Said:
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    deltas = [choice["delta"] for choice in choices]
    pieces = [piece for delta in deltas for piece in delta.get("tool_calls") or ()]
    begun = [piece for piece in pieces if piece.get("id")]
    written = [
        "".join(piece["function"]["arguments"] for piece in pieces if piece["index"] == one["index"])
        for one in begun
    ]
    (reason,) = {choice["finish_reason"] for choice in choices} - {None}
    (usage,) = (chunk["usage"] for chunk in chunks if chunk.get("usage"))
    return Said(
        content="".join(delta.get("content") or "" for delta in deltas),
        tool_calls=[
            [one["id"], one["function"]["name"], json.loads(text)]
            for one, text in zip(begun, written, strict=True)
        ],
        stop_reason=_STOPPED[reason],
        provider_stop_reason=reason,
        usage=_chat_usage(usage),
    )


def _chat_usage(usage: dict[str, Any]) -> list[int | None]:
    asked, answered = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    return [
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["total_tokens"],
        asked.get("cached_tokens"),
        answered.get("reasoning_tokens"),
    ]


def _said_by_response(raw: dict[str, Any]) -> Said:
    parts = [part for item in raw["output"] if item["type"] == "message" for part in item["content"]]
    calls = [item for item in raw["output"] if item["type"] == "function_call"]
    usage = raw.get("usage")
    finished = "tool_use" if calls else "end_turn"
    return Said(
        content="".join(part["text"] for part in parts if part["type"] == "output_text"),
        tool_calls=[[call["call_id"], call["name"], json.loads(call["arguments"])] for call in calls],
        stop_reason=finished if raw["status"] in ("complete", "completed") else raw["status"],
        provider_stop_reason=raw["status"],
        usage=usage
        and [
            usage["input_tokens"],
            usage["output_tokens"],
            usage["total_tokens"],
            (usage.get("input_tokens_details") or {}).get("cached_tokens"),
            (usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
        ],
    )


def not_stored(exchange: Exchange) -> str | None:
    """Why an answer must not be stored; None where it may be."""
    for name in _STATEFUL:
        if exchange["request"].get(name):
            return f"it leans on state at the provider: {name}"
    reason = said(exchange).stop_reason
    return None if reason in _WHOLE else f"it ended with {reason}"
