"""Requests and responses of OpenAI's chat completions. Pure functions, without the SDK or a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from spark_cache.providers.conversation import are_plain_turns, normalise_message
from spark_cache.providers.openai.blocks import (
    ToolUse,
    data_url,
    file_name,
    function_of,
    tool_result,
    tool_use,
)
from spark_cache.providers.openai.schema import format_of
from spark_cache.providers.response import ModelResponse, ToolCall, Usage
from spark_cache.types import Base64Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from spark_cache.providers.dialect import Arguments

__all__ = ["body_of", "is_empty", "read_answer", "stop_reasons", "text_of", "turn_of"]

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
}


def body_of(arguments: Arguments) -> dict[str, Any]:
    """Return the body of a request to ``/chat/completions``.

    Args:
        arguments: The arguments of the call.
    """
    messages = arguments.messages
    if not are_plain_turns(messages):
        messages = [written for message in messages for written in _messages(message)]
    if arguments.system_prompt is not None:
        messages = [{"role": "system", "content": arguments.system_prompt}, *messages]
    body = {**arguments.parameters, "messages": messages}
    if arguments.tool_specs is not None:
        body["tools"] = [_tool(spec) for spec in arguments.tool_specs]
    if arguments.tool_choice is not None:
        body["tool_choice"] = _tool_choice(arguments.tool_choice, body.get("tools") or ())
    if arguments.output_schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": format_of(arguments.output_schema)}
    return body


def _messages(message: Any) -> Iterator[Any]:
    """Yield a message in the API's form, in which each tool result is a separate message."""
    message = normalise_message(message)
    if not isinstance(message, dict) or not isinstance(message.get("content"), list | tuple):
        yield message
        return
    content, uses = [], []
    for block in message["content"]:
        use, result = tool_use(block), tool_result(block)
        if use is not None:
            uses.append(_use(use))
        elif result is not None:
            parts = result.content
            yield {
                "role": "tool",
                "tool_call_id": result.id,
                "content": parts if isinstance(parts, str) else [_block(part) for part in parts],
            }
        else:
            content.append(_block(block))
    if uses:
        yield {**message, "content": content or None, "tool_calls": uses}
    elif content or not message["content"]:
        yield {**message, "content": content}


def _use(use: ToolUse) -> dict[str, Any]:
    function = {"name": use.name, "arguments": use.arguments}
    return {"id": use.id, "type": "function", "function": function}


def _block(block: Any) -> Any:
    if not isinstance(block, dict) or "type" in block:
        return block
    return {"type": "text", **block} if isinstance(block.get("text"), str) else _media(block)


def _media(block: dict[str, Any]) -> Any:
    match block:
        case {"image": {"source": {"bytes": bytes()}} as image}:
            return {"type": "image_url", "image_url": {"url": data_url("image", image)}}
        case {"audio": {"format": form, "source": {"bytes": bytes(data)}}}:
            return {"type": "input_audio", "input_audio": {"data": Base64Text(data), "format": form}}
        case {"document": {"source": {"text": str(text)}}}:
            return {"type": "text", "text": text}
        case {"document": {"source": {"bytes": bytes()}} as document}:
            named = {"filename": file_name(document)}
            return {"type": "file", "file": {**named, "file_data": data_url("application", document)}}
    return block


def _tool(spec: Any) -> Any:
    function = function_of(spec)
    return spec if function is None else {"type": "function", "function": function}


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
    """Read a chat completion. Fields that a compatible service leaves out are empty.

    Args:
        raw: The provider's JSON.
    """
    choice = next(iter(_choices(raw)), {})
    message = choice.get("message") or {}
    return ModelResponse(
        content=text_of(message.get("content")),
        stop_reason=_stop_reason(choice),
        usage=_usage(raw.get("usage") if isinstance(raw, dict) else None),
        tool_calls=tuple(_tool_call(call) for call in message.get("tool_calls") or ()),
        raw=raw,
        provider_stop_reason=choice.get("finish_reason"),
    )


def turn_of(raw: Any) -> list[Any] | None:
    """Return the message of the first choice in a form that the API accepts, without null fields and empty lists.

    Args:
        raw: The provider's JSON.
    """
    message = next(iter(_choices(raw)), {}).get("message")
    if not message:
        return None
    fields = {name: value for name, value in message.items() if value not in (None, [])}
    return [{"content": None, **fields}] if fields.keys() - {"role"} else []


def stop_reasons(raw: Any) -> Sequence[str | None]:
    """Return why the model stopped, for each choice.

    Args:
        raw: The provider's JSON.
    """
    return [_stop_reason(choice) for choice in _choices(raw)]


def is_empty(raw: Any) -> bool:
    """Return whether no choice of a completion has any content.

    Args:
        raw: The provider's JSON.
    """
    return not any(map(_has_content, _choices(raw)))


_NO_CONTENT = frozenset({"annotations", "reasoning_details", "role"})


def _has_content(choice: Mapping[str, Any]) -> bool:
    message = choice.get("message") or {}
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    if text_of(content) or any(_is_media(part) for part in parts):
        return True
    return any(value for name, value in message.items() if name != "content" and name not in _NO_CONTENT)


def _is_media(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") != "text"


def _choices(raw: Any) -> Sequence[Mapping[str, Any]]:
    return (raw.get("choices") or ()) if isinstance(raw, dict) else ()


def _stop_reason(choice: Mapping[str, Any]) -> str | None:
    if (choice.get("message") or {}).get("refusal"):
        return "refusal"
    reason = choice.get("finish_reason")
    return _STOP_REASONS.get(reason, reason) if reason is not None else None


def text_of(content: Any) -> str:
    """Return the text of a response. Some compatible services send it in parts, next to parts that hold the reasoning.

    Args:
        content: The content of the message.
    """
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
