"""Anthropic Messages, answered without a model in the same way as chat completions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spark_cache.testing.standin.protocol import ProtocolError, count_tokens, expect, request_digest
from spark_cache.testing.standin.schema import UnmetSchemaError, example
from spark_cache.testing.standin.tools import chosen_tool, tool_call
from spark_cache.testing.standin.transport import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cache.testing.standin.chat import Answer

__all__ = ["answer_message", "refuse_message"]

_ROLES = {"user", "assistant", "system"}
_ERRORS = {401: "authentication_error", 404: "not_found_error"}
_CHOICES = {"any": "required", "auto": "auto", "none": "none"}
_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_SHOWN_CHARACTERS = 200


def answer_message(body: dict[str, Any], answer: Answer | None = None) -> dict[str, Any] | Stream:
    """Answer a request to ``/v1/messages``.

    Args:
        body: The body of the request.
        answer: Scripts the response: its text, or fields of the message such as ``content`` and ``stop_reason``.

    Returns:
        The message, or its events if the request asks for a stream.

    Raises:
        ProtocolError: The service would refuse the request.
    """
    if not expect(body, "messages", list, required=True):
        raise ProtocolError(400, "messages: at least one message is required")
    for index, message in enumerate(body["messages"]):
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise ProtocolError(400, f"messages.{index}.role: must be one of {', '.join(sorted(_ROLES))}.")
    model = expect(body, "model", str, required=True)
    limit = expect(body, "max_tokens", int, required=True)
    digest = request_digest(body)
    scripted = None if answer is None else answer(body)
    own = {"content": [{"type": "text", "text": scripted}]} if isinstance(scripted, str) else scripted
    message = {
        "id": f"msg_{digest[:24]}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "stop_reason": None,
        "stop_sequence": None,
        **(own or {"content": _own_content(body, digest)}),
    }
    message["content"] = [dict(block) for block in message["content"]]
    _finish(message, limit)
    output_tokens = sum(map(_tokens, message["content"]))
    message["usage"] = {
        "input_tokens": _TOKENS_PER_MESSAGE * len(body["messages"])
        + count_tokens(json.dumps(body["messages"])),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }
    if expect(body, "stream", bool):
        return Stream("text/event-stream; charset=utf-8", _framed(_events(message)))
    return message


def refuse_message(error: ProtocolError) -> dict[str, Any]:
    """Return the body of an error response in the format of the service.

    Args:
        error: The error.
    """
    kind = _ERRORS.get(error.status, "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": "req_stand_in"}


def _own_content(body: dict[str, Any], digest: str) -> list[dict[str, Any]]:
    last = body["messages"][-1]
    text, result = _text(last["content"])
    call = _call(body, None if result else text, digest)
    if call is not None:
        return [call]
    wanted = (expect(body, "output_config", dict) or {}).get("format")
    if wanted:
        try:
            return [{"type": "text", "text": json.dumps(example(wanted["schema"]))}]
        except UnmetSchemaError as error:
            raise ProtocolError(400, f"output_config.format.schema: {error}.") from error
    shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    echo = f"The tool said: {shown}" if result else f"You asked: {shown}"
    answer = {"type": "text", "text": f"[stand-in] {echo} (no model answered; request {digest[:8]})"}
    if (expect(body, "thinking", dict) or {}).get("type") not in {"enabled", "adaptive"}:
        return [answer]
    thought = {"type": "thinking", "thinking": "[stand-in] No model thought.", "signature": digest[:16]}
    return [thought, answer]


def _call(body: dict[str, Any], user_text: str | None, digest: str) -> dict[str, Any] | None:
    tools = [
        {"function": {"name": tool["name"], "parameters": tool["input_schema"]}}
        for tool in expect(body, "tools", list) or []
        if "input_schema" in tool
    ]
    choice = expect(body, "tool_choice", dict) or {}
    named: Any = {"function": {"name": choice.get("name")}}
    wanted = named if choice.get("type") == "tool" else _CHOICES.get(choice.get("type", "auto"))
    tool = chosen_tool({"tools": tools, "tool_choice": wanted}, user_text)
    if tool is None:
        return None
    arguments = tool_call(tool, digest)["function"]["arguments"]
    return {
        "type": "tool_use",
        "id": f"toolu_{digest[:24]}",
        "name": tool["name"],
        "input": json.loads(arguments),
    }


def _text(content: Any) -> tuple[str, bool]:
    """Return the text of a message and whether it holds a tool result; blocks without text are shown by their type."""
    if isinstance(content, str):
        return content, False
    results = [block for block in content if block.get("type") == "tool_result"]
    if results:
        return _text(results[-1].get("content") or "")[0], True
    return " ".join(block.get("text") or f"[{block.get('type')}]" for block in content), False


def _finish(message: dict[str, Any], limit: int) -> None:
    """Cut the text at the token limit, and set the stop reason unless it is scripted."""
    block = message["content"][-1] if message["content"] else {}
    reason = "tool_use" if block.get("type") == "tool_use" else "end_turn"
    if block.get("type") == "text" and _tokens(block) > limit:
        block["text"], reason = block["text"][: _CHARACTERS_PER_TOKEN * limit], "max_tokens"
    message["stop_reason"] = message["stop_reason"] or reason


def _tokens(block: dict[str, Any]) -> int:
    return count_tokens(block.get("text") or json.dumps(block.get("input") or ""))


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    usage = {**message["usage"], "output_tokens": 1}
    yield {
        "type": "message_start",
        "message": {**message, "content": [], "stop_reason": None, "usage": usage},
    }
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        begun, deltas = _pieces(block)
        yield {"type": "content_block_start", "index": index, "content_block": begun}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ends = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    counted = {"output_tokens": message["usage"]["output_tokens"]}
    yield {"type": "message_delta", "delta": ends, "usage": counted}
    yield {"type": "message_stop"}


def _pieces(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block:
        case {"type": "text", "text": text}:
            return {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in _cut(text)]
        case {"type": "tool_use", "input": arguments}:
            deltas = [
                {"type": "input_json_delta", "partial_json": piece} for piece in _cut(json.dumps(arguments))
            ]
            return {**block, "input": {}}, deltas
        case {"type": "thinking", "thinking": thought, "signature": signature}:
            thoughts = [{"type": "thinking_delta", "thinking": piece} for piece in _cut(thought)]
            return {**block, "thinking": "", "signature": ""}, [
                *thoughts,
                {"type": "signature_delta", "signature": signature},
            ]
    return block, []


def _cut(text: str) -> list[str]:
    size = _CHARACTERS_PER_TOKEN
    return [text[start : start + size] for start in range(0, len(text), size)]


def _framed(events: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    for event in events:
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
