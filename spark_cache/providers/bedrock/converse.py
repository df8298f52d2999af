"""Requests and responses of Bedrock's Converse API. Pure functions, without the SDK or a connection."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from spark_cache.providers.arguments import arguments_text
from spark_cache.providers.conversation import function_calls, joined_turns, split_instructions
from spark_cache.providers.plain_schema import plain_schema
from spark_cache.providers.response import ModelResponse, ToolCall, Usage
from spark_cache.types import Base64Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spark_cache.providers.dialect import Arguments

__all__ = ["body_of", "in_form_of_boto3", "is_empty", "named_once", "read_answer", "turn_of", "with_bytes"]

_INFERENCE = {
    "max_tokens": "maxTokens",
    "maxTokens": "maxTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "topP": "topP",
    "stop_sequences": "stopSequences",
    "stopSequences": "stopSequences",
}
"""The parameters of the inference configuration, by the names under which callers may give them."""

_CONFIG = frozenset(_INFERENCE.values())

_CHOICES = {"auto": "auto", "required": "any", "any": "any"}

_STOP_REASONS = {
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "model_context_window_exceeded": "max_tokens",
}

_MEDIA = ("image", "document", "video", "audio")


def named_once(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters under the names of the API. Of two names for one parameter, the later one is sent.

    Args:
        parameters: The parameters of a call.
    """
    return {_INFERENCE.get(name, name): value for name, value in parameters.items() if value is not None}


def body_of(arguments: Arguments) -> dict[str, Any]:
    """Return the JSON body of ``converse``.

    Args:
        arguments: The arguments of the call.

    Raises:
        ValueError: The request cannot be expressed in Bedrock's form.
    """
    instructions, messages = split_instructions(arguments.messages)
    parameters = dict(arguments.parameters)
    config = {name: parameters.pop(name) for name in list(parameters) if name in _CONFIG}
    body: dict[str, Any] = {**parameters, "messages": joined_turns(messages, _turn, _result)}
    given = parameters.get("system") if arguments.system_prompt is None else arguments.system_prompt
    if given is not None or instructions:
        body["system"] = [block for content in (given, *instructions) for block in _content(content)]
    if config:
        body["inferenceConfig"] = {**(parameters.get("inferenceConfig") or {}), **config}
    tools = _tool_config(arguments)
    if tools:
        body["toolConfig"] = {**(parameters.get("toolConfig") or {}), **tools}
    if arguments.operation == "json":
        schema = json.dumps(plain_schema(arguments.output_schema), ensure_ascii=False)
        wanted = {"type": "json_schema", "structure": {"jsonSchema": {"name": "answer", "schema": schema}}}
        body["outputConfig"] = {**(parameters.get("outputConfig") or {}), "textFormat": wanted}
    return body


def in_form_of_boto3(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON body as arguments of boto3's ``converse``, with bytes where the JSON has Base64.

    Args:
        body: The body.

    Raises:
        ValueError: A string in place of bytes is not Base64.
    """
    messages = [
        {**message, "content": [with_bytes(block) for block in message["content"]]}
        if isinstance(message, dict) and isinstance(message.get("content"), list)
        else message
        for message in body["messages"]
    ]
    system = body.get("system")
    more = {"system": [with_bytes(block) for block in system]} if isinstance(system, list) else {}
    return {**body, "messages": messages, **more}


# -- messages -----------------------------------------------------------------------------------------------


def _turn(message: Any) -> Any:
    if not isinstance(message, dict):
        return message
    content = _content(message.get("content"))
    if "tool_calls" not in message:
        return {**message, "content": content}
    uses = [
        {"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}}
        for call in function_calls(message)
    ]
    return {"role": message["role"], "content": [*content, *uses]}


def _result(message: Mapping[str, Any]) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": message["tool_call_id"], "content": _content(message.get("content"))}}


def _content(content: Any) -> list[Any]:
    """Convert content to Bedrock's blocks. Strings, and the text blocks of OpenAI and Anthropic, become text blocks."""
    if content is None:
        return []
    return [{"text": content}] if isinstance(content, str) else [_block(block) for block in content]


def _block(block: Any) -> Any:
    if isinstance(block, str):
        return {"text": block}
    if isinstance(block, dict) and block.keys() == {"type", "text"} and block["type"] == "text":
        return {"text": block["text"]}
    return block


def with_bytes(block: Any) -> Any:
    """Convert a block to boto3's form: ``bytes`` where the service's JSON has base64.

    Args:
        block: A block of a message or of a response. A block that is already in boto3's form is returned unchanged.

    Raises:
        ValueError: A string in place of bytes is not base64.
    """
    if not isinstance(block, dict):
        return block
    converted = block
    for kind in _MEDIA:
        source = (block.get(kind) or {}).get("source")
        if isinstance(source, dict) and isinstance(source.get("bytes"), str | Base64Text):
            decoded = {**source, "bytes": _bytes(source["bytes"], f"{kind}.source.bytes")}
            converted = {**converted, kind: {**block[kind], "source": decoded}}
    reasoning = block.get("reasoningContent")
    if isinstance(reasoning, dict) and isinstance(reasoning.get("redactedContent"), str | Base64Text):
        data = _bytes(reasoning["redactedContent"], "reasoningContent.redactedContent")
        converted = {**converted, "reasoningContent": {**reasoning, "redactedContent": data}}
    if isinstance(block.get("guardContent"), dict):
        converted = {**converted, "guardContent": with_bytes(block["guardContent"])}
    result = block.get("toolResult")
    if isinstance(result, dict) and isinstance(result.get("content"), list | tuple):
        parts = [with_bytes(part) for part in result["content"]]
        converted = {**converted, "toolResult": {**result, "content": parts}}
    return converted


def _bytes(text: str | Base64Text, place: str) -> bytes:
    if isinstance(text, Base64Text):
        return text.data
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(
            f"{place} is a string that is not base64: give bytes, or base64 as in the service's JSON"
        ) from None


# -- tools --------------------------------------------------------------------------------------------------


def _tool_config(arguments: Arguments) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if arguments.tool_specs is not None:
        config["tools"] = [_tool(spec) for spec in arguments.tool_specs]
    if arguments.tool_choice is not None:
        config["toolChoice"] = _tool_choice(arguments.tool_choice)
    return config


def _tool(spec: Any) -> Any:
    match spec:
        case {"type": "function", "function": dict(function)}:
            return _tool(function)
        case {"name": name, **rest}:
            schema = rest.pop("parameters", None) or rest.pop("input_schema", None) or {"type": "object"}
            return {"toolSpec": {"name": name, **rest, "inputSchema": {"json": schema}}}
    return spec


def _tool_choice(choice: Any) -> Any:
    match choice:
        case "none":
            raise ValueError("Bedrock has no tool_choice 'none': leave out tool_specs instead")
        case str():
            kind = _CHOICES.get(choice)
            return {kind: {}} if kind else {"tool": {"name": choice}}
        case {"type": "function", "function": {"name": name}}:
            return {"tool": {"name": name}}
    return choice


# -- responses ----------------------------------------------------------------------------------------------


def read_answer(raw: Any) -> ModelResponse:
    """Read a response of ``converse``.

    Args:
        raw: The provider's JSON.
    """
    answer = raw if isinstance(raw, dict) else {}
    blocks = _blocks(answer)
    reason: str | None = answer.get("stopReason")
    return ModelResponse(
        content="".join(text for block in blocks for text in _texts(block)),
        stop_reason=_STOP_REASONS.get(reason or "", reason),
        usage=_usage(answer.get("usage")),
        tool_calls=tuple(_tool_call(block["toolUse"]) for block in blocks if _is_call(block)),
        raw=raw,
        provider_stop_reason=reason,
    )


def is_empty(raw: Any) -> bool:
    """Return whether a response has no blocks besides empty text.

    Args:
        raw: The provider's JSON.
    """
    return not any(
        any(_texts(block)) or block.keys() - {"text", "citationsContent"} for block in _blocks(raw)
    )


def _blocks(raw: Any) -> list[Mapping[str, Any]]:
    output = raw.get("output") if isinstance(raw, dict) else None
    return ((output or {}).get("message") or {}).get("content") or []


def turn_of(raw: Any) -> list[Any] | None:
    """Return the message of a response, including its reasoning, in a form that the API accepts.

    Args:
        raw: The provider's JSON.
    """
    message = (raw.get("output") or {}).get("message") if isinstance(raw, dict) else None
    if message is None:
        return None
    return [message] if message.get("content") else []


def _texts(block: Mapping[str, Any]) -> Iterator[str]:
    if "text" in block:
        yield block["text"]
    for part in (block.get("citationsContent") or {}).get("content") or ():
        yield part.get("text") or ""


def _usage(usage: Any) -> Usage | None:
    if not usage:
        return None
    cached, written = usage.get("cacheReadInputTokens"), usage.get("cacheWriteInputTokens")
    # The provider's inputTokens excludes the tokens that were read from or written to its prompt cache.
    input_tokens = (usage.get("inputTokens") or 0) + (cached or 0) + (written or 0)
    output_tokens = usage.get("outputTokens") or 0
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=usage.get("totalTokens") or input_tokens + output_tokens,
        cached_tokens=cached,
        cache_write_tokens=written,
    )


def _is_call(block: Mapping[str, Any]) -> bool:
    """Whether a block calls a tool of the caller. The provider runs its server tools itself."""
    return "toolUse" in block and block["toolUse"].get("type") != "server_tool_use"


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    text = arguments_text(call.get("input"))
    return ToolCall.from_text(call.get("toolUseId") or "", call.get("name") or "", text)
