"""Requests that depend on state at the provider, and the path at which they name it."""

from __future__ import annotations

import pytest

from spark_cache.keys import state_path

QUESTION = [{"role": "user", "content": "Hello"}]


def parts(**part):
    """Return contents of Gemini with one part."""
    return [{"role": "user", "parts": [part]}]


@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "echo", "gemini", "openai"])
@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"previous_response_id": "resp_1"}, "body.previous_response_id"),
        ({"conversation": {"id": "c"}}, "body.conversation"),
        ({"background": True}, "body.background"),
        ({"container": "c"}, "body.container"),
        ({"cached_content": "c"}, "body.cached_content"),
        ({"cachedContent": "c"}, "body.cachedContent"),
        ({"continuationToken": "t"}, "body.continuationToken"),
        ({"thread": "t"}, "body.thread"),
        ({"seed": 1, "thread_id": "t"}, "body.thread_id"),
        ({"assistant_id": "a"}, "body.assistant_id"),
        ({"data_sources": [{"type": "azure_search"}]}, "body.data_sources"),
        ({"prompt": {"id": "p"}}, "body.prompt"),
        ({"prompt": {"id": "p", "version": None}}, "body.prompt"),
        ({"prompt": {"id": "p", "version": "2"}}, None),
        ({"prompt": "Hello"}, None),
        ({"background": False}, None),
        ({"conversation": None}, None),
        ({"metadata": {"conversation": "c"}}, None),
        ({"top_k": 1}, None),
        ({}, None),
    ],
    ids=repr,
)
def test_a_field_that_refers_to_state(sent, provider, fields, path):
    """A field that refers to state at the provider is named, unless it is off, absent, or names something that never changes."""
    assert state_path(sent(provider=provider, **fields)) == path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"input": [*QUESTION, {"type": "item_reference", "id": "i"}]}, "body.input[1]"),
        (
            {"tools": [{"type": "x"}, {"type": "file_search", "vector_store_ids": ["v"]}]},
            "body.tools[1].vector_store_ids",
        ),
        ({"tools": [{"type": "code_interpreter", "container": "c"}]}, "body.tools[0].container"),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, None),
        (
            {"tools": [{"type": "shell", "environment": {"container_id": "c"}}]},
            "body.tools[0].environment.container_id",
        ),
        ({"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}, None),
        ({"tools": [{"type": "file_search", "vector_store_ids": []}]}, None),
        ({"tools": ["web_search", None]}, None),
        ({"tools": {"vector_store_ids": ["v"]}}, None),
        ({"input": [{"type": "reasoning", "id": "r"}]}, None),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, None),
        ({"input": "Hello"}, None),
    ],
    ids=repr,
)
def test_state_at_openai(sent, fields, path):
    """Items that are stored, stores of vectors, and containers are state. Files and reasoning items never change."""
    assert state_path(sent(**fields)) == path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"contents": parts(text="Hello")}, None),
        ({"contents": parts(inlineData={"mimeType": "image/png", "data": "AAAA"})}, None),
        ({"contents": parts(fileData={"fileUri": "https://example.com/a.png"})}, None),
        (
            {
                "contents": parts(
                    fileData={"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a"}
                )
            },
            "body.contents[0]",
        ),
        (
            {"contents": [*parts(text="Hello"), *parts(fileData={"fileUri": "gs://b/a.png"})]},
            "body.contents[1]",
        ),
        ({"contents": parts(file_data={"file_uri": "files/abc"})}, "body.contents[0]"),
        ({"contents": parts(fileData={"fileUri": "http://[bad"})}, "body.contents[0]"),
        (
            {
                "contents": parts(
                    functionResponse={"name": "f", "parts": [{"fileData": {"fileUri": "gs://b/a"}}]}
                )
            },
            "body.contents[0]",
        ),
        ({"contents": ["Hello", {"parts": ["Hello"]}, {"parts": None}]}, None),
        (
            {"tools": [{"googleSearch": {}}, {"fileSearch": {"fileSearchStoreNames": ["s"]}}]},
            "body.tools[1].fileSearch",
        ),
        ({"tools": [{"file_search": {}}]}, "body.tools[0].file_search"),
        ({"tools": [{"retrieval": {"vertexRagStore": {}}}]}, "body.tools[0].retrieval"),
        ({"tools": [{"retrieval": None}, "x"]}, None),
    ],
    ids=repr,
)
def test_state_at_gemini(sent, fields, path):
    """Uploaded files, objects in Google's storage, and stores that a tool reads are state. Other addresses are the caller's."""
    assert state_path(sent(provider="gemini", body=fields)) == path


@pytest.mark.parametrize(
    ("model_id", "fields", "path"),
    [
        ("m", {}, None),
        (
            "m",
            {"additionalModelRequestFields": {"container": "c"}},
            "body.additionalModelRequestFields.container",
        ),
        ("m", {"additionalModelRequestFields": {"container": None, "top_k": 1}}, None),
        ("m", {"guardrailConfig": {"guardrailVersion": "DRAFT"}}, "body.guardrailConfig.guardrailVersion"),
        ("m", {"guardrailConfig": {"guardrailVersion": "1"}}, None),
        ("arn:aws:bedrock:us-east-1:1:prompt/P", {}, "model_id"),
        ("arn:aws:bedrock:us-east-1:1:prompt/P:2", {}, None),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/P", {}, None),
    ],
)
def test_state_at_bedrock(sent, model_id, fields, path):
    """Fields of the model's own API, drafts of a guardrail, and prompts without a version are state."""
    assert state_path(sent(provider="bedrock", model_id=model_id, **fields)) == path


@pytest.mark.parametrize(
    "fields",
    [
        {"mcp_servers": [{"type": "url", "url": "https://mcp.example"}]},
        {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "file"}}]}]},
        {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]},
        {"contents": parts(fileData={"fileUri": "gs://b/a.png"})},
    ],
    ids=repr,
)
def test_no_state_at_anthropic(sent, fields):
    """Files of Anthropic never change, and fields of another provider mean nothing here."""
    assert state_path(sent(provider="anthropic", **fields)) is None


@pytest.mark.parametrize(
    ("provider", "arguments", "path"),
    [
        ("openai", {"extra_body": {"previous_response_id": "r"}}, "body.previous_response_id"),
        ("openai", {"api": "responses", "previous_response_id": "r"}, "body.previous_response_id"),
        ("anthropic", {"container": "c"}, "body.container"),
        ("gemini", {"cached_content": "c"}, "body.cachedContent"),
        ("gemini", {"extra_body": {"continuationToken": "t"}}, "body.continuationToken"),
        (
            "bedrock",
            {"additionalModelRequestFields": {"container": "c"}},
            "body.additionalModelRequestFields.container",
        ),
        ("echo", {"extra_body": {"thread_id": "t"}}, "body.thread_id"),
    ],
)
def test_parameters_of_a_call_that_refer_to_state(ask, provider, arguments, path):
    """A reference to state is found where the parameter of a call ends up in the body."""
    assert state_path(ask(provider, parameters=arguments)) == path
