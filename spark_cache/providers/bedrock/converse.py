"""Bedrock's converse: what is sent, and what the answer says. Pure: neither the SDK nor a connection."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from spark_cache.keys import normalise_message
from spark_cache.providers.arguments import arguments_text
from spark_cache.providers.conversation import function_calls, joined_turns, split_instructions
from spark_cache.providers.plain_schema import plain_schema
from spark_cache.providers.response import ModelResponse, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spark_cache.types import Request

__all__ = ["body_of", "kept_by_provider", "read_answer", "turn_of", "with_bytes"]

_INFERENCE = {
    "max_tokens": "maxTokens",
    "maxTokens": "maxTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "topP": "topP",
    "stop_sequences": "stopSequences",
    "stopSequences": "stopSequences",
}
"""The parameters that stand in the inference configuration, by the names that they may be given."""

_CHOICES = {"auto": "auto", "required": "any", "any": "any"}

_STOP_REASONS = {
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "model_context_window_exceeded": "max_tokens",
}

_MEDIA = ("image", "document", "video", "audio")


def body_of(request: Request) -> dict[str, Any]:
    """The arguments of ``converse``.

    Raises:
        ValueError: The request cannot be said in Bedrock's form.
    """
    instructions, messages = split_instructions([normalise_message(message) for message in request.messages])
    # A parameter that is None is keyed as an absent one.
    parameters = {name: value for name, value in request.parameters.items() if value is not None}
    config = {_INFERENCE[name]: parameters.pop(name) for name in list(parameters) if name in _INFERENCE}
    body: dict[str, Any] = {
        **parameters,
        "modelId": request.model_id,
        "messages": joined_turns(messages, _turn, _result),
    }
    given = request.parameters.get("system") if request.system_prompt is None else request.system_prompt
    if given is not None or instructions:
        body["system"] = [block for said in (given, *instructions) for block in _content(said)]
    if config:
        body["inferenceConfig"] = {**(parameters.get("inferenceConfig") or {}), **config}
    tools = _tool_config(request)
    if tools:
        body["toolConfig"] = {**(parameters.get("toolConfig") or {}), **tools}
    if request.operation == "json":
        schema = json.dumps(plain_schema(request.output_schema), ensure_ascii=False)
        wanted = {"type": "json_schema", "structure": {"jsonSchema": {"name": "answer", "schema": schema}}}
        body["outputConfig"] = {**(parameters.get("outputConfig") or {}), "textFormat": wanted}
    return body


def kept_by_provider(request: Request) -> str | None:
    """Where a request names something of Bedrock's that may change though its name stays; None where it does not.

    That is the draft of a guardrail, and a prompt without a version. An object in S3 is the caller's own, and is keyed by its
    address, as a picture on the web is.
    """
    guardrail = request.parameters.get("guardrailConfig") or {}
    if isinstance(guardrail, dict) and guardrail.get("guardrailVersion") == "DRAFT":
        return "parameters.guardrailConfig.guardrailVersion"
    _, is_prompt, name = request.model_id.partition(":prompt/")
    return "model_id" if is_prompt and ":" not in name else None


# -- messages -----------------------------------------------------------------------------------------------------------------------


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
    """Blocks in Bedrock's form: a text is a block, and so is OpenAI's and Anthropic's block of text."""
    if content is None:
        return []
    return (
        [{"text": content}] if isinstance(content, str) else [with_bytes(_block(block)) for block in content]
    )


def _block(block: Any) -> Any:
    if isinstance(block, str):
        return {"text": block}
    if isinstance(block, dict) and block.keys() == {"type", "text"} and block["type"] == "text":
        return {"text": block["text"]}
    return block


def with_bytes(block: Any) -> Any:
    """A block of content as boto3 has it: ``bytes`` where the service's JSON has base64.

    Args:
        block: A block of a message or of an answer, in the service's form or already in boto3's, which stays as it is.

    Raises:
        ValueError: There is text that is not base64 where bytes belong.
    """
    if not isinstance(block, dict):
        return block
    made = block
    for kind in _MEDIA:
        source = (block.get(kind) or {}).get("source")
        if isinstance(source, dict) and isinstance(source.get("bytes"), str):
            decoded = {**source, "bytes": _bytes(source["bytes"], f"{kind}.source.bytes")}
            made = {**made, kind: {**block[kind], "source": decoded}}
    reasoning = block.get("reasoningContent")
    if isinstance(reasoning, dict) and isinstance(reasoning.get("redactedContent"), str):
        data = _bytes(reasoning["redactedContent"], "reasoningContent.redactedContent")
        made = {**made, "reasoningContent": {**reasoning, "redactedContent": data}}
    if isinstance(block.get("guardContent"), dict):
        made = {**made, "guardContent": with_bytes(block["guardContent"])}
    result = block.get("toolResult")
    if isinstance(result, dict) and isinstance(result.get("content"), list | tuple):
        made = {**made, "toolResult": {**result, "content": [with_bytes(part) for part in result["content"]]}}
    return made


def _bytes(text: str, place: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(
            f"{place} is text that is not base64: give bytes, or the base64 of the service's JSON"
        ) from None


# -- tools --------------------------------------------------------------------------------------------------------------------------


def _tool_config(request: Request) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if request.tool_specs is not None:
        config["tools"] = [_tool(spec) for spec in request.tool_specs]
    if request.tool_choice is not None:
        config["toolChoice"] = _tool_choice(request.tool_choice)
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


# -- answers ------------------------------------------------------------------------------------------------------------------------


def read_answer(raw: Any) -> ModelResponse:
    """Understand the answer of ``converse``."""
    message = (raw.get("output") or {}).get("message") or {}
    blocks = message.get("content") or ()
    reason: str | None = raw.get("stopReason")
    return ModelResponse(
        content="".join(text for block in blocks for text in _texts(block)),
        stop_reason=_STOP_REASONS.get(reason or "", reason),
        usage=_usage(raw.get("usage")),
        tool_calls=tuple(_tool_call(block["toolUse"]) for block in blocks if _is_call(block)),
        raw=raw,
        provider_stop_reason=reason,
    )


def turn_of(raw: Any) -> list[Any] | None:
    """The message of an answer, as the interface takes it back, with its reasoning."""
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
    cached, kept = usage.get("cacheReadInputTokens"), usage.get("cacheWriteInputTokens")
    # What the provider calls input tokens are those that had no part in its prompt cache.
    asked = (usage.get("inputTokens") or 0) + (cached or 0) + (kept or 0)
    answered = usage.get("outputTokens") or 0
    return Usage(
        input_tokens=asked,
        output_tokens=answered,
        total_tokens=usage.get("totalTokens") or asked + answered,
        cached_tokens=cached,
        cache_write_tokens=kept,
    )


def _is_call(block: Mapping[str, Any]) -> bool:
    """Whether a block calls a tool of the caller's: others are run by the provider itself."""
    return "toolUse" in block and block["toolUse"].get("type") != "server_tool_use"


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    text = arguments_text(call.get("input"))
    return ToolCall.from_text(call.get("toolUseId") or "", call.get("name") or "", text)
