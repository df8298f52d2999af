"""Conversion of message blocks from the common form to OpenAI's APIs. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from spark_cache.types import Base64Text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ToolResult", "ToolUse", "data_url", "file_name", "function_of", "tool_result", "tool_use"]

_MEDIA_TYPES = {"jpg": "image/jpeg", "pdf": "application/pdf"}


class ToolUse(NamedTuple):
    """A tool call, with its arguments as JSON text."""

    id: str
    name: str
    arguments: str


class ToolResult(NamedTuple):
    """The result of a tool: a string, or blocks in which JSON values are already text."""

    id: str
    content: str | list[Any]


def tool_use(block: Any) -> ToolUse | None:
    """Return the tool call in a block. None for any other block.

    Args:
        block: A block of a message.
    """
    match block:
        case {"toolUse": {"toolUseId": call, "name": name, "input": arguments}}:
            return ToolUse(call, name, _json_text(arguments))
    return None


def tool_result(block: Any) -> ToolResult | None:
    """Return the tool result in a block. None for any other block. The API has no field for failure: the text must state it.

    Args:
        block: A block of a message.
    """
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
            return {"text": _json_text(value)}
    return part


def _json_text(value: Any) -> str:
    # Sorted, because the order of names is not part of the key.
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _is_one_text(blocks: list[Any]) -> bool:
    return len(blocks) == 1 and isinstance(blocks[0], dict) and blocks[0].keys() == {"text"}


def data_url(kind: str, media: Mapping[str, Any]) -> Base64Text:
    """Return the bytes of an image or a document as a data URL.

    Args:
        kind: The first part of the media type, for formats without an exception.
        media: The image or document.
    """
    form = str(media.get("format"))
    media_type = _MEDIA_TYPES.get(form, f"{kind}/{form}")
    return Base64Text(media["source"]["bytes"], f"data:{media_type};base64,")


def file_name(document: Mapping[str, Any]) -> str:
    """Return the file name of a document. The APIs require a name, and derive the type from its extension.

    Args:
        document: The document.
    """
    name = str(document.get("name") or "document")
    return name if "." in name else f"{name}.{document.get('format')}"


def function_of(spec: Any) -> Any:
    """Return the function of a tool in the common form or in that of chat completions. None for other kinds of tools.

    Args:
        spec: The tool.
    """
    match spec:
        case {"type": "function", "function": function}:
            return function
        case {"toolSpec": {"inputSchema": {"json": schema}, **rest}}:
            return {**rest, "parameters": schema}
        case {"name": _} if "type" not in spec:
            return spec
    return None
