"""OpenAI Chat Completions, including those of compatible services, and OpenAI Responses."""

from __future__ import annotations

import json
from inspect import signature
from typing import TYPE_CHECKING, Any

from benchmarks.replay.provider import Exchange, RecordedContent

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
    """Return the name of the endpoint of an exchange, or None if it belongs to another provider.

    Args:
        exchange: The recorded exchange.
    """
    return next((name for path, name in _PATHS.items() if exchange["path"].endswith(path)), None)


def model(exchange: Exchange, server: str) -> Model:
    """Return the model of an exchange.

    Args:
        exchange: The recorded exchange.
        server: The URL of the server.
    """
    from spark_cache import OpenAIModel  # noqa: PLC0415 - the comparing process does not need it

    (path,) = (path for path in _PATHS if exchange["path"].endswith(path))
    base_url = server + exchange["path"].removesuffix(path)
    return OpenAIModel(
        exchange["request"]["model"],
        api="responses" if _PATHS[path] == "responses" else "chat",
        client_args={"base_url": base_url, "api_key": "x", "max_retries": 0},
    )


def arguments(exchange: Exchange) -> dict[str, Any]:
    """Return the arguments of ``get_text`` for the recorded request; parameters unknown to the SDK go to ``extra_body``.

    Args:
        exchange: The recorded exchange.
    """
    from openai.resources.chat import AsyncCompletions  # noqa: PLC0415 - the comparing process does not need it
    from openai.resources.responses import AsyncResponses  # noqa: PLC0415 - the same

    resource: Any = AsyncResponses if endpoint(exchange) == "responses" else AsyncCompletions
    known = signature(resource.create).parameters
    request = {name: value for name, value in exchange["request"].items() if name not in ("model", "stream")}
    named = {_NAMED.get(name, name): value for name, value in request.items() if name in known}
    unknown = {name: value for name, value in request.items() if name not in known}
    return {**named, "extra_body": unknown} if unknown else named


def status_of(error: Exception) -> int | None:
    """Return the HTTP status of an error of the SDK, or None for any other error.

    Args:
        error: The error.
    """
    from openai import APIStatusError  # noqa: PLC0415 - the comparing process does not need it

    return error.status_code if isinstance(error, APIStatusError) else None


def events(exchange: Exchange) -> list[Any]:
    """Return the recorded events of a stream.

    Args:
        exchange: The recorded exchange.
    """
    data = [
        line.removeprefix("data: ") for line in exchange["response"].splitlines() if line.startswith("data: ")
    ]
    return [json.loads(text) for text in data if text != "[DONE]"]


def recorded_content(exchange: Exchange) -> RecordedContent:
    """Return the content of a recorded response.

    Args:
        exchange: The recorded exchange.
    """
    if endpoint(exchange) == "responses":
        return _content_of_response(
            events(exchange)[-1]["response"] if exchange["stream"] else json.loads(exchange["response"])
        )
    if exchange["stream"]:
        return _content_of_chunks(events(exchange))
    raw = json.loads(exchange["response"])
    choice = raw["choices"][0]
    calls = choice["message"].get("tool_calls") or ()
    return RecordedContent(
        content=choice["message"].get("content") or "",
        tool_calls=[
            [call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])]
            for call in calls
        ],
        stop_reason=_STOPPED[choice["finish_reason"]],
        provider_stop_reason=choice["finish_reason"],
        usage=_chat_usage(raw["usage"]),
    )


def _content_of_chunks(chunks: list[Any]) -> RecordedContent:
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    deltas = [choice["delta"] for choice in choices]
    pieces = [piece for delta in deltas for piece in delta.get("tool_calls") or ()]
    calls = [piece for piece in pieces if piece.get("id")]
    arguments_of_calls = [
        "".join(piece["function"]["arguments"] for piece in pieces if piece["index"] == call["index"])
        for call in calls
    ]
    (reason,) = {choice["finish_reason"] for choice in choices} - {None}
    (usage,) = (chunk["usage"] for chunk in chunks if chunk.get("usage"))
    return RecordedContent(
        content="".join(delta.get("content") or "" for delta in deltas),
        tool_calls=[
            [call["id"], call["function"]["name"], json.loads(text)]
            for call, text in zip(calls, arguments_of_calls, strict=True)
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


def _content_of_response(raw: dict[str, Any]) -> RecordedContent:
    parts = [part for item in raw["output"] if item["type"] == "message" for part in item["content"]]
    calls = [item for item in raw["output"] if item["type"] == "function_call"]
    usage = raw.get("usage")
    finished = "tool_use" if calls else "end_turn"
    return RecordedContent(
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
    """Return why a response must not be stored, or None if it may be stored.

    Args:
        exchange: The recorded exchange.
    """
    for name in _STATEFUL:
        if exchange["request"].get(name):
            return f"it depends on state at the provider: {name}"
    reason = recorded_content(exchange).stop_reason
    return None if reason in _WHOLE else f"it ended with {reason}"
