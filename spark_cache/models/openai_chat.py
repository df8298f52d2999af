"""OpenAI's chat completions: what is sent, and what the answer says. Pure: neither the SDK nor a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from spark_cache.keys import normalise_message
from spark_cache.models.response import ModelResponse, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_cache.types import Request

__all__ = ["body_of", "read_answer", "stop_reasons"]

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
}


def body_of(request: Request) -> dict[str, Any]:
    """The arguments of ``chat.completions.create``."""
    messages = [_message(message) for message in request.messages]
    if request.system_prompt is not None:
        messages.insert(0, {"role": "system", "content": request.system_prompt})
    body = {**request.parameters, "model": request.model_id, "messages": messages}
    if request.tool_specs is not None:
        body["tools"] = [_tool(spec) for spec in request.tool_specs]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice, body.get("tools") or ())
    return body


def _message(message: Any) -> Any:
    message = normalise_message(message)
    if not isinstance(message, dict) or not isinstance(message.get("content"), list | tuple):
        return message
    return {**message, "content": [_block(block) for block in message["content"]]}


def _block(block: Any) -> Any:
    if isinstance(block, dict) and "type" not in block and isinstance(block.get("text"), str):
        return {"type": "text", **block}
    return block


def _tool(spec: Any) -> Any:
    if not isinstance(spec, dict) or "type" in spec or "name" not in spec:
        return spec
    return {"type": "function", "function": spec}


def _tool_choice(choice: Any, tools: Sequence[Any]) -> Any:
    if choice == "any":
        return "required"
    if not isinstance(choice, str) or choice in ("auto", "none", "required"):
        return choice
    for tool in tools:
        kind = tool.get("type") if isinstance(tool, dict) else None
        named = tool.get(kind) if kind is not None else None
        if isinstance(named, dict) and named.get("name") == choice:
            return {"type": kind, kind: {"name": choice}}
    return choice


def read_answer(raw: Any) -> ModelResponse:
    """Understand a chat completion; what a compatible service leaves out stays empty."""
    choice = next(iter(_choices(raw)), {})
    message = choice.get("message") or {}
    return ModelResponse(
        content=_text(message.get("content")),
        stop_reason=_stop_reason(choice),
        usage=_usage(raw.get("usage") if isinstance(raw, dict) else None),
        tool_calls=tuple(_tool_call(call) for call in message.get("tool_calls") or ()),
        raw=raw,
        provider_stop_reason=choice.get("finish_reason"),
    )


def stop_reasons(raw: Any) -> Sequence[str | None]:
    """Why the model stopped, for each of the choices that were asked for."""
    return [_stop_reason(choice) for choice in _choices(raw)]


def _choices(raw: Any) -> Sequence[Mapping[str, Any]]:
    return (raw.get("choices") or ()) if isinstance(raw, dict) else ()


def _stop_reason(choice: Mapping[str, Any]) -> str | None:
    if (choice.get("message") or {}).get("refusal"):
        return "refusal"
    reason = choice.get("finish_reason")
    return _STOP_REASONS.get(reason, reason) if reason is not None else None


def _text(content: Any) -> str:
    """The text of an answer; some compatible services give it in parts, of which others hold the reasoning."""
    if isinstance(content, list):
        return "".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return content if isinstance(content, str) else ""


def _usage(usage: Any) -> Usage | None:
    if not usage:
        return None
    return Usage(
        input_tokens=usage.get("prompt_tokens") or 0,
        output_tokens=usage.get("completion_tokens") or 0,
        total_tokens=usage.get("total_tokens") or 0,
        cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        reasoning_tokens=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
    )


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    custom = call.get("custom")
    named = custom or call.get("function") or {}
    written = named.get("input" if custom else "arguments")
    text = written if isinstance(written, str) else orjson.dumps(written or {}).decode()
    return ToolCall.from_text(call.get("id") or "", named.get("name") or "", text)
