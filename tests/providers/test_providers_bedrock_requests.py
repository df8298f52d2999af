"""Requests to Bedrock."""

from __future__ import annotations

import json

import pytest
from models_anthropic_world import CLOSED_SCHEMA, SCHEMA, request_of
from models_world import QUESTION, WEATHER, ask

from spark_cache.providers.bedrock.converse import in_form_of_boto3, with_bytes
from spark_cache.providers.json_values import with_text

ASKED = [{"role": "user", "content": [{"text": "What is Python?"}]}]
TOOL = {
    "toolSpec": {
        "name": "get_weather",
        "description": WEATHER["description"],
        "inputSchema": {"json": WEATHER["parameters"]},
    }
}
IMAGE = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}
TOOL_USE = {"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {"city": "Paris"}}}
TOOL_RESULT = {"toolResult": {"toolUseId": "t1", "content": [{"text": "Sunny"}]}}


def body(messages, **parts):
    """Return the arguments of converse, without the model."""
    written = request_of("bedrock", messages, **parts).body
    json.dumps(with_text(written))
    return in_form_of_boto3(written)


@pytest.mark.parametrize("messages", [QUESTION, ASKED], ids=["text", "block"])
def test_plain(messages):
    """A plain question is sent as one block of text."""
    assert body(messages) == {"messages": ASKED}


@pytest.mark.parametrize(
    ("system_prompt", "messages", "expected"),
    [
        ("Be brief.", QUESTION, [{"text": "Be brief."}]),
        (
            [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
            QUESTION,
            [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
        ),
        (
            "Be brief.",
            [{"role": "system", "content": [{"text": "Be kind."}]}, *QUESTION],
            [{"text": "Be brief."}, {"text": "Be kind."}],
        ),
    ],
    ids=["text", "blocks", "first message too"],
)
def test_system_prompt(system_prompt, messages, expected):
    """Instructions are sent outside the messages, wherever they are given."""
    assert body(messages, system_prompt=system_prompt) == {"messages": ASKED, "system": expected}


def test_system_under_the_sdk_name():
    """Instructions under boto3's parameter name are sent unchanged, also if they are empty."""
    assert body(QUESTION, parameters={"system": []})["system"] == []


def test_several_turns():
    """A conversation is sent in order."""
    messages = [*QUESTION, {"role": "assistant", "content": "A language."}, *ask("Whose?")]
    assert body(messages)["messages"] == [
        *ASKED,
        {"role": "assistant", "content": [{"text": "A language."}]},
        {"role": "user", "content": [{"text": "Whose?"}]},
    ]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "text", "text": "Hello"}, {"text": "Hello"}),
        (IMAGE, IMAGE),
        ({"image": {"format": "png", "source": {"bytes": "iVBORw=="}}}, IMAGE),
        (
            {"document": {"name": "d", "source": {"s3Location": {"uri": "s3://b/d"}}}},
            {"document": {"name": "d", "source": {"s3Location": {"uri": "s3://b/d"}}}},
        ),
        (
            {"reasoningContent": {"redactedContent": "AAE="}},
            {"reasoningContent": {"redactedContent": b"\x00\x01"}},
        ),
        ({"guardContent": IMAGE}, {"guardContent": IMAGE}),
        (
            {"guardContent": {"image": {"format": "png", "source": {"bytes": "iVBORw=="}}}},
            {"guardContent": IMAGE},
        ),
        (
            {
                "toolResult": {
                    "toolUseId": "t",
                    "content": [{"image": {"format": "png", "source": {"bytes": "iVBORw=="}}}],
                }
            },
            {"toolResult": {"toolUseId": "t", "content": [IMAGE]}},
        ),
        (
            {
                "toolUse": {
                    "toolUseId": "t",
                    "name": "n",
                    "input": {"image": {"source": {"bytes": "iVBORw=="}}},
                }
            },
            {
                "toolUse": {
                    "toolUseId": "t",
                    "name": "n",
                    "input": {"image": {"source": {"bytes": "iVBORw=="}}},
                }
            },
        ),
        ({"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default"}}),
    ],
    ids=[
        "text",
        "image",
        "base64",
        "in S3",
        "redacted",
        "guarded",
        "guarded base64",
        "result",
        "arguments",
        "cache point",
    ],
)
def test_blocks(block, expected):
    """Blocks are sent unchanged, with bytes in place of the JSON form's base64. Tool arguments are left unchanged."""
    sent = body([{"role": "user", "content": [{"text": "See"}, block]}])
    assert sent["messages"] == [{"role": "user", "content": [{"text": "See"}, expected]}]


def test_string_in_place_of_bytes():
    """A string that is not base64 is refused in place of bytes."""
    with pytest.raises(ValueError, match=r"image\.source\.bytes is a string that is not base64"):
        with_bytes({"image": {"format": "png", "source": {"bytes": "not base64!"}}})


@pytest.mark.parametrize(
    "spec",
    [
        WEATHER,
        TOOL,
        {"type": "function", "function": WEATHER},
        {
            "name": WEATHER["name"],
            "description": WEATHER["description"],
            "input_schema": WEATHER["parameters"],
        },
    ],
    ids=["common form", "the provider's", "OpenAI's", "Anthropic's"],
)
def test_tools(spec):
    """A tool in any form is sent in the provider's form."""
    assert body(QUESTION, tool_specs=[spec])["toolConfig"] == {"tools": [TOOL]}


def test_tools_of_the_provider():
    """A server tool of the provider, and a cache point, are sent unchanged."""
    specs = [{"systemTool": {"name": "nova_code_interpreter"}}, {"cachePoint": {"type": "default"}}]
    assert body(QUESTION, tool_specs=specs)["toolConfig"] == {"tools": specs}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ("any", {"any": {}}),
        ("get_weather", {"tool": {"name": "get_weather"}}),
        ({"type": "function", "function": {"name": "get_weather"}}, {"tool": {"name": "get_weather"}}),
        ({"any": {}}, {"any": {}}),
    ],
    ids=["auto", "required", "any", "name", "OpenAI's", "the provider's"],
)
def test_tool_choice(choice, expected):
    """A tool choice in any form is sent in the provider's form."""
    sent = body(QUESTION, tool_specs=[TOOL], tool_choice=choice)
    assert sent["toolConfig"] == {"tools": [TOOL], "toolChoice": expected}


def test_tool_choice_that_bedrock_does_not_support():
    """Bedrock cannot be told to call no tool, and the error names the alternative."""
    with pytest.raises(ValueError, match="leave out tool_specs"):
        body(QUESTION, tool_specs=[TOOL], tool_choice="none")


def test_tool_call_and_result():
    """Tool calls and results are sent unchanged. Those in OpenAI's form are converted, with all results in one message."""
    call = {
        "id": "t1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
    }
    own = [
        {"role": "assistant", "content": [TOOL_USE]},
        {
            "role": "user",
            "content": [TOOL_RESULT, {"toolResult": {"toolUseId": "t2", "content": [{"text": "No."}]}}],
        },
    ]
    assert body([*QUESTION, *own])["messages"] == [*ASKED, *own]
    openai = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "Sunny"},
        {"role": "tool", "tool_call_id": "t2", "content": "No."},
    ]
    assert body([*QUESTION, *openai])["messages"] == [*ASKED, *own]


def test_structured_output():
    """A schema is sent in the provider's own form, without unsupported keywords."""
    ((name, wanted),) = body(QUESTION, operation="json", output_schema=SCHEMA)["outputConfig"].items()
    assert (name, wanted["type"]) == ("textFormat", "json_schema")
    assert json.loads(wanted["structure"]["jsonSchema"]["schema"]) == CLOSED_SCHEMA


def test_inference_configuration():
    """Inference parameters are added to boto3's inference configuration, under either name."""
    parameters = {
        "max_tokens": 10,
        "temperature": 0.2,
        "topP": 0.9,
        "stop_sequences": ["\n"],
        "inferenceConfig": {"maxTokens": 5, "more": 1},
    }
    assert body(QUESTION, parameters=parameters)["inferenceConfig"] == {
        "maxTokens": 10,
        "temperature": 0.2,
        "topP": 0.9,
        "stopSequences": ["\n"],
        "more": 1,
    }


def test_extras():
    """Other parameters are sent unchanged, under boto3's names."""
    parameters = {
        "inferenceConfig": {},
        "additionalModelRequestFields": {"top_k": 3},
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "serviceTier": {"type": "default"},
    }
    assert body(QUESTION, parameters=parameters) == {"messages": ASKED, **parameters}


def test_parameters_of_none():
    """A parameter that is None has the same key as an absent one, and is not sent."""
    assert body(QUESTION, parameters={"temperature": None, "metadata": None}) == {"messages": ASKED}
