"""The turns of a conversation, for providers that accept neither instructions nor tool results as messages with their own role."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spark_cache.providers.response import ModelResponse

__all__ = [
    "FunctionCall",
    "are_plain_turns",
    "function_calls",
    "joined_turns",
    "normalise_message",
    "split_instructions",
    "turn_in_our_form",
]

_INSTRUCTIONS = ("system", "developer")


def turn_in_our_form(response: ModelResponse) -> list[Any]:
    """Return a response as a message in the common form, with its text and its tool calls. An empty response gives no message.

    Args:
        response: The response.
    """
    text = [{"text": response.content}] if response.content else []
    calls = [
        {"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}}
        for call in response.tool_calls
    ]
    blocks = [*text, *calls]
    return [{"role": "assistant", "content": blocks}] if blocks else []


class FunctionCall(NamedTuple):
    """A tool call of a message in OpenAI's form, with its arguments as values."""

    id: str
    name: str
    arguments: Any


def are_plain_turns(messages: Sequence[Any]) -> bool:
    """Return whether every message is a dictionary with a role and a text, which most providers take as it is.

    Args:
        messages: The conversation.
    """
    try:
        for message in messages:
            if type(message) is not dict or len(message) != 2:  # noqa: PLR2004 - a role and a content
                return False
            if type(message["role"]) is not str or type(message["content"]) is not str:
                return False
    except KeyError:
        return False
    return True


def normalise_message(message: Any) -> Any:
    """Return a message with ``content: …`` in place of ``content: [{"text": …}]``.

    Args:
        message: A message of any form. It is not modified.
    """
    content = message.get("content") if type(message) is dict else None
    if type(content) is not list or len(content) != 1:
        return message
    block = content[0]
    if type(block) is dict and len(block) == 1 and isinstance(block.get("text"), str):
        return {**message, "content": block["text"]}
    return message


def split_instructions(messages: Sequence[Any]) -> tuple[list[Any], Sequence[Any]]:
    """Split a conversation into the contents of its leading system messages and the other messages.

    Args:
        messages: The conversation.
    """
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _INSTRUCTIONS:
            return [message["content"] for message in messages[:at]], messages[at:]
    return [message["content"] for message in messages], ()


def function_calls(message: Mapping[str, Any]) -> list[FunctionCall]:
    """Return the tool calls of a message in OpenAI's form.

    Args:
        message: The message.
    """
    calls = []
    for call in message.get("tool_calls") or ():
        function = call["function"]
        written = function["arguments"]
        arguments = json.loads(written or "{}") if isinstance(written, str) else written
        calls.append(FunctionCall(call["id"], function["name"], arguments))
    return calls


def joined_turns(
    messages: Sequence[Any], turn: Callable[[Any], Any], result: Callable[[Mapping[str, Any]], Any]
) -> list[Any]:
    """Return a conversation in the provider's form. The results of parallel tool calls become one turn.

    Args:
        messages: The conversation.
        turn: Converts a message to a turn.
        result: Converts a message with a tool result (one with ``tool_call_id``) to a block.
    """
    turns: list[Any] = []
    after_result = False
    for message in messages:
        is_result = isinstance(message, dict) and "tool_call_id" in message
        if not is_result:
            turns.append(turn(message))
        elif after_result:
            turns[-1]["content"].append(result(message))
        else:
            turns.append({"role": "user", "content": [result(message)]})
        after_result = is_result
    return turns
