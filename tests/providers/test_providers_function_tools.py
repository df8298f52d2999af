"""Python functions as tools of a request."""

from __future__ import annotations

import pytest
from models_world import ask

from spark_cache.providers.known import plain_request


def get_weather(city: str, days: int = 1) -> str:
    """The weather in a city."""
    return f"{city} {days}"


async def undocumented(names: list[str]) -> None: ...


class Radio:
    """An object with a method."""

    def tune(self, station: str) -> None:
        """Choose a station."""


WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "title": "City"},
        "days": {"type": "integer", "title": "Days", "default": 1},
    },
    "required": ["city"],
    "additionalProperties": False,
}


def tools_of(*functions, provider="openai"):
    request = plain_request(provider, "m", ask("Hi"), None, functions, None, None, "text", None, None, {}, {})
    return request.body["tools"]


def test_function_in_the_form_of_a_provider():
    """A function is described by its name, its docstring and the schema of its parameters, in the provider's form."""
    named = {"name": "get_weather", "description": "The weather in a city."}
    assert tools_of(get_weather) == [{"type": "function", "function": {**named, "parameters": WEATHER}}]
    assert tools_of(get_weather, provider="anthropic") == [{**named, "input_schema": WEATHER}]


def test_functions_and_methods():
    """A function without a docstring has no description, and a method has no parameter for its object."""
    tools = [tool["function"] for tool in tools_of(undocumented, Radio().tune)]
    assert [(tool["name"], tool.get("description")) for tool in tools] == [
        ("undocumented", None),
        ("tune", "Choose a station."),
    ]
    assert [list(tool["parameters"]["properties"]) for tool in tools] == [["names"], ["station"]]


def test_functions_that_cannot_be_tools():
    """A parameter that pydantic cannot describe, or that has no name, is refused, and the error shows what to write."""

    def of_object(value: object.__class__) -> None: ...

    def positional(value: int, /) -> None: ...

    for function in (of_object, positional):
        with pytest.raises(TypeError, match=f"the function '{function.__name__}' cannot be a tool"):
            tools_of(function)
