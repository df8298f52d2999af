"""Python functions as tools."""

from __future__ import annotations

from inspect import getdoc, isfunction, ismethod
from typing import Any

__all__ = ["is_function", "tool_of_function"]


def is_function(value: object) -> bool:
    """Return whether a value is a function or a method that is written in Python.

    Args:
        value: The value.
    """
    return isfunction(value) or ismethod(value)


def tool_of_function(function: Any) -> dict[str, Any]:
    """Return the tool that describes a function: its name, its docstring, and the JSON schema of its parameters.

    Args:
        function: The function. Its parameters have annotations that pydantic accepts.

    Raises:
        TypeError: pydantic cannot describe a parameter.
    """
    from pydantic import TypeAdapter  # noqa: PLC0415 - only for functions

    try:
        schema = TypeAdapter(function).json_schema()
    except Exception as error:
        raise TypeError(
            f"the function {function.__name__!r} cannot be a tool ({type(error).__name__}): give a tool such as "
            "{'name': …, 'description': …, 'parameters': …}"
        ) from error
    if schema.get("type") != "object":
        raise TypeError(
            f"the function {function.__name__!r} cannot be a tool: it takes arguments by position only"
        )
    description = getdoc(function)
    return {
        "name": function.__name__,
        **({} if description is None else {"description": description}),
        "parameters": schema,
    }
