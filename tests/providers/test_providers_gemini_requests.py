"""The request bodies of GeminiModel."""

from __future__ import annotations

import pydantic
import pytest
from google.genai import types
from models_world import QUESTION, WEATHER

from spark_cache.providers.gemini.request import model_path
from spark_cache.providers.json_values import with_text
from spark_cache.providers.known import plain_request

ASKED = [{"role": "user", "parts": [{"text": "What is Python?"}]}]
DECLARED = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parametersJsonSchema": WEATHER["parameters"],
}


def body(messages=QUESTION, *, operation="text", **fields):
    named = ("system_prompt", "tool_specs", "tool_choice", "output_schema")
    given = [fields.pop(name, None) for name in named]
    request = plain_request("gemini", "gemini-2.5-flash", messages, *given, operation, None, None, fields, {})
    return with_text(request.body)


def contents(*messages):
    return body(messages)["contents"]


def test_gemini_plain_request():
    """A plain question is sent as contents, and nothing else."""
    assert body() == {"contents": ASKED}


def test_gemini_system_prompt():
    """The system prompt is sent as the system instruction, as the SDK does it."""
    assert body(system_prompt="Be brief.") == {
        "contents": ASKED,
        "systemInstruction": {"parts": [{"text": "Be brief."}], "role": "user"},
    }


def test_gemini_system_messages():
    """System messages follow the system prompt in the instruction, and are not part of the conversation."""
    system = {"role": "system", "content": [{"text": "User ID: 1"}]}
    sent = body([system, *QUESTION], system_prompt="Be brief.")
    assert sent["systemInstruction"]["parts"] == [{"text": "Be brief."}, {"text": "User ID: 1"}]
    assert sent["contents"] == ASKED


def test_gemini_system_instruction_in_the_sdks_form():
    """A system instruction can be a string or an SDK object."""
    part = {"parts": [{"text": "Be brief."}]}
    assert body(system_instruction="Be brief.")["systemInstruction"] == {**part, "role": "user"}
    assert (
        body(system_instruction=types.Content(parts=[types.Part(text="Be brief.")]))["systemInstruction"]
        == part
    )


def test_gemini_several_turns():
    """The assistant has the role of the model."""
    messages = [
        *QUESTION,
        {"role": "assistant", "content": "A language."},
        {"role": "user", "content": "Whose?"},
    ]
    assert body(messages)["contents"] == [
        *ASKED,
        {"role": "model", "parts": [{"text": "A language."}]},
        {"role": "user", "parts": [{"text": "Whose?"}]},
    ]


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"text": "Hello"}, {"text": "Hello"}),
        ("Hello", {"text": "Hello"}),
        ({"type": "text", "text": "Hello"}, {"text": "Hello"}),
        (
            {"image": {"format": "jpg", "source": {"bytes": b"\xff\xfe"}}},
            {"inlineData": {"mimeType": "image/jpeg", "data": "__4="}},
        ),
        (
            {"document": {"format": "pdf", "name": "a", "source": {"bytes": b"%PDF"}}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
        ),
        ({"document": {"format": "txt", "source": {"text": "Hello"}}}, {"text": "Hello"}),
        (
            {"inline_data": {"mime_type": "image/png", "data": b"png"}},
            {"inline_data": {"mime_type": "image/png", "data": "cG5n"}},
        ),
        (
            types.Part.from_bytes(data=b"png", mime_type="image/png"),
            {"inlineData": {"mimeType": "image/png", "data": "cG5n"}},
        ),
        ({"unknown": {"bytes": "x"}, "more": 1}, {"unknown": {"bytes": "x"}, "more": 1}),
    ],
    ids=[
        "text",
        "bare",
        "typed",
        "image",
        "document",
        "document's text",
        "SDK's dictionary",
        "SDK's object",
        "unknown",
    ],
)
def test_gemini_blocks(block, part):
    """Common blocks become parts. The provider's own parts stay unchanged, except that bytes are encoded as the SDK does it."""
    assert contents({"role": "user", "content": [{"text": "See"}, block]}) == [
        {"role": "user", "parts": [{"text": "See"}, part]}
    ]


def test_gemini_contents_pass_through():
    """Contents in the provider's form are sent unchanged, including fields that no SDK knows."""
    content = {
        "role": "model",
        "parts": [
            {"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "x", "new_field": [1]}
        ],
    }
    assert contents(content) == [content]


def test_gemini_contents_of_the_sdk():
    """A content object of the SDK is sent with the field names of the API."""
    content = types.Content(role="model", parts=[types.Part(text="Hi", thought_signature=b"\x01")])
    assert contents(content) == [{"role": "model", "parts": [{"text": "Hi", "thoughtSignature": "AQ=="}]}]


@pytest.mark.parametrize(
    "spec",
    [
        WEATHER,
        {"type": "function", "function": WEATHER},
        {
            "toolSpec": {
                "name": "get_weather",
                "description": "The weather in a city.",
                "inputSchema": {"json": WEATHER["parameters"]},
            }
        },
        DECLARED,
    ],
    ids=["common form", "function", "toolSpec", "declaration"],
)
def test_gemini_tool_definition(spec):
    """A function in any form is declared with its JSON schema."""
    assert body(tool_specs=[spec])["tools"] == [{"functionDeclarations": [DECLARED]}]


def test_gemini_tools_of_the_provider():
    """The provider's own tools are sent unchanged, next to the functions."""
    own = {"googleSearch": {}}
    declared = types.Tool(function_declarations=[types.FunctionDeclaration(name="f")])
    assert body(tool_specs=[own, WEATHER, declared])["tools"] == [
        {"functionDeclarations": [DECLARED]},
        own,
        {"functionDeclarations": [{"name": "f"}]},
    ]


@pytest.mark.parametrize(
    "spec",
    [
        types.FunctionDeclaration(name="f", parameters=types.Schema(type=types.Type.OBJECT)),
        {"name": "f", "parameters": {"type": "OBJECT"}},
    ],
    ids=["object", "dictionary"],
)
def test_gemini_declaration_with_the_providers_schema(spec):
    """A function whose parameters are in Gemini's own schema format is declared unchanged."""
    declared = {"name": "f", "parameters": {"type": "OBJECT"}}
    assert body(tool_specs=[spec])["tools"] == [{"functionDeclarations": [declared]}]


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("any", {"mode": "ANY"}),
        ("get_weather", {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}),
        (
            {"type": "function", "function": {"name": "get_weather"}},
            {"mode": "ANY", "allowedFunctionNames": ["get_weather"]},
        ),
        ({"functionCallingConfig": {"mode": "VALIDATED"}}, {"mode": "VALIDATED"}),
    ],
)
def test_gemini_tool_choice(choice, calling):
    """A tool choice becomes a function calling config."""
    assert body(tool_specs=[WEATHER], tool_choice=choice)["toolConfig"] == {"functionCallingConfig": calling}


CALLED = {"functionCall": {"id": "1", "name": "get_weather", "args": {"city": "Paris"}}}
ANSWERED = {"functionResponse": {"id": "1", "name": "get_weather", "response": {"output": "sunny"}}}


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (
            {
                "role": "assistant",
                "content": [
                    {"toolUse": {"toolUseId": "1", "name": "get_weather", "input": {"city": "Paris"}}}
                ],
            },
            {"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": [{"text": "sunny"}]}}]},
        ),
        (
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {
                        "id": "1",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": "sunny"},
        ),
    ],
    ids=["blocks", "messages"],
)
def test_gemini_tool_call_and_result(call, answer):
    """A call and its result are converted to the provider's form, and the result names the function."""
    assert contents(call, answer) == [
        {"role": "model", "parts": [CALLED]},
        {"role": "user", "parts": [ANSWERED]},
    ]


def test_gemini_results_of_several_tools():
    """The results of parallel tool calls are one content."""
    called = {"role": "model", "parts": [CALLED, {"functionCall": {"id": "2", "name": "f", "args": {}}}]}
    results = [{"role": "tool", "tool_call_id": call, "content": call} for call in ("1", "2")]
    sent = contents(called, *results, *QUESTION)
    assert [part["functionResponse"]["name"] for part in sent[1]["parts"]] == ["get_weather", "f"]
    assert sent[2] == ASKED[0]


@pytest.mark.parametrize(
    ("result", "response"),
    [
        ({"content": [{"json": {"degrees": 20}}]}, {"degrees": 20}),
        ({"content": [{"json": [1, 2]}]}, {"output": [[1, 2]]}),
        ({"content": [{"text": "a"}, {"text": "b"}]}, {"output": "ab"}),
        ({"content": [{"text": "no such city"}], "status": "error"}, {"error": "no such city"}),
        ({"content": []}, {"output": ""}),
    ],
    ids=["object", "list", "texts", "error", "nothing"],
)
def test_gemini_tool_result_contents(result, response):
    """A tool result is sent as an object, as the provider requires."""
    (content,) = contents({"role": "user", "content": [{"toolResult": {"toolUseId": "f", **result}}]})
    assert content["parts"] == [{"functionResponse": {"name": "f", "response": response}}]


def test_gemini_image_in_a_tool_result():
    """An image in a tool result is a part of the function response."""
    picture = {"image": {"format": "png", "source": {"bytes": b"png"}}}
    result = {"toolResult": {"toolUseId": "f", "content": [{"text": "here"}, picture]}}
    (content,) = contents({"role": "user", "content": [result]})
    assert content["parts"][0]["functionResponse"]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "cG5n"}}
    ]


def test_gemini_structured_output():
    """A structured response is requested with its JSON schema."""
    schema = {"type": "object", "properties": {"a_b": {"type": "integer"}}}
    sent = body(operation="json", output_schema=schema, temperature=0)
    assert sent["generationConfig"] == {
        "temperature": 0,
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }


def test_gemini_generation_config():
    """Parameters become fields of the generation config, from the SDK's names, the API's names, or SDK objects."""
    sent = body(
        max_tokens=5,
        top_k=3,
        stop_sequences=("END",),
        responseModalities=["TEXT"],
        thinking_config=types.ThinkingConfig(include_thoughts=True),
        media_resolution=types.MediaResolution.MEDIA_RESOLUTION_LOW,
        speech_config={"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}},
        seed=None,
    )
    assert sent["generationConfig"] == {
        "maxOutputTokens": 5,
        "topK": 3,
        "stopSequences": ["END"],
        "responseModalities": ["TEXT"],
        "thinkingConfig": {"includeThoughts": True},
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
    }


def test_gemini_generation_config_as_a_whole():
    """A generation config can be given in the API's form, even an empty one. Single parameters take precedence."""
    assert body(generation_config={})["generationConfig"] == {}
    assert body(generation_config={"topK": 1, "topP": 0.5}, top_k=2)["generationConfig"] == {
        "topK": 2,
        "topP": 0.5,
    }


def test_gemini_parameters_outside_the_generation_config():
    """Parameters that the API expects outside the generation config are sent there."""
    safety = [types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_NONE")]
    sent = body(
        safety_settings=safety,
        labels={"my_team": "x"},
        cached_content="cachedContents/1",
        tools=[{"urlContext": {}}],
    )
    assert sent == {
        "contents": ASKED,
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "labels": {"my_team": "x"},
        "cachedContent": "cachedContents/1",
        "tools": [{"urlContext": {}}],
    }


def test_gemini_response_schema():
    """The names inside a schema are not converted. A model class is sent as its JSON schema."""

    class Person(pydantic.BaseModel):
        first_name: str

    schema = {"type": "OBJECT", "properties": {"first_name": {"type": "STRING"}}}
    assert body(response_schema=schema)["generationConfig"] == {"responseSchema": schema}
    assert body(response_schema=Person)["generationConfig"] == {
        "responseJsonSchema": Person.model_json_schema()
    }


@pytest.mark.parametrize(
    ("model_id", "path", "vertex_path"),
    [
        ("gemini-2.5-flash", "models/gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash"),
        ("models/m", "models/m", "models/m"),
        ("tunedModels/m", "tunedModels/m", "publishers/tunedModels/models/m"),
        (
            "projects/p/locations/l/endpoints/1",
            "models/projects/p/locations/l/endpoints/1",
            "projects/p/locations/l/endpoints/1",
        ),
    ],
)
def test_gemini_model_path(model_id, path, vertex_path):
    """A model has a different path in each service, the same as in the SDK."""
    assert (model_path(model_id, vertex=False), model_path(model_id, vertex=True)) == (path, vertex_path)
