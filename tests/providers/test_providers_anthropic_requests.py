"""Requests to Anthropic."""

from __future__ import annotations

import json

import pytest
from models_anthropic_world import CLOSED_SCHEMA, SCHEMA, request_of
from models_world import QUESTION, WEATHER, ask

from spark_cache.providers.json_values import with_text

TOOL = {"name": "get_weather", "description": WEATHER["description"], "input_schema": WEATHER["parameters"]}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}}
TOOL_USE = {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Paris"}}
TOOL_RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "Sunny"}
HELLO = [{"type": "text", "text": "Hello"}]


def body(messages, **parts):
    """Return the body of a request, without the limit that those without another one have."""
    sent = with_text(request_of("anthropic", messages, **parts).body)
    json.dumps(sent)
    if "max_tokens" not in parts.get("parameters", {}):
        assert sent.pop("max_tokens") == 4096
    return sent


def test_plain():
    """A plain question is sent unchanged."""
    assert body(QUESTION) == {"messages": QUESTION}


@pytest.mark.parametrize(
    ("system_prompt", "messages", "expected"),
    [
        ("Be brief.", QUESTION, "Be brief."),
        (HELLO, QUESTION, HELLO),
        (None, [{"role": "system", "content": "Be brief."}, *QUESTION], "Be brief."),
        (
            None,
            [{"role": "system", "content": [{"text": "Be brief."}]}, *QUESTION],
            [{"type": "text", "text": "Be brief."}],
        ),
        (
            "Be brief.",
            [
                {
                    "role": "developer",
                    "content": [{"text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
                },
                *QUESTION,
            ],
            [
                {"type": "text", "text": "Be brief."},
                {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}},
            ],
        ),
    ],
    ids=["text", "blocks", "first message", "first message of blocks", "both"],
)
def test_system_prompt(system_prompt, messages, expected):
    """Instructions are sent outside the messages, wherever they are given."""
    assert body(messages, system_prompt=system_prompt) == {"system": expected, "messages": QUESTION}


def test_system_under_the_sdk_name():
    """Instructions under the SDK's parameter name reach the provider. system_prompt takes precedence."""
    parameters = {"system": HELLO}
    assert body(QUESTION, parameters=parameters)["system"] == HELLO
    assert body(QUESTION, system_prompt="Be brief.", parameters=parameters)["system"] == "Be brief."


def test_several_turns():
    """A conversation is sent in order, including instructions in the middle."""
    messages = [
        *QUESTION,
        {"role": "assistant", "content": "A language."},
        {"role": "system", "content": HELLO},
        *ask("Whose?"),
    ]
    assert body(messages)["messages"] == messages


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"text": "Hello"}, {"type": "text", "text": "Hello"}),
        (
            {"text": "Hello", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}},
        ),
        (IMAGE, IMAGE),
        ({"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}, IMAGE),
        (
            {"document": {"format": "pdf", "name": "Paper", "source": {"bytes": b"%PDF"}}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                "title": "Paper",
            },
        ),
        (
            {"document": {"format": "txt", "source": {"bytes": b"Words"}}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Words"}},
        ),
        (
            {"document": {"format": "md", "source": {"text": "Words"}}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Words"}},
        ),
        (
            {"type": "thinking", "thinking": "x", "signature": "y"},
            {"type": "thinking", "thinking": "x", "signature": "y"},
        ),
        ({"unknown": 1}, {"unknown": 1}),
    ],
    ids=[
        "text",
        "marked text",
        "the provider's image",
        "image",
        "pdf",
        "text file",
        "text",
        "thinking",
        "unknown",
    ],
)
def test_blocks(block, expected):
    """Blocks in the common form are converted to the provider's form. Others are sent unchanged."""
    first = {"type": "text", "text": "See"}
    sent = body([{"role": "user", "content": [first, block]}])
    assert sent["messages"] == [{"role": "user", "content": [first, expected]}]


@pytest.mark.parametrize(
    "spec",
    [
        WEATHER,
        TOOL,
        {"type": "function", "function": WEATHER},
        {
            "toolSpec": {
                "name": TOOL["name"],
                "description": TOOL["description"],
                "inputSchema": {"json": TOOL["input_schema"]},
            }
        },
    ],
    ids=["common form", "the provider's", "OpenAI's", "Bedrock's"],
)
def test_tools(spec):
    """A tool in any form is sent in the provider's form."""
    assert body(QUESTION, tool_specs=[spec])["tools"] == [TOOL]


def test_tools_of_the_provider():
    """A server tool of the provider is sent unchanged, and a tool without parameters accepts any object."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    assert body(QUESTION, tool_specs=[search, {"name": "now"}])["tools"] == [
        search,
        {"name": "now", "input_schema": {"type": "object"}},
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ("any", {"type": "any"}),
        ("get_weather", {"type": "tool", "name": "get_weather"}),
        ({"type": "function", "function": {"name": "get_weather"}}, {"type": "tool", "name": "get_weather"}),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
    ],
    ids=["auto", "none", "required", "any", "name", "OpenAI's", "the provider's"],
)
def test_tool_choice(choice, expected):
    """A tool choice in any form is sent in the provider's form."""
    assert body(QUESTION, tool_specs=[TOOL], tool_choice=choice)["tool_choice"] == expected


def of_blocks():
    return [
        {
            "role": "assistant",
            "content": [
                {"text": "Let me see."},
                {"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {"city": "Paris"}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "t1", "content": "Sunny"}},
                {
                    "toolResult": {
                        "toolUseId": "t2",
                        "content": [{"json": {"wind": 3}}, {"text": "?"}],
                        "status": "error",
                    }
                },
            ],
        },
    ]


def of_openai():
    call = {
        "id": "t1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
    }
    return [
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "Sunny"},
        {"role": "tool", "tool_call_id": "t2", "content": [{"text": "No"}, {"text": "."}]},
    ]


def test_tool_call_and_result():
    """A tool call and its results in the common form are converted to the provider's form."""
    failed = [{"type": "text", "text": '{"wind": 3}'}, {"type": "text", "text": "?"}]
    assert body([*QUESTION, *of_blocks()])["messages"] == [
        *QUESTION,
        {"role": "assistant", "content": [{"type": "text", "text": "Let me see."}, TOOL_USE]},
        {
            "role": "user",
            "content": [
                TOOL_RESULT,
                {"type": "tool_result", "tool_use_id": "t2", "content": failed, "is_error": True},
            ],
        },
    ]


def test_tool_call_and_result_of_openai():
    """A tool call and its results in OpenAI's form are converted to the provider's form, with all results in one message."""
    text = [{"type": "text", "text": "No"}, {"type": "text", "text": "."}]
    assert body([*QUESTION, *of_openai()])["messages"] == [
        *QUESTION,
        {"role": "assistant", "content": [{"type": "text", "text": "Let me see."}, TOOL_USE]},
        {
            "role": "user",
            "content": [
                TOOL_RESULT,
                {"type": "tool_result", "tool_use_id": "t2", "content": text},
            ],
        },
    ]


def test_conversation_in_the_providers_form():
    """A conversation in the provider's form is sent unchanged."""
    messages = [
        {"role": "user", "content": [IMAGE, *HELLO]},
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}, TOOL_USE]},
        {"role": "user", "content": [TOOL_RESULT]},
    ]
    assert body(messages) == {"messages": messages}


def test_structured_output():
    """A schema is sent in the provider's own form, without unsupported keywords."""
    sent = body(
        QUESTION, operation="json", output_schema=SCHEMA, parameters={"output_config": {"effort": "low"}}
    )
    assert sent["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": CLOSED_SCHEMA},
    }


def test_stop_sequences_and_extras():
    """Parameters are sent unchanged, under the provider's names, in the body."""
    parameters = {
        "max_tokens": 10,
        "stop_sequences": ["\n"],
        "temperature": 0.2,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "metadata": {"user_id": "u"},
        "mcp_servers": [{"type": "url", "name": "m", "url": "https://mcp.example"}],
    }
    assert body(QUESTION, parameters=parameters) == {"messages": QUESTION, **parameters}


def test_betas():
    """Betas are sent as the SDK's beta API sends them: in a header, to an address with a query."""
    extra = {"extra_headers": {"x-mine": "1"}, "extra_query": {"more": "2"}}
    request = request_of("anthropic", QUESTION, parameters={"betas": ["one", "two"], **extra})
    assert request.body.keys() == {"messages", "max_tokens"}
    assert request.headers == {"anthropic-beta": "one,two", "x-mine": "1"}
    assert request.query == {"beta": "true", "more": "2"}


def test_parameters_of_none():
    """A parameter that is None has the same key as an absent one, and is not sent."""
    assert body(QUESTION, parameters={"temperature": None, "metadata": None}) == {"messages": QUESTION}
