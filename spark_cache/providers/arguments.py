"""The arguments of tool calls. Some providers send them as values, and their streams as pieces of JSON text."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["arguments_in", "arguments_text"]


def arguments_text(arguments: Any) -> str:
    """Return arguments as JSON text. A string is returned unchanged: it may be truncated JSON.

    Args:
        arguments: The arguments of a tool call.
    """
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def arguments_in(text: str) -> Any:
    """Parse the arguments of a streamed tool call. Text that is not JSON is returned unchanged: a truncated response has such text.

    Args:
        text: The joined pieces.
    """
    try:
        return json.loads(text)
    except ValueError:
        return text
