"""Requests and responses of Anthropic's Messages API. Pure functions, without the SDK or a connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spark_cache.providers.arguments import arguments_text
from spark_cache.providers.conversation import (
    are_plain_turns,
    function_calls,
    joined_turns,
    split_instructions,
)
from spark_cache.providers.plain_schema import plain_schema
from spark_cache.providers.response import ModelResponse, ToolCall, Usage
from spark_cache.types import Base64Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_cache.providers.dialect import Arguments

__all__ = ["body_of", "is_empty", "read_answer", "turn_of"]

_CHOICES = {"auto": "auto", "none": "none", "required": "any", "any": "any"}

_STOP_REASONS = {"model_context_window_exceeded": "max_tokens"}

_MEDIA_TYPES = {"jpg": "image/jpeg", "pdf": "application/pdf"}


def body_of(arguments: Arguments) -> dict[str, Any]:
    """Return the body of a request to ``/v1/messages``.

    Args:
        arguments: The arguments of the call.
    """
    instructions, messages = split_instructions(arguments.messages)
    turns = messages if are_plain_turns(messages) else joined_turns(messages, _turn, _result_of_message)
    body = {**arguments.parameters, "messages": turns}
    given = body.get("system") if arguments.system_prompt is None else arguments.system_prompt
    system = _system([given, *instructions])
    if system is not None:
        body["system"] = system
    if arguments.tool_specs is not None:
        body["tools"] = [_tool(spec) for spec in arguments.tool_specs]
    if arguments.tool_choice is not None:
        body["tool_choice"] = _tool_choice(arguments.tool_choice)
    if arguments.operation == "json":
        wanted = {"type": "json_schema", "schema": plain_schema(arguments.output_schema)}
        body["output_config"] = {**(body.get("output_config") or {}), "format": wanted}
    return body


def _system(given: Sequence[Any]) -> Any:
    """Combine instructions from several places. A single string stays a string."""
    kept = [content for content in given if content is not None]
    if len(kept) == 1:
        return _content(kept[0])
    return [block for content in kept for block in _blocks(content)] if kept else None


def _turn(message: Any) -> Any:
    if not isinstance(message, dict):
        return message
    if message.get("tool_calls"):
        uses = [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
            for call in function_calls(message)
        ]
        return {"role": message["role"], "content": [*_blocks(message.get("content") or ()), *uses]}
    return {**message, "content": _content(message.get("content"))}


def _result_of_message(message: Mapping[str, Any]) -> dict[str, Any]:
    return _tool_result(message["tool_call_id"], message.get("content"))


def _content(content: Any) -> Any:
    return _blocks(content) if isinstance(content, list | tuple) else content


def _blocks(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else [*map(_block, content)]


def _block(block: Any) -> Any:
    if not isinstance(block, dict) or "type" in block:
        return block
    match block:
        case {"text": str()}:
            return {"type": "text", **block}
        case {"toolUse": {"toolUseId": call, "name": name, "input": arguments}}:
            return {"type": "tool_use", "id": call, "name": name, "input": arguments}
        case {"toolResult": {"toolUseId": call, "content": content, **result}}:
            return _tool_result(call, content, failed=result.get("status") == "error")
    return _media(block)


def _media(block: dict[str, Any]) -> Any:
    match block:
        case {"image": {"format": str(form), "source": {"bytes": bytes(data)}}}:
            return {"type": "image", "source": _base64(_MEDIA_TYPES.get(form, f"image/{form}"), data)}
        case {"document": {"source": {"bytes": bytes(data)}, **document}}:
            return {"type": "document", "source": _document(document.get("format"), data), **_title(document)}
        case {"document": {"source": {"text": str(text)}, **document}}:
            return {"type": "document", "source": _text_document(text), **_title(document)}
    return block


def _base64(media_type: str, data: bytes) -> dict[str, Any]:
    return {"type": "base64", "media_type": media_type, "data": Base64Text(data)}


def _document(form: Any, data: bytes) -> dict[str, Any]:
    return _base64(_MEDIA_TYPES["pdf"], data) if form == "pdf" else _text_document(data.decode())


def _text_document(text: str) -> dict[str, Any]:
    return {"type": "text", "media_type": "text/plain", "data": text}


def _title(document: Mapping[Any, Any]) -> dict[str, Any]:
    return {"title": document["name"]} if "name" in document else {}


def _tool_result(call: Any, content: Any, *, failed: bool = False) -> dict[str, Any]:
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": call}
    if content is not None:
        result["content"] = content if isinstance(content, str) else [*map(_result_block, content)]
    if failed:
        result["is_error"] = True
    return result


def _result_block(block: Any) -> Any:
    if isinstance(block, dict) and block.keys() == {"json"}:
        # Sorted, because the order of names is not part of the key.
        return {"type": "text", "text": json.dumps(block["json"], ensure_ascii=False, sort_keys=True)}
    return _block(block)


def _tool(spec: Any) -> Any:
    match spec:
        case {"type": "function", "function": dict(function)}:
            return _tool(function)
        case {"toolSpec": {"inputSchema": {"json": schema}, **rest}}:
            return {**rest, "input_schema": schema}
        case {"name": _} if "type" not in spec and "input_schema" not in spec:
            named = {name: value for name, value in spec.items() if name != "parameters"}
            return {**named, "input_schema": spec.get("parameters") or {"type": "object"}}
    return spec


def _tool_choice(choice: Any) -> Any:
    match choice:
        case str():
            kind = _CHOICES.get(choice)
            return {"type": kind} if kind else {"type": "tool", "name": choice}
        case {"type": "function", "function": {"name": name}}:
            return {"type": "tool", "name": name}
    return choice


# -- responses ----------------------------------------------------------------------------------------------


def read_answer(raw: Any) -> ModelResponse:
    """Read a response. Fields that a compatible service leaves out are empty.

    Args:
        raw: The provider's JSON.
    """
    message = raw if isinstance(raw, dict) else {}
    blocks = message.get("content") or ()
    reason: str | None = message.get("stop_reason")
    return ModelResponse(
        content="".join(block["text"] for block in blocks if block.get("type") == "text"),
        stop_reason=_STOP_REASONS.get(reason or "", reason),
        usage=_usage(message.get("usage")),
        tool_calls=tuple(_tool_call(block) for block in blocks if block.get("type") == "tool_use"),
        raw=raw,
        provider_stop_reason=reason,
    )


def is_empty(raw: Any) -> bool:
    """Return whether a response has no blocks besides empty text.

    Args:
        raw: The provider's JSON.
    """
    blocks = raw.get("content") if isinstance(raw, dict) else None
    return all(block.get("type") == "text" and not block.get("text") for block in blocks or ())


def turn_of(raw: Any) -> list[Any] | None:
    """Return a response as a message that the API accepts, with all its blocks, including signed thinking.

    Args:
        raw: The provider's JSON.
    """
    blocks = raw.get("content") if isinstance(raw, dict) else None
    if blocks is None:
        return None
    return [{"role": "assistant", "content": blocks}] if blocks else []


def _usage(usage: Any) -> Usage | None:
    if not usage:
        return None
    cached, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    # The provider's input_tokens excludes the tokens that were read from or written to its prompt cache.
    input_tokens = (usage.get("input_tokens") or 0) + (cached or 0) + (written or 0)
    output_tokens = usage.get("output_tokens") or 0
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=input_tokens + output_tokens,
        cached_tokens=cached,
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
        cache_write_tokens=written,
    )


def _tool_call(block: Mapping[str, Any]) -> ToolCall:
    text = arguments_text(block.get("input"))
    return ToolCall.from_text(block.get("id") or "", block.get("name") or "", text)
