"""The tool that the stand-in calls, and its arguments."""

from __future__ import annotations

import json

import jsonschema
import openai
import pytest


def tool(name, **properties):
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


CLOCK = tool("clock", zone={"enum": ["UTC", "CET"]})
WEATHER = tool("get_weather", city={"type": "string"}, days={"type": "integer", "minimum": 3})


def answer(client, text, **parameters):
    messages = [{"role": "user", "content": text}]
    (choice,) = client.chat.completions.create(
        **{"model": "gpt-4o", "messages": messages, "tools": [CLOCK, WEATHER], **parameters}
    ).choices
    return choice


def called(choice):
    return [call.function.name for call in choice.message.tool_calls or []]


def test_a_named_tool_is_called(client):
    """A tool that the user mentions is called, and the response has no text."""
    choice = answer(client, "Use get_weather for Paris.")

    assert called(choice) == ["get_weather"]
    assert (choice.message.content, choice.finish_reason) == (None, "tool_calls")


def test_part_of_a_word_does_not_call_a_tool(client):
    """A tool's name inside a longer word does not call the tool."""
    assert called(answer(client, "Is it o'clockwork?")) == []


def test_no_tool_is_called_if_none_is_mentioned(client):
    """If tools are available but the user mentions none, the response is text."""
    choice = answer(client, "Hi")

    assert called(choice) == []
    assert choice.finish_reason == "stop"


def test_arguments_fit_the_schema(client):
    """The arguments of a call are valid under the tool's schema."""
    (call,) = answer(client, "get_weather").message.tool_calls

    jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])


def test_a_tool_without_a_schema_gets_no_arguments(client):
    """A tool without parameters is called with an empty object."""
    (call,) = answer(
        client, "ping", tools=[{"type": "function", "function": {"name": "ping"}}]
    ).message.tool_calls

    assert call.function.arguments == "{}"


@pytest.mark.parametrize(
    ("choice", "text", "expected"),
    [
        ("required", "Hi", ["clock"]),
        ("required", "get_weather", ["get_weather"]),
        ("none", "get_weather", []),
        ("auto", "get_weather", ["get_weather"]),
        ({"type": "function", "function": {"name": "get_weather"}}, "clock", ["get_weather"]),
    ],
)
def test_the_tool_choice_decides(client, choice, text, expected):
    """``tool_choice`` requires a tool, forbids all tools, or leaves the choice to the question."""
    assert called(answer(client, text, tool_choice=choice)) == expected


def test_a_tool_is_not_called_again_after_its_result(client):
    """The response to a tool result is text that repeats the result, so that agent loops end."""
    question = {"role": "user", "content": "clock"}
    asked = answer(client, "clock").message.model_dump(exclude_none=True)
    said = {"role": "tool", "tool_call_id": asked["tool_calls"][0]["id"], "content": "12:00"}
    choice = answer(client, "", messages=[question, asked, said])

    assert called(choice) == []
    assert choice.message.content.startswith("[stand-in] The tool said: 12:00")


def test_a_token_limit_cuts_the_arguments(client):
    """Arguments that exceed the token limit are cut, and the finish reason says so."""
    choice = answer(client, "get_weather", max_tokens=5)
    (call,) = choice.message.tool_calls

    assert call.function.arguments == '{"city":'
    assert choice.finish_reason == "length"


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "shell"}}]}, "tools"),
        ({"tools": ["clock"]}, "tools"),
        ({"tools": {"clock": {}}}, "tools"),
        ({"tools": [tool("clock", zone={"$ref": "#/nowhere"})], "tool_choice": "required"}, "tools"),
        ({"tool_choice": {"type": "function", "function": {"name": "shell"}}}, "tool_choice"),
        ({"tool_choice": "always"}, "tool_choice"),
    ],
)
def test_bad_tools_are_refused(client, parameters, param):
    """Invalid tools and tool choices are refused with an error that names the parameter."""
    with pytest.raises(openai.BadRequestError) as caught:
        answer(client, "Hi", **parameters)

    assert caught.value.param == param
