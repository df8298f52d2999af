"""Messages: the two ways of writing one text are one message."""

from __future__ import annotations

from typing import Any

from spark_cache.keys.canonical import DIGEST_FROM

__all__ = ["are_plain_turns", "normalise_message"]


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


def are_plain_turns(messages: Any) -> bool:
    """Whether a conversation is its own canonical form: dictionaries of a role and a short text, and nothing else.

    Most conversations are, and long ones are keyed with every turn of an agent: asked of the whole, this takes a third of what
    taking each message apart does.
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
