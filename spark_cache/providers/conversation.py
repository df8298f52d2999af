"""The turns of a conversation: an answer as one, and what providers have in common that know no instructions or results as turns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spark_cache.providers.response import ModelResponse

__all__ = ["FunctionCall", "function_calls", "joined_turns", "split_instructions", "turn_in_our_form"]

_INSTRUCTIONS = ("system", "developer")


def turn_in_our_form(response: ModelResponse) -> list[Any]:
    """The message that says what an answer said: its text and its calls of tools; none where it said nothing."""
    said = [{"text": response.content}] if response.content else []
    calls = [
        {"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}}
        for call in response.tool_calls
    ]
    blocks = [*said, *calls]
    return [{"role": "assistant", "content": blocks}] if blocks else []


class FunctionCall(NamedTuple):
    """A call of a tool in the form of OpenAI's messages, with its arguments as values."""

    id: str
    name: str
    arguments: Any


def split_instructions(messages: Sequence[Any]) -> tuple[list[Any], Sequence[Any]]:
    """The contents of the instructions that a conversation begins with, and its other messages."""
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _INSTRUCTIONS:
            return [message["content"] for message in messages[:at]], messages[at:]
    return [message["content"] for message in messages], ()


def function_calls(message: Mapping[str, Any]) -> list[FunctionCall]:
    """The calls of tools in a message of OpenAI's form."""
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
    """A conversation in the provider's form, in which the results of all tools that were called at once are one turn.

    Args:
        messages: The conversation.
        turn: Makes a turn of a message.
        result: Makes a block of a message that holds the result of a tool (one with ``tool_call_id``).
    """
    turns: list[Any] = []
    of_tools = False
    for message in messages:
        is_result = isinstance(message, dict) and "tool_call_id" in message
        if not is_result:
            turns.append(turn(message))
        elif of_tools:
            turns[-1]["content"].append(result(message))
        else:
            turns.append({"role": "user", "content": [result(message)]})
        of_tools = is_result
    return turns
