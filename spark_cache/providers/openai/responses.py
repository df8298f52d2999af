"""Requests and responses of OpenAI's Responses API. Pure functions, without the SDK or a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.providers.conversation import are_plain_turns, normalise_message
from spark_cache.providers.openai.blocks import data_url, file_name, function_of, tool_result, tool_use
from spark_cache.providers.openai.schema import format_of
from spark_cache.providers.response import ModelResponse, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from spark_cache.providers.dialect import Arguments

__all__ = ["body_of", "is_empty", "read_answer", "stop_reasons", "turn_of"]

_WHOLE = frozenset({"completed", "complete"})

_INCOMPLETE_REASONS = {"max_output_tokens": "max_tokens", "content_filter": "content_filter"}
"""The reasons for an incomplete response, as stop reasons."""

_FOR_THE_CALLER = frozenset(
    {
        "apply_patch_call",
        "computer_call",
        "custom_tool_call",
        "function_call",
        "local_shell_call",
        "mcp_approval_request",
        "shell_call",
    }
)
"""Items that the caller must handle before the conversation can continue."""


def body_of(arguments: Arguments) -> dict[str, Any]:
    """Return the body of a request to ``/responses``.

    Args:
        arguments: The arguments of the call.
    """
    items = arguments.messages
    if not are_plain_turns(items):
        items = [item for message in items for item in _items(message)]
    body = {**arguments.parameters, "input": items}
    if arguments.system_prompt is not None:
        body["instructions"] = arguments.system_prompt
    if arguments.tool_specs is not None:
        body["tools"] = [_tool(spec) for spec in arguments.tool_specs]
    if arguments.tool_choice is not None:
        body["tool_choice"] = _tool_choice(arguments.tool_choice, body.get("tools") or ())
    if arguments.output_schema is not None:
        wanted = {"type": "json_schema", **format_of(arguments.output_schema)}
        body["text"] = {**(body.get("text") or {}), "format": wanted}
    return body


def _items(message: Any) -> Iterator[Any]:
    """Yield a message in the API's form, in which tool calls and their results are separate items."""
    message = normalise_message(message)
    if not isinstance(message, dict) or "type" in message or "role" not in message:
        yield message
        return
    role, content = message["role"], message.get("content")
    if "tool_call_id" in message:
        yield _output(message["tool_call_id"], content)
        return
    if not isinstance(content, list | tuple):
        if content is not None or not message.get("tool_calls"):
            yield {name: value for name, value in message.items() if name != "tool_calls"}
    else:
        yield from _items_of_blocks(message, role, content)
    for call in message.get("tool_calls") or ():
        function = call["function"]
        yield _call(call["id"], function["name"], function["arguments"])


def _items_of_blocks(message: Mapping[str, Any], role: str, content: Sequence[Any]) -> Iterator[Any]:
    parts, calls = [], []
    for block in content:
        use, result = tool_use(block), tool_result(block)
        if use is not None:
            calls.append(_call(use.id, use.name, use.arguments))
        elif result is not None:
            yield _output(result.id, result.content)
        else:
            parts.append(_block(block, role))
    if parts or not content:
        yield {
            **{name: value for name, value in message.items() if name != "tool_calls"},
            "content": parts,
        }
    yield from calls


def _call(call: str, name: str, arguments: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call, "name": name, "arguments": arguments}


def _output(call: str, content: Any) -> dict[str, Any]:
    output = [_block(block, "user") for block in content] if isinstance(content, list | tuple) else content
    return {"type": "function_call_output", "call_id": call, "output": output}


def _block(block: Any, role: str) -> Any:
    """Convert a block from the common form, or from that of chat completions, to the API's form."""
    match block:
        case {"text": str(text), **rest} if rest.keys() <= {"type"} and rest.get("type", "text") == "text":
            return {"type": "output_text" if role == "assistant" else "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": url, **rest}}:
            return {"type": "input_image", "image_url": url, **rest}
        case {"type": "file", "file": dict(file)}:
            return {"type": "input_file", **file}
    return _media(block)


def _media(block: Any) -> Any:
    match block:
        case {"image": {"source": {"bytes": bytes()}} as image}:
            return {"type": "input_image", "image_url": data_url("image", image)}
        case {"document": {"source": {"text": str(text)}}}:
            return {"type": "input_text", "text": text}
        case {"document": {"source": {"bytes": bytes()}} as document}:
            return {
                "type": "input_file",
                "filename": file_name(document),
                "file_data": data_url("application", document),
            }
    return block


def _tool(spec: Any) -> Any:
    function = function_of(spec)
    # Without "strict", the API treats a function as strict and requires all its parameters.
    return spec if function is None else {"type": "function", "strict": False, **function}


def _tool_choice(choice: Any, tools: Sequence[Any]) -> Any:
    match choice:
        case "any":
            return "required"
        case {"type": "function", "function": {"name": name}}:
            return {"type": "function", "name": name}
        case str() if choice not in ("auto", "none", "required"):
            kinds = (
                tool.get("type") for tool in tools if isinstance(tool, dict) and tool.get("name") == choice
            )
            kind = next(kinds, None)
            return {"type": choice} if kind is None else {"type": kind, "name": choice}
    return choice


# -- responses ----------------------------------------------------------------------------------------------


def read_answer(raw: Any) -> ModelResponse:
    """Read a response. Fields that a compatible service leaves out are empty.

    Args:
        raw: The provider's JSON.
    """
    response = raw if isinstance(raw, dict) else {}
    output = [item for item in response.get("output") or () if isinstance(item, dict)]
    parts = [part for item in output if item.get("type") == "message" for part in item.get("content") or ()]
    return ModelResponse(
        content="".join(part.get("text") or "" for part in parts if part.get("type") == "output_text"),
        stop_reason=_stop_reason(response, output, parts),
        usage=_usage(response.get("usage")),
        tool_calls=tuple(
            _tool_call(item) for item in output if item.get("type") in ("function_call", "custom_tool_call")
        ),
        raw=raw,
        provider_stop_reason=_incomplete_reason(response) or response.get("status"),
    )


def turn_of(raw: Any) -> list[Any] | None:
    """Return the items of a response in a form that the API accepts, without null fields.

    Args:
        raw: The provider's JSON.
    """
    output = raw.get("output") if isinstance(raw, dict) else None
    if output is None:
        return None
    return [{name: value for name, value in item.items() if value is not None} for item in output]


def stop_reasons(raw: Any) -> Sequence[str | None]:
    """Return why the model stopped. A response of this API has a single stop reason.

    Args:
        raw: The provider's JSON.
    """
    return [read_answer(raw).stop_reason]


def is_empty(raw: Any) -> bool:
    """Return whether a response has no output besides messages and reasoning without any text.

    Args:
        raw: The provider's JSON.
    """
    output = raw.get("output") if isinstance(raw, dict) else None
    return not any(map(_says_something, output or ()))


def _says_something(item: Any) -> bool:
    if not isinstance(item, dict) or item.get("type") not in ("message", "reasoning"):
        return True
    parts = [*(item.get("content") or ()), *(item.get("summary") or ())]
    return any(part.get("text") or "text" not in part for part in parts if isinstance(part, dict))


def _incomplete_reason(response: Mapping[str, Any]) -> str | None:
    reason: str | None = (response.get("incomplete_details") or {}).get("reason")
    return reason


def _stop_reason(
    response: Mapping[str, Any], output: Sequence[Mapping[str, Any]], parts: Sequence[Mapping[str, Any]]
) -> str | None:
    status: str | None = response.get("status")
    if status not in _WHOLE:
        reason = _incomplete_reason(response)
        return status if reason is None else _INCOMPLETE_REASONS.get(reason, reason)
    if any(part.get("type") == "refusal" for part in parts):
        return "refusal"
    return "tool_use" if any(item.get("type") in _FOR_THE_CALLER for item in output) else "end_turn"


def _usage(usage: Any) -> Usage | None:
    if not usage:
        return None
    return Usage(
        input_tokens=usage.get("input_tokens") or 0,
        output_tokens=usage.get("output_tokens") or 0,
        total_tokens=usage.get("total_tokens") or 0,
        cached_tokens=(usage.get("input_tokens_details") or {}).get("cached_tokens"),
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
    )


def _tool_call(item: Mapping[str, Any]) -> ToolCall:
    written = item.get("input") if item.get("type") == "custom_tool_call" else item.get("arguments")
    return ToolCall.from_text(item.get("call_id") or "", item.get("name") or "", written or "")
