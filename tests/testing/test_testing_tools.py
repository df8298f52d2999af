"""Which tool the stand-in calls, and with what."""

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
    """A tool that the user names is called, and the answer has no text."""
    choice = answer(client, "Use get_weather for Paris.")

    assert called(choice) == ["get_weather"]
    assert (choice.message.content, choice.finish_reason) == (None, "tool_calls")


def test_part_of_a_word_names_no_tool(client):
    """A tool's name within a longer word does not call it."""
    assert called(answer(client, "Is it o'clockwork?")) == []


def test_no_tool_is_called_unasked(client):
    """With tools at hand and none named, the answer is a text."""
    choice = answer(client, "Hi")

    assert called(choice) == []
    assert choice.finish_reason == "stop"


def test_arguments_fit_the_schema(client):
    """The arguments of a call are valid under the tool's schema."""
    (call,) = answer(client, "get_weather").message.tool_calls

    jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])


def test_a_tool_without_a_schema_takes_nothing(client):
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
    """``tool_choice`` demands a tool, forbids all, or leaves it to the question."""
    assert called(answer(client, text, tool_choice=choice)) == expected


def test_a_tool_that_has_answered_is_not_called_again(client):
    """After a tool's answer comes a text that repeats it, so that loops end."""
    question = {"role": "user", "content": "clock"}
    asked = answer(client, "clock").message.model_dump(exclude_none=True)
    said = {"role": "tool", "tool_call_id": asked["tool_calls"][0]["id"], "content": "12:00"}
    choice = answer(client, "", messages=[question, asked, said])

    assert called(choice) == []
    assert choice.message.content.startswith("[stand-in] The tool said: 12:00")


def test_a_token_limit_cuts_the_arguments(client):
    """Arguments longer than the token limit end there, and the answer says so."""
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
    """Tools and choices that the service would refuse are refused, and the refusal names the parameter."""
    with pytest.raises(openai.BadRequestError) as caught:
        answer(client, "Hi", **parameters)

    assert caught.value.param == param
