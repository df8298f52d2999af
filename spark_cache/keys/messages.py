"""Messages: two equivalent ways to write a text message have one form."""

from __future__ import annotations

from typing import Any

__all__ = ["normalise_message"]


def normalise_message(message: Any) -> Any:
    """Replace ``content: [{"text": …}]`` with ``content: …``.

    The result is also sent to the provider, so two requests with the same key are the same request.

    Args:
        message: A message of any form. It is not modified.

    Returns:
        A new message, or the same object if there is nothing to replace.
    """
    if type(message) is dict:
        content = message.get("content")
        if type(content) is str:
            return message
        if (type(content) is list or type(content) is tuple) and len(content) == 1:
            block = content[0]
            if type(block) is dict and len(block) == 1 and isinstance(block.get("text"), str):
                return {**message, "content": block["text"]}
    return message
