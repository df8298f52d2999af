"""The complete requests to OpenAI's APIs, for each kind of request."""

from __future__ import annotations

import openai
import pytest
from models_world import QUESTION, WEATHER, ask, events_of

PNG = b"\x89PNG\r\n\x1a\n"
IMAGE_URL = "data:image/png;base64,iVBORw0KGgo="
PDF_URL = "data:application/pdf;base64,JVBERg=="
SCHEMA = {
    "title": "City",
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
}
STRICT = {**SCHEMA, "additionalProperties": False}

TURNS = [*QUESTION, {"role": "assistant", "content": "A language."}, *ask("Whose?")]

IMAGE = [
    {
        "role": "user",
        "content": [{"text": "What is this?"}, {"image": {"format": "png", "source": {"bytes": PNG}}}],
    }
]

DOCUMENTS = [
    {
        "role": "user",
        "content": [
            {"document": {"format": "pdf", "name": "report", "source": {"bytes": b"%PDF"}}},
            {"document": {"format": "txt", "name": "notes", "source": {"text": "Some notes."}}},
        ],
    }
]

TOOL_TURNS = [
    *ask("Weather in Rome and Oslo?"),
    {
        "role": "assistant",
        "content": [
            {"text": "I will look."},
            {"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": {"city": "Rome"}}},
            {"toolUse": {"toolUseId": "c2", "name": "get_weather", "input": {"city": "Oslo"}}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"toolResult": {"toolUseId": "c1", "content": [{"text": "Sunny"}]}},
            {"toolResult": {"toolUseId": "c2", "content": [{"json": {"sky": "grey"}}], "status": "success"}},
            {"text": "And?"},
        ],
    },
]

CHAT_TURNS = [
    *ask("Weather in Rome?"),
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city":"Rome"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "Sunny"},
]

CHAT_FUNCTION = {"type": "function", "function": WEATHER}
FUNCTION = {"type": "function", "strict": False, **WEATHER}


def _chat_call(call, city):
    function = {"name": "get_weather", "arguments": f'{{"city":"{city}"}}'}
    return {"id": call, "type": "function", "function": function}


def _call(call, city):
    return {
        "type": "function_call",
        "call_id": call,
        "name": "get_weather",
        "arguments": f'{{"city":"{city}"}}',
    }


BODIES = {
    "plain": ({"messages": QUESTION}, {"messages": QUESTION}, {"input": QUESTION}),
    "one text block": (
        {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]},
        {"messages": ask("Hello")},
        {"input": ask("Hello")},
    ),
    "several text blocks": (
        {
            "messages": [
                {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
                {"role": "assistant", "content": [{"text": "c"}, {"text": "d"}]},
                *ask("?"),
            ]
        },
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}],
                },
                *ask("?"),
            ]
        },
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
                },
                {
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "c"}, {"type": "output_text", "text": "d"}],
                },
                *ask("?"),
            ]
        },
    ),
    "system prompt": (
        {"messages": QUESTION, "system_prompt": "Be brief."},
        {"messages": [{"role": "system", "content": "Be brief."}, *QUESTION]},
        {"input": QUESTION, "instructions": "Be brief."},
    ),
    "multi-turn": ({"messages": TURNS}, {"messages": TURNS}, {"input": TURNS}),
    "image": (
        {"messages": IMAGE},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": IMAGE_URL}},
                    ],
                }
            ]
        },
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "What is this?"},
                        {"type": "input_image", "image_url": IMAGE_URL},
                    ],
                }
            ]
        },
    ),
    "documents": (
        {"messages": DOCUMENTS},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "file", "file": {"filename": "report.pdf", "file_data": PDF_URL}},
                        {"type": "text", "text": "Some notes."},
                    ],
                }
            ]
        },
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_file", "filename": "report.pdf", "file_data": PDF_URL},
                        {"type": "input_text", "text": "Some notes."},
                    ],
                }
            ]
        },
    ),
    "tool definition": (
        {"messages": QUESTION, "tool_specs": [WEATHER], "tool_choice": "get_weather"},
        {
            "messages": QUESTION,
            "tools": [CHAT_FUNCTION],
            "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        },
        {
            "input": QUESTION,
            "tools": [FUNCTION],
            "tool_choice": {"type": "function", "name": "get_weather"},
        },
    ),
    "tool definition in Converse form": (
        {
            "messages": QUESTION,
            "tool_specs": [
                {
                    "toolSpec": {
                        "name": "get_weather",
                        "description": WEATHER["description"],
                        "inputSchema": {"json": WEATHER["parameters"]},
                    }
                }
            ],
            "tool_choice": "any",
        },
        {"messages": QUESTION, "tools": [CHAT_FUNCTION], "tool_choice": "required"},
        {"input": QUESTION, "tools": [FUNCTION], "tool_choice": "required"},
    ),
    "tool definition in chat form": (
        {"messages": QUESTION, "tool_specs": [CHAT_FUNCTION], "tool_choice": "auto"},
        {"messages": QUESTION, "tools": [CHAT_FUNCTION], "tool_choice": "auto"},
        {"input": QUESTION, "tools": [FUNCTION], "tool_choice": "auto"},
    ),
    "tool call and result": (
        {"messages": TOOL_TURNS, "tool_specs": [WEATHER]},
        {
            "messages": [
                TOOL_TURNS[0],
                {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "I will look."}],
                    "tool_calls": [_chat_call("c1", "Rome"), _chat_call("c2", "Oslo")],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "Sunny"},
                {"role": "tool", "tool_call_id": "c2", "content": '{"sky":"grey"}'},
                {"role": "user", "content": [{"type": "text", "text": "And?"}]},
            ],
            "tools": [CHAT_FUNCTION],
        },
        {
            "input": [
                TOOL_TURNS[0],
                {"role": "assistant", "content": [{"type": "output_text", "text": "I will look."}]},
                _call("c1", "Rome"),
                _call("c2", "Oslo"),
                {"type": "function_call_output", "call_id": "c1", "output": "Sunny"},
                {"type": "function_call_output", "call_id": "c2", "output": '{"sky":"grey"}'},
                {"role": "user", "content": [{"type": "input_text", "text": "And?"}]},
            ],
            "tools": [FUNCTION],
        },
    ),
    "tool call and result in chat form": (
        {"messages": CHAT_TURNS},
        {"messages": CHAT_TURNS},
        {
            "input": [
                CHAT_TURNS[0],
                _call("c1", "Rome"),
                {"type": "function_call_output", "call_id": "c1", "output": "Sunny"},
            ]
        },
    ),
    "tool call alone": (
        {"messages": [*QUESTION, {**TOOL_TURNS[1], "content": TOOL_TURNS[1]["content"][1:2]}, *ask("Well?")]},
        {
            "messages": [
                *QUESTION,
                {"role": "assistant", "content": None, "tool_calls": [_chat_call("c1", "Rome")]},
                *ask("Well?"),
            ]
        },
        {"input": [*QUESTION, _call("c1", "Rome"), *ask("Well?")]},
    ),
    "stop sequences": (
        {"messages": QUESTION, "stop": ["\n", "END"]},
        {"messages": QUESTION, "stop": ["\n", "END"]},
        None,
    ),
    "extras": (
        {"messages": QUESTION, "temperature": 0.2, "user": "u1", "extra_body": {"top_k": 3}},
        {"messages": QUESTION, "temperature": 0.2, "user": "u1", "top_k": 3},
        {"input": QUESTION, "temperature": 0.2, "user": "u1", "top_k": 3},
    ),
    "extras of the Responses interface": (
        {
            "messages": QUESTION,
            "reasoning": {"effort": "low"},
            "include": ["reasoning.encrypted_content"],
            "truncation": "auto",
            "store": False,
        },
        None,
        {
            "input": QUESTION,
            "reasoning": {"effort": "low"},
            "include": ["reasoning.encrypted_content"],
            "truncation": "auto",
            "store": False,
        },
    ),
}


@pytest.mark.parametrize(
    ("api", "name"),
    [("chat", name) for name in BODIES if BODIES[name][1]]
    + [("responses", name) for name in BODIES if BODIES[name][2]],
)
async def test_body(make_model, provider, api, name):
    """A request is sent in the API's form, and with nothing else."""
    arguments, chat, responses = BODIES[name]
    await make_model(api=api).get_text(**arguments)
    assert provider.requests[-1].path == {"chat": "/v1/chat/completions", "responses": "/v1/responses"}[api]
    assert provider.requests[-1].body == {"model": "gpt-4o", **(chat if api == "chat" else responses)}


async def test_body_of_a_structured_response(make_model, provider):
    """A structured response uses the API's own feature."""
    await make_model().get_json(SCHEMA, QUESTION)
    await make_model(api="responses").get_json(SCHEMA, QUESTION)
    wanted = {"name": "City", "schema": STRICT, "strict": True}
    assert [request.body for request in provider.requests] == [
        {
            "model": "gpt-4o",
            "messages": QUESTION,
            "response_format": {"type": "json_schema", "json_schema": wanted},
        },
        {"model": "gpt-4o", "input": QUESTION, "text": {"format": {"type": "json_schema", **wanted}}},
    ]


async def test_body_of_a_stream(make_model, provider):
    """A stream of chat completions requests its usage. Given options take precedence."""
    model = make_model()
    await events_of(model, QUESTION)
    await events_of(model, ask("Again"), stream_options={"include_obfuscation": False})
    await events_of(model, ask("Again?"), stream_options=None)
    bodies = [request.body for request in provider.requests]
    assert bodies[0] == {
        "model": "gpt-4o",
        "messages": QUESTION,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert bodies[1]["stream_options"] == {"include_obfuscation": False}
    assert "stream_options" not in bodies[2]


async def test_body_of_a_stream_of_responses(make_model, provider):
    """A stream of the Responses API has no additional parameter except ``stream``."""
    await events_of(make_model(api="responses"), QUESTION)
    assert provider.requests[-1].body == {"model": "gpt-4o", "input": QUESTION, "stream": True}


async def test_stream_options_are_sent_with_streams_only(make_model, provider):
    """A model's stream options are not sent with calls that are not streamed."""
    model = make_model(params={"stream_options": {"include_usage": True}})
    await model.get_text(QUESTION)
    assert "stream_options" not in provider.requests[-1].body


ITEMS = [
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "AbC="},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
    {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    {"role": "user", "content": [{"type": "input_image", "image_url": IMAGE_URL, "detail": "low"}]},
]


async def test_items_in_the_apis_own_form(make_model, provider):
    """Items in the API's own form are sent unchanged."""
    await make_model(api="responses").get_text([*ITEMS, *QUESTION])
    assert provider.requests[-1].body["input"] == [*ITEMS, *QUESTION]


async def test_output_of_the_sdk(make_model, provider):
    """The items of an SDK response can be sent back in a conversation, and are cached."""
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="test") as client:
        before = await client.responses.create(model="gpt-4o", input="Hello")
    model = make_model(api="responses")
    conversation = [*ask("Hello"), *before.output, *ask("Go on")]
    await model.get_text(conversation)
    assert (await model.get_text(conversation)).cached
    assert provider.requests[-1].body["input"][1]["content"][0]["text"] == before.output_text


async def test_images_in_chat_form(make_model, provider):
    """An image in the form of chat completions is converted for the Responses API."""
    image = {"type": "image_url", "image_url": {"url": IMAGE_URL, "detail": "low"}}
    await make_model(api="responses").get_text([{"role": "user", "content": [image]}])
    (block,) = provider.requests[-1].body["input"][0]["content"]
    assert block == {"type": "input_image", "image_url": IMAGE_URL, "detail": "low"}


TOOLS = [
    {"type": "web_search", "search_context_size": "low"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "custom", "name": "sql"},
]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("sql", {"type": "custom", "name": "sql"}), ("web_search", {"type": "web_search"}), ("auto", "auto")],
)
async def test_built_in_tools(make_model, provider, choice, expected):
    """Built-in tools are sent unchanged, and can be chosen by their names."""
    await make_model(api="responses").get_text(QUESTION, tool_specs=TOOLS, tool_choice=choice)
    body = provider.requests[-1].body
    assert (body["tools"], body["tool_choice"]) == (TOOLS, expected)


@pytest.mark.parametrize("name", ["model", "input", "api"])
async def test_reserved_parameters(make_model, name):
    """An argument that belongs elsewhere is refused as a parameter."""
    with pytest.raises(TypeError, match=f"{name!r} is not a parameter of a call"):
        await make_model(api="responses").get_text(QUESTION, **{name: "x"})
