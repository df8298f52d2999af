"""Conversion of messages and tools from the common form to Gemini's. Pure functions; values in Gemini's own form are kept unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from spark_cache.providers.conversation import normalise_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["contents_of", "instructions_of", "tool_config_of", "tools_of"]

_INSTRUCTIONS = ("system", "developer")

_ROLES: dict[Any, str] = {"assistant": "model", "tool": "user"}

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "any": "ANY"}

_MEDIA = {"image": "image", "audio": "audio", "video": "video", "document": "application"}
_MEDIA_TYPES = {
    "csv": "text/csv",
    "html": "text/html",
    "jpg": "image/jpeg",
    "md": "text/markdown",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "txt": "text/plain",
}
"""The media types that do not consist of the kind of a block and its format."""


def instructions_of(system_prompt: str | None, messages: Sequence[Any]) -> list[Any]:
    """Return the parts of the system instruction: the system prompt, and the messages of that role.

    Args:
        system_prompt: The system prompt.
        messages: The conversation.
    """
    parts: list[Any] = [] if system_prompt is None else [{"text": system_prompt}]
    for message in messages:
        if _is_common(message) and message.get("role") in _INSTRUCTIONS:
            parts += _parts(message, {})
    return parts


def contents_of(messages: Sequence[Any]) -> list[Any]:
    """Return the conversation in Gemini's form, without system instructions.

    Args:
        messages: The conversation.
    """
    contents: list[Any] = []
    functions: dict[str, str] = {}
    after_result = False
    for message in messages:
        role = message["role"] if _is_common(message) else None
        if role in _INSTRUCTIONS:
            continue
        content = (
            {"role": _ROLES.get(role, role), "parts": _parts(message, functions)}
            if role is not None
            else message
        )
        functions |= _called_functions(content)
        if after_result and role == "tool":
            # The results of parallel function calls are one content.
            contents[-1]["parts"] += content["parts"]
        else:
            contents.append(content)
        after_result = role == "tool"
    return contents


def tools_of(specs: Sequence[Any]) -> list[Any]:
    """Return the tools in Gemini's form. All functions in the common form, with a JSON schema, are declared in one tool.

    Args:
        specs: The tools.
    """
    tools = [_declared(spec) for spec in specs]
    declared = [tool for tool in tools if "name" in tool]
    others = [tool for tool in tools if "name" not in tool]
    return [{"functionDeclarations": declared}, *others] if declared else others


def tool_config_of(choice: Any) -> Any:
    """Return the tool configuration for a tool choice.

    Args:
        choice: The tool choice.
    """
    match choice:
        case str() if choice in _MODES:
            return {"functionCallingConfig": {"mode": _MODES[choice]}}
        case str(name) | {"type": "function", "function": {"name": name}}:
            return {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [name]}}
    return choice


def _is_common(message: Any) -> bool:
    return isinstance(message, dict) and "parts" not in message and "role" in message


def _declared(spec: Any) -> Any:
    """Convert a function in the common form to Gemini's declaration. Every other tool is returned unchanged."""
    match spec:
        case {"type": "function", "function": dict(function)}:
            return _declared(function)
        case {"toolSpec": {"inputSchema": {"json": schema}, **named}}:
            return {**named, "parametersJsonSchema": schema}
        case {"parameters": {"type": str(kind)}} if kind.isupper():
            # Gemini's own schema format.
            return spec
        case {"name": name, "parameters": schema, **named}:
            return {**named, "name": name, "parametersJsonSchema": schema}
        case tool:
            return tool


def _called_functions(content: Any) -> dict[str, str]:
    """Return the functions that a content calls, by the IDs of the calls. A result must contain both."""
    parts = (content.get("parts") or ()) if isinstance(content, dict) else ()
    calls = (part.get("functionCall") or {} for part in parts if isinstance(part, dict))
    return {call["id"]: call["name"] for call in calls if "id" in call and "name" in call}


# -- parts --------------------------------------------------------------------------------------------------


def _parts(message: Mapping[str, Any], functions: Mapping[str, str]) -> list[Any]:
    content = normalise_message(message).get("content")
    if "tool_call_id" in message:
        return [_result(message["tool_call_id"], content, functions, name=message.get("name"))]
    calls = [_call(call.get("id"), **call["function"]) for call in message.get("tool_calls") or ()]
    if isinstance(content, str):
        return calls if calls and not content else [{"text": content}, *calls]
    return [*(_part(block, functions) for block in content or ()), *calls]


def _part(block: Any, functions: Mapping[str, str]) -> Any:
    match block:
        case str():
            return {"text": block}
        case {"type": "text", "text": text}:
            return {"text": text}
        case {"toolUse": {"name": name, "input": arguments, **use}}:
            return _call(use.get("toolUseId"), name, arguments)
        case {"toolResult": {"toolUseId": call, "content": content, **result}}:
            return _result(call, content, functions, failed=result.get("status") == "error")
        case {"image": media} | {"audio": media} | {"video": media} | {"document": media}:
            return _inline(next(iter(block)), media)
    return block


def _call(call: Any, name: str, arguments: Any) -> dict[str, Any]:
    written = orjson.loads(arguments) if isinstance(arguments, str) else arguments
    # A call without an ID has the name of its function as its ID.
    named = {"id": call} if call and call != name else {}
    return {"functionCall": {**named, "name": name, "args": written}}


def _result(
    call: str, content: Any, functions: Mapping[str, str], *, name: str | None = None, failed: bool = False
) -> dict[str, Any]:
    blocks = [{"text": content}] if isinstance(content, str) else content or []
    function = name or functions.get(call, call)
    result: dict[str, Any] = {"name": function, "response": _response(blocks, failed=failed)}
    if call != function:
        result["id"] = call
    media = [_part(block, functions) for block in blocks if not block.keys() & {"text", "json"}]
    if media:
        result["parts"] = media
    return {"functionResponse": result}


def _response(blocks: Sequence[Any], *, failed: bool) -> Any:
    """Return the result of a function as an object, with one of the two field names that Gemini knows."""
    values = [block["json"] for block in blocks if "json" in block]
    if len(values) == 1 and isinstance(values[0], dict) and not failed:
        return values[0]
    text = "".join(block["text"] for block in blocks if "text" in block)
    return {"error" if failed else "output": values or text}


def _inline(kind: str, media: Mapping[str, Any]) -> dict[str, Any]:
    if "text" in media["source"]:
        return {"text": media["source"]["text"]}
    form = media["format"]
    media_type = _MEDIA_TYPES.get(form) or f"{_MEDIA[kind]}/{form}"
    return {"inlineData": {"mimeType": media_type, "data": media["source"]["bytes"]}}
