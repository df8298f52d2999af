"""Messages: two equivalent ways to write a text message have one form."""

from __future__ import annotations

from typing import Any

from spark_cache.keys.canonical import DIGEST_FROM

__all__ = ["are_plain_turns", "normalise_message"]


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


def are_plain_turns(messages: Any) -> bool:
    """Return whether a conversation is its own canonical form: dictionaries with a role and a short text, and nothing else.

    Most conversations are, and an agent keys a long one with every turn. Checking the whole conversation takes a third of the time
    that converting each message takes.

    Args:
        messages: The messages, of any type.
    """
    if type(messages) is not list and type(messages) is not tuple:
        return False
    try:
        for message in messages:
            if type(message) is not dict or len(message) != 2:  # noqa: PLR2004 - a role and a content
                return False
            role, content = message["role"], message["content"]
            if type(role) is not str or type(content) is not str:
                return False
            if len(content) >= DIGEST_FROM or len(role) >= DIGEST_FROM:
                return False
    except KeyError:
        return False
    return True
