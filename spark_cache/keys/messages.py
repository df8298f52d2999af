"""Messages: the two ways of writing one text are one message."""

from __future__ import annotations

from typing import Any

__all__ = ["normalise_message"]


def normalise_message(message: Any) -> Any:
    """Write ``content: [{"text": …}]`` as ``content: …``; leave every other message as it is.

    Providers are sent what this returns, so that two requests with one key are also one request.
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
