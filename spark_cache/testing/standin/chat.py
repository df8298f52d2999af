"""OpenAI Chat Completions, answered without a model.

The text of a response repeats the question, states that no model was involved, and ends with a digest of the request, so that
two different requests never have the same response. The ``answer`` function scripts the response instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from spark_cache.testing.standin.protocol import ProtocolError, count_tokens, expect, request_digest
from spark_cache.testing.standin.schema import UnmetSchemaError, example
from spark_cache.testing.standin.streaming import chunks
from spark_cache.testing.standin.tools import chosen_tool, tool_call

__all__ = ["Answer", "complete_chat"]

Answer = Callable[[dict[str, Any]], "str | dict[str, Any]"]
"""Scripts a response: takes the body of a request and returns a string, or a message that may hold ``finish_reason``."""

_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
_CREATED = 1_700_000_000
_TOKENS_PER_MESSAGE = 4
_SHOWN_CHARACTERS = 200
_MOST_CHOICES = 128


def complete_chat(
    body: dict[str, Any], answer: Answer | None = None
) -> dict[str, Any] | Iterator[dict[str, Any]]:
    """Answer a request to ``/v1/chat/completions``.

    Args:
        body: The body of the request.
        answer: Scripts the message of each choice; None for the default message of the stand-in.

    Returns:
        The completion, or its chunks if the request asks for a stream.

    Raises:
        ProtocolError: The service would refuse the request.
    """
    _check_messages(body)
    model = expect(body, "model", str, required=True)
    limit = _token_limit(body)
    digest = request_digest(body)
    choices = []
    for index in range(_choice_count(body)):
        message = _own_message(body, digest, index) if answer is None else _scripted(answer(body))
        choices.append(_choice(index, message, limit))
    completion = {
        "id": f"chatcmpl-{digest[:29]}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": model,
        "choices": choices,
        "usage": _usage(_prompt_tokens(body), sum(_message_tokens(choice["message"]) for choice in choices)),
        "system_fingerprint": "fp_stand_in",
    }
    options = expect(body, "stream_options", dict)
    if expect(body, "stream", bool):
        return chunks(completion, include_usage=bool((options or {}).get("include_usage")))
    if options is not None:
        raise ProtocolError(400, "'stream_options' requires 'stream'.", param="stream_options")
    return completion


def _check_messages(body: dict[str, Any]) -> None:
    messages = expect(body, "messages", list, required=True)
    if not messages:
        raise ProtocolError(
            400, "Invalid 'messages': must not be empty.", param="messages", code="empty_array"
        )
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            roles = ", ".join(sorted(_ROLES))
            raise ProtocolError(
                400,
                f"Invalid 'messages[{index}]': must be an object whose 'role' is one of {roles}.",
                param=f"messages[{index}].role",
                code="invalid_value",
            )


def _choice_count(body: dict[str, Any]) -> int:
    count: int | None = expect(body, "n", int)
    if count is None:
        return 1
    if not 1 <= count <= _MOST_CHOICES:
        raise ProtocolError(400, f"Invalid 'n': must be between 1 and {_MOST_CHOICES}.", param="n")
    return count


def _token_limit(body: dict[str, Any]) -> int | None:
    limits = {name: expect(body, name, int) for name in ("max_tokens", "max_completion_tokens")}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if len(given) > 1:
        raise ProtocolError(
            400, "Set either 'max_tokens' or 'max_completion_tokens', not both.", param="max_tokens"
        )
    for name, limit in given.items():
        if limit < 1:
            raise ProtocolError(400, f"Invalid '{name}': must be at least 1.", param=name)
        return int(limit)
    return None


def _own_message(body: dict[str, Any], digest: str, index: int) -> dict[str, Any]:
    last = body["messages"][-1]
    tool = chosen_tool(body, _text(last.get("content")) if last["role"] == "user" else None)
    if tool is not None:
        return {"content": None, "tool_calls": [tool_call(tool, digest)]}
    structured = _structured(expect(body, "response_format", dict))
    if structured is not None:
        return {"content": json.dumps(structured)}
    return {"content": _own_text(body["messages"], digest, index)}


def _own_text(messages: list[dict[str, Any]], digest: str, index: int) -> str:
    last = messages[-1]
    user_messages = [message for message in messages if message["role"] == "user"]
    if last["role"] in {"tool", "function"}:
        echo = f"The tool said: {_shortened(_text(last.get('content')))}"
    else:
        echo = f"You asked: {_shortened(_text((user_messages or messages)[-1].get('content')))}"
    choice = f"choice {index + 1}, " if index else ""
    return f"[stand-in] {echo} (no model answered; {choice}request {digest[:8]})"


def _structured(response_format: dict[str, Any] | None) -> Any:
    match (response_format or {}).get("type"):
        case "json_object":
            return {"stand-in": "no model answered"}
        case "json_schema":
            schema = (response_format or {}).get("json_schema", {}).get("schema", {})
            try:
                return example(schema)
            except UnmetSchemaError as error:
                raise ProtocolError(
                    400, f"Invalid schema for response_format: {error}.", param="response_format"
                ) from error
    return None


def _scripted(answer: str | dict[str, Any]) -> dict[str, Any]:
    return {"content": answer} if isinstance(answer, str) else dict(answer)


def _choice(index: int, message: dict[str, Any], limit: int | None) -> dict[str, Any]:
    usual = "tool_calls" if message.get("tool_calls") else "stop"
    reason = message.pop("finish_reason", usual)
    whole = {"role": "assistant", "content": None, "refusal": None, "annotations": [], **message}
    if limit is not None and _message_tokens(whole) > limit:
        whole, reason = _cut(whole, limit), "length"
    return {"index": index, "message": whole, "logprobs": None, "finish_reason": reason}


def _cut(message: dict[str, Any], limit: int) -> dict[str, Any]:
    """Keep the first ``limit`` tokens, counting the text first and then the arguments of each tool call."""
    kept = dict(message)
    if message["content"] is not None:
        kept["content"] = message["content"][: 4 * limit]
        limit -= count_tokens(kept["content"])
    calls = []
    for call in message.get("tool_calls", []):
        function = call["function"]
        limit -= count_tokens(function["name"])
        if limit < 0:
            break
        arguments = function["arguments"][: 4 * limit]
        limit -= count_tokens(arguments)
        calls.append({**call, "function": {**function, "arguments": arguments}})
    if "tool_calls" in message:
        kept["tool_calls"] = calls
    return kept


def _text(content: Any) -> str:
    """Return the text of a message's content; parts without text are shown by their type."""
    if isinstance(content, list):
        return " ".join(
            str(part.get("text", f"[{part.get('type')}]")) for part in content if isinstance(part, dict)
        )
    return content if isinstance(content, str) else ""


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _message_tokens(message: dict[str, Any]) -> int:
    functions = [call["function"] for call in message.get("tool_calls") or []]
    texts = [_text(message.get("content"))]
    for function in functions:
        texts += function["name"], function["arguments"]
    return sum(map(count_tokens, texts))


def _prompt_tokens(body: dict[str, Any]) -> int:
    """Count four tokens for each message, plus its text and tool calls, plus the tool definitions as JSON."""
    tools = count_tokens(json.dumps(body["tools"])) if body.get("tools") else 0
    return tools + sum(_TOKENS_PER_MESSAGE + _message_tokens(message) for message in body["messages"])


def _usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
