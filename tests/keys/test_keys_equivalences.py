"""Every equivalence: two ways to write a body that mean the same request have one key, and similar ones that do not have two."""

from __future__ import annotations

from typing import Any

import pytest

from spark_cache.keys import cache_key, keyed_body
from spark_cache.types import Base64Text, Request

QUESTION = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


def key(body: dict[str, Any], provider: str = "openai", operation: str = "text") -> str:
    """Return the key of a body."""
    return cache_key(Request(provider, "m", body, operation))


def said(content: Any, **fields: Any) -> dict[str, Any]:
    """Return a body with one message."""
    return {"messages": [{"role": "user", "content": content, **fields}]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 2, "c": 1}, "a": 1}),
        ({"a": 1}, {"a": 1, "seed": None}),
        ({"a": 1}, {"a": 1, "stream": True, "stream_options": {"include_usage": True}}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 0}, {"a": -0.0}),
        ({"a": {"b": [1]}}, {"a": {"b": (1.0,)}}),
        ({"a": "data:AAEC"}, {"a": Base64Text(b"\x00\x01\x02", "data:")}),
        (said("Hi"), said([{"text": "Hi"}])),
        (said("Hi"), said([{"type": "text", "text": "Hi"}])),
        (said("Hi"), said([{"type": "input_text", "text": "Hi"}])),
        (said("Hi"), said([{"type": "output_text", "text": "Hi"}])),
        (said(""), said([{"type": "text", "text": ""}])),
        (said("Hi", name="Ann"), said([{"text": "Hi"}], name="Ann")),
        (said("Hi"), said("Hi", type="message")),
        (said("Hi"), said([{"text": "Hi"}], type="message")),
        ({"input": "Hi"}, {"input": [{"role": "user", "content": "Hi"}]}),
        ({"input": "Hi"}, {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]}),
        ({"input": "Hi"}, {"input": [{"type": "message", "role": "user", "content": "Hi"}]}),
        ({"system": "Be brief."}, {"system": [{"type": "text", "text": "Be brief."}]}),
        ({"system": "Be brief."}, {"system": [{"text": "Be brief."}]}),
    ],
    ids=repr,
)
def test_equal_bodies(one, other):
    """Two bodies that mean the same have one key."""
    assert key(one) == key(other)


@pytest.mark.parametrize(
    "name", ["include", "inferenceConfig", "generationConfig", "safetySettings", "system", "tools"]
)
@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "gemini", "openai"])
def test_a_field_that_is_empty_is_absent(name, provider):
    """Some fields mean nothing if they are an empty list or object. An empty text is a text."""
    empty: list[Any] = [[], {}, ()]
    assert {key({"a": 1, name: value}, provider) for value in empty} == {key({"a": 1}, provider)}
    assert key({"a": 1, name: ""}, provider) != key({"a": 1}, provider)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"input": "Hi"}, {"input": ["Hi"]}),
        ({"texts": "Hi"}, {"texts": ["Hi"]}),
        ({"input": [1, 2]}, {"input": [[1, 2]]}),
        ({"input": "Hi"}, {"input": "Hi", "encoding_format": "float"}),
        ({"input": "Hi"}, {"input": ["Hi"], "encoding_format": "base64"}),
        ({"input": ["a", "b"]}, {"input": ["a", "b"], "encoding_format": "base64"}),
        ({"inputText": "Hi"}, {"inputText": "Hi", "encoding_format": "float"}),
        ({"messages": "Hi"}, {"messages": "Hi", "encoding_format": "float"}),
    ],
    ids=repr,
)
@pytest.mark.parametrize("provider", ["bedrock", "echo", "openai"])
def test_equal_embeddings(one, other, provider):
    """One text alone and in a list are the same, and the encoding of vectors does not count."""
    assert key(one, provider, "embedding") == key(other, provider, "embedding")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": None}, {"a": False}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": {"b": None}}, {"a": {}}),
        ({"a": []}, {}),
        ({"a": {"stream": True}}, {"a": {}}),
        ({"a": {"tools": []}}, {"a": {}}),
        ({"stop": ""}, {}),
        ({"messages": []}, {}),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": "1"}),
        ({"a": "caf\u00e9"}, {"a": "cafe\u0301"}),
        ({"input": "Hi"}, {"messages": [{"role": "user", "content": "Hi"}]}),
        ({"input": ["Hi"]}, {"input": "Hi"}),
        ({"input": "Hi", "encoding_format": "float"}, {"input": "Hi"}),
        (said("Hi"), said([{"text": "H"}, {"text": "i"}])),
        (said("Hi"), said([{"text": "Hi", "cache_control": {"type": "ephemeral"}}])),
        (said("Hi"), said([{"type": "text", "text": "Hi", "citations": []}])),
        (said("Hi"), said([{"type": "thinking", "text": "Hi"}])),
        (said("Hi"), said(["Hi"])),
        (said("Hi"), said({"text": "Hi"})),
        (said("Hi"), said("Hi", name="Ann")),
        (said("Hi"), said("Hi", type="other")),
        (said(None), said("")),
        (said([]), said("")),
        (said([{"text": 5}]), said(5)),
        ({"messages": [{"type": "message", "content": "Hi"}]}, {"messages": [{"content": "Hi"}]}),
        ({"messages": [{"type": "message", "role": "user"}]}, {"messages": [{"role": "user"}]}),
        ({"a": said([{"text": "Hi"}])}, {"a": said("Hi")}),
        ({"system": [{"text": "a"}, {"text": "b"}]}, {"system": "ab"}),
        ({"instructions": [{"text": "a"}]}, {"instructions": "a"}),
    ],
    ids=repr,
)
def test_different_bodies(one, other):
    """Bodies that are merely similar have different keys."""
    assert key(one) != key(other)


@pytest.mark.parametrize(
    "name", ["messages", "input", "contents", "tools", "tool_specs", "functions", "system"]
)
@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "echo", "gemini", "openai"])
def test_numbers_in_messages_and_tools_are_exact(name, provider):
    """``1`` and ``1.0`` differ where the model reads them as text, at every depth."""
    keys = {key({name: [{"a": [{"n": number}]}]}, provider) for number in (1, 1.0, 0, 0.0, -0.0)}
    assert len(keys) == 5


@pytest.mark.parametrize(
    ("provider", "fields"),
    [
        ("echo", lambda schema: {"output_schema": schema}),
        (
            "openai",
            lambda schema: {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}},
        ),
        ("openai", lambda schema: {"text": {"format": {"type": "json_schema", "schema": schema}}}),
        (
            "anthropic",
            lambda schema: {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
        ),
        ("gemini", lambda schema: {"generationConfig": {"responseJsonSchema": schema}}),
        ("gemini", lambda schema: {"generationConfig": {"responseSchema": schema}}),
        (
            "bedrock",
            lambda schema: {"toolConfig": {"tools": [{"toolSpec": {"inputSchema": {"json": schema}}}]}},
        ),
    ],
)
def test_numbers_in_schemas_are_exact(provider, fields):
    """``1`` and ``1.0`` differ in a schema. The other numbers of the body are parameters."""
    one, whole = fields(SCHEMA | {"minimum": 1}), fields(SCHEMA | {"minimum": 1.0})
    assert key(one, provider) != key(whole, provider)
    assert key({**one, "n": 1}, provider) == key({**one, "n": 1.0}, provider)


def test_contents_of_gemini_have_one_form():
    """Gemini has no second way to write a text, so its bodies are keyed as they are."""
    text, parts = {"contents": "Hi"}, {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    assert key(text, "gemini") != key(parts, "gemini")
    assert key(said([{"text": "Hi"}]), "gemini") != key(said("Hi"), "gemini")


def test_only_one_text_to_embed_is_taken_out_of_its_list():
    """Only one text or its token IDs are. A conversation stays what it is in the request to embed."""
    assert key({"input": [1]}, "openai", "embedding") != key({"input": 1}, "openai", "embedding")
    assert key({"input": [["a"]]}, "openai", "embedding") != key({"input": ["a"]}, "openai", "embedding")
    assert key({"messages": "Hi"}, "echo", "embedding") != key({"messages": ["Hi"]}, "echo", "embedding")
    assert key(said([{"text": "Hi"}]), "echo", "embedding") != key(said("Hi"), "echo", "embedding")


@pytest.mark.parametrize("content", [[{"text": "a"}, {"text": "b"}], [{"text": 5}], [], "a", None])
def test_other_messages_are_shared(content):
    """A message that needs no other form is the same object in the keyed body."""
    message = {"role": "user", "content": content}
    assert keyed_body(Request("openai", "m", {"messages": [message]}))["messages"][0] is message


@pytest.mark.parametrize(
    "body",
    [
        said([{"text": "a"}], name="Ann", type="message"),
        {"input": "a", "stream": True, "tools": [], "seed": None},
        {"system": [{"text": "a"}]},
    ],
)
def test_a_body_is_not_modified(body):
    """The body that is sent stays what it was."""
    before = repr(body)
    keyed_body(Request("openai", "m", body))
    key(body)
    assert repr(body) == before


CALLS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("openai", {"system_prompt": "a"}, {"messages": [{"role": "system", "content": "a"}, *QUESTION]}),
    ("anthropic", {"system_prompt": "a"}, {"messages": [{"role": "system", "content": "a"}, *QUESTION]}),
    ("gemini", {"system_prompt": "a"}, {"messages": [{"role": "system", "content": "a"}, *QUESTION]}),
    ("bedrock", {"system_prompt": "a"}, {"messages": [{"role": "system", "content": "a"}, *QUESTION]}),
    ("bedrock", {"parameters": {"max_tokens": 5}}, {"parameters": {"maxTokens": 5}}),
    ("bedrock", {"parameters": {"max_tokens": 5}}, {"parameters": {"inferenceConfig": {"maxTokens": 5}}}),
    ("gemini", {"parameters": {"top_k": 5}}, {"parameters": {"generationConfig": {"topK": 5}}}),
    ("gemini", {"parameters": {"max_tokens": 5}}, {"parameters": {"maxOutputTokens": 5}}),
    ("anthropic", {}, {"parameters": {"max_tokens": 4096}}),
    ("anthropic", {"tool_choice": "any"}, {"tool_choice": {"type": "any"}}),
    ("openai", {"tool_choice": "any"}, {"tool_choice": "required"}),
    ("openai", {"parameters": {"top_k": 5}}, {"parameters": {"extra_body": {"top_k": 5}}}),
    ("openai", {"messages": "Hello"}, {"messages": QUESTION}),
    ("openai", {"parameters": {"api": "chat"}}, {}),
]


@pytest.mark.parametrize(("provider", "one", "other"), CALLS, ids=repr)
def test_calls_that_send_the_same_body(ask, provider, one, other):
    """Two calls that send the same body have one key, however they are written."""
    assert cache_key(ask(provider, **one)) == cache_key(ask(provider, **other))


@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "echo", "gemini", "openai"])
def test_the_order_of_names_in_arguments(ask, provider):
    """The order of the names in arguments, and in JSON that is sent as text, does not count."""

    def call(turn):
        values = turn({"a": 1, "b": 2})
        messages = [
            *QUESTION,
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c", "name": "f", "input": values}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "c", "content": [{"json": values}]}}]},
        ]
        tools = [turn({"name": "f", "parameters": turn({"type": "object", "properties": values})})]
        return cache_key(ask(provider, messages=messages, tool_specs=tools, parameters={"x": values}))

    assert call(dict) == call(lambda given: dict(reversed(given.items())))
