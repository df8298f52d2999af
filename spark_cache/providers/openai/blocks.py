"""Blocks of messages in our form, as OpenAI's interfaces write them. Pure."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ToolResult", "ToolUse", "data_url", "file_name", "function_of", "tool_result", "tool_use"]

_MEDIA_TYPES = {"jpg": "image/jpeg", "pdf": "application/pdf"}


class ToolUse(NamedTuple):
    """A call of a tool, with its arguments as JSON text."""

    id: str
    name: str
    arguments: str


class ToolResult(NamedTuple):
    """What a tool gave back: a text, or blocks of which the values are texts by now."""

    id: str
    content: str | list[Any]


def tool_use(block: Any) -> ToolUse | None:
    """The call of a tool that a block is; None for any other block."""
    match block:
        case {"toolUse": {"toolUseId": call, "name": name, "input": arguments}}:
            return ToolUse(call, name, orjson.dumps(arguments).decode())
    return None


def tool_result(block: Any) -> ToolResult | None:
    """The result of a tool that a block is; None for any other block. That a tool failed is for its text to say."""
    match block:
        case {"toolResult": {"toolUseId": call, "content": str(text)}}:
            return ToolResult(call, text)
        case {"toolResult": {"toolUseId": call, "content": content}}:
            blocks = [_value_as_text(part) for part in content]
            return ToolResult(call, blocks[0]["text"] if _is_one_text(blocks) else blocks)
    return None


def _value_as_text(part: Any) -> Any:
    match part:
        case {"json": value}:
            return {"text": orjson.dumps(value).decode()}
    return part


def _is_one_text(blocks: list[Any]) -> bool:
    return len(blocks) == 1 and isinstance(blocks[0], dict) and blocks[0].keys() == {"text"}


def data_url(kind: str, media: Mapping[str, Any]) -> str:
    """The bytes of an image or a document as a URL."""
    form = str(media.get("format"))
    media_type = _MEDIA_TYPES.get(form, f"{kind}/{form}")
    return f"data:{media_type};base64,{b64encode(media['source']['bytes']).decode()}"


def file_name(document: Mapping[str, Any]) -> str:
    """What a document is called: the interfaces want a name, and tell its kind by the ending."""
    name = str(document.get("name") or "document")
    return name if "." in name else f"{name}.{document.get('format')}"


def function_of(spec: Any) -> Any:
    """The function that a tool is, in any form of ours or of chat completions; None for a tool of another kind."""
    match spec:
        case {"type": "function", "function": function}:
            return function
        case {"toolSpec": {"inputSchema": {"json": schema}, **rest}}:
            return {**rest, "parameters": schema}
        case {"name": _} if "type" not in spec:
            return spec
    return None
