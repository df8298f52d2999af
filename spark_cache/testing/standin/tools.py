"""Choose the tool that a chat completion calls, and its arguments."""

from __future__ import annotations

import json
import re
from typing import Any

from spark_cache.testing.standin.protocol import ProtocolError, expect
from spark_cache.testing.standin.schema import UnmetSchemaError, example

__all__ = ["chosen_tool", "tool_call"]


def chosen_tool(body: dict[str, Any], last_user_text: str | None) -> dict[str, Any] | None:
    """Return the tool to call: the one that ``tool_choice`` demands, or the first that the user mentions.

    Args:
        body: The body of the request.
        last_user_text: The text of the last message if it is a user message; None after a tool result.

    Returns:
        The ``function`` part of the tool's definition; None if the response is text.

    Raises:
        ProtocolError: The tools or the tool choice have an invalid format.
    """
    functions = [_function(tool) for tool in expect(body, "tools", list) or []]
    choice = expect(body, "tool_choice", str, dict)
    if not functions:
        if choice in (None, "none", "auto"):
            return None
        raise ProtocolError(400, "'tool_choice' requires 'tools'.", param="tool_choice")
    if choice == "none":
        return None
    named = [tool for tool in functions if _is_named(tool["name"], last_user_text or "")]
    if choice in (None, "auto"):
        return named[0] if named else None
    if choice == "required":
        return (named or functions)[0]
    return _demanded(choice, functions)


def tool_call(tool: dict[str, Any], digest: str) -> dict[str, Any]:
    """Return a call of a tool with arguments that fit its schema.

    Args:
        tool: The ``function`` part of the tool's definition.
        digest: The digest of the request, from which the id of the call is made.

    Returns:
        One item of a message's ``tool_calls``.

    Raises:
        ProtocolError: No arguments fit the schema.
    """
    try:
        arguments = example(tool.get("parameters") or {"type": "object"})
    except UnmetSchemaError as error:
        raise ProtocolError(
            400, f"Invalid schema for function '{tool['name']}': {error}.", param="tools"
        ) from error
    return {
        "id": f"call_{digest[:24]}",
        "type": "function",
        "function": {"name": tool["name"], "arguments": json.dumps(arguments)},
    }


def _function(tool: Any) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise ProtocolError(
            400, "Each item of 'tools' must be an object with a 'function' that has a 'name'.", param="tools"
        )
    return function


def _is_named(name: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _demanded(choice: str | dict[str, Any], functions: list[dict[str, Any]]) -> dict[str, Any]:
    wanted = choice.get("function", {}).get("name") if isinstance(choice, dict) else choice
    for function in functions:
        if function["name"] == wanted:
            return function
    raise ProtocolError(400, "'tool_choice' must name one of the 'tools'.", param="tool_choice")
