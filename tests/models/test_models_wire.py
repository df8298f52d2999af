"""At the socket: the body that arrives is the snapshot, and two requests share a key exactly when they are equivalent."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from test_models_snapshot import PROVIDERS, make  # noqa: F401 - a fixture

from spark_cache.providers.json_values import with_text

REQUESTS = 300
"""How many requests each provider gets."""

PICTURE = b"\x89PNG" + bytes(range(256))

TOOL = {
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 40}}},
}

CONVERSATIONS: list[list[Any]] = [
    [{"role": "user", "content": "Hello"}],
    [{"content": [{"text": "Hello"}], "role": "user"}],
    [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    [{"role": "user", "content": [{"text": "Hello"}, {"text": "again"}]}],
    [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "Bye"},
    ],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    [
        {
            "role": "user",
            "content": [
                {"text": "What is this?"},
                {"image": {"format": "png", "source": {"bytes": PICTURE}}},
            ],
        }
    ],
    [
        {
            "role": "user",
            "content": [
                {"image": {"format": "png", "source": {"bytes": bytearray(PICTURE)}}},
                {"text": "What is this?"},
            ],
        }
    ],
    [{"role": "user", "content": "x" * 20_000}],
    [{"role": "user", "content": [{"type": "text", "text": "x" * 20_000}]}],
    [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"days": 1}}}],
        },
        {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "Sunny"}]}}]},
    ],
    [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"days": 1.0}}}],
        },
        {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "Sunny"}]}}]},
    ],
]

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "every provider": [
        {},
        {"temperature": 0},
        {"temperature": 0.0},
        {"temperature": -0.0},
        {"temperature": 1},
        {"temperature": 1.0},
        {"temperature": 0.5},
        {"temperature": None},
        {"max_tokens": 100},
        {"top_p": 1.0},
        {"top_p": 1},
        {"system_prompt": "Be kind."},
        {"tool_specs": [TOOL]},
        {"tool_specs": [{**TOOL, "description": "Other."}]},
        {"tool_specs": [TOOL], "tool_choice": "weather"},
        {"tool_specs": [TOOL], "tool_choice": "auto"},
    ],
    "openai": [
        {"stream_options": {"include_usage": False}},
        {"user": "u1"},
        {"metadata": {"run": "1"}},
        {"extra_body": {"top_k": 1}},
        {"extra_body": {"top_k": 1.0}},
        {"extra_headers": {"X-Tenant": "blue"}},
        {"extra_headers": {"x-tenant": "blue", "traceparent": "00-1-2-03"}},
        {"extra_query": {"v": "1"}},
        {"timeout": 30.0},
        {"tool_specs": []},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"maximum": 1}}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"maximum": 1.0}},
            }
        },
    ],
    "responses": [
        {"user": "u1"},
        {"include": []},
        {"tool_specs": []},
        {"reasoning": {"effort": "low"}},
        {"extra_body": {"top_k": 1}},
        {"extra_headers": {"X-Tenant": "blue"}},
        {"extra_query": {"v": "1"}},
        {"text": {"verbosity": "low"}},
    ],
    "anthropic": [
        {"max_tokens": 4096},
        {"system": []},
        {"system": [{"type": "text", "text": "Be kind."}]},
        {"system": "Be kind."},
        {"thinking": {"type": "disabled"}},
        {"betas": ["a-1"]},
        {"unknown_field": {"a": 1}},
        {"extra_headers": {"anthropic-version": "2026-10-21"}},
        {"extra_headers": {"anthropic-version": "2023-06-01"}},
        {"metadata": {"user_id": "u1"}},
    ],
    "gemini": [
        {"max_output_tokens": 100},
        {"safety_settings": []},
        {"safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]},
        {"system_instruction": "Be kind."},
        {"thinking_config": {"thinking_budget": 0}},
        {"extra_body": {"generationConfig": {"candidateCount": 1}}},
        {"http_options": {"headers": {"X-Tenant": "blue"}}},
        {"labels": {"run": "1"}},
    ],
    "bedrock": [
        {"inferenceConfig": {}},
        {"inferenceConfig": {"maxTokens": 100}},
        {"system": [{"text": "Be kind."}]},
        {"additionalModelRequestFields": {"top_k": 1}},
        {"additionalModelRequestFields": {"top_k": 1.0}},
        {"requestMetadata": {"run": "1"}},
        {"system": []},
    ],
}


def calls(name: str) -> list[dict[str, Any]]:
    """Return the arguments of calls of every form, the same ones each time."""
    random = Random(name)
    options = [*OPTIONS["every provider"], *OPTIONS[name]]
    plain = [{"messages": CONVERSATIONS[0], **option} for option in options]
    plain += [{"messages": messages} for messages in CONVERSATIONS]
    while len(plain) < REQUESTS:
        chosen = random.sample(options, 2)
        plain.append({"messages": random.choice(CONVERSATIONS), **chosen[0], **chosen[1]})
    return plain


# -- the equivalences, written a second time ------------------------------------------------------------------

CONTENT = {"messages", "input", "contents", "system", "systemInstruction", "tools", "toolConfig", "schema"}

CAN_BE_EMPTY = {"generationConfig", "include", "inferenceConfig", "safetySettings", "system", "tools"}


def form(body: Any, headers: Any, query: Any) -> str:
    """Return a form that is equal for equivalent bodies, made from the JSON that arrived."""
    kept = {
        name: numbers(shortened(name, value), exact=name in CONTENT)
        for name, value in body.items()
        if name not in ("model", "stream", "stream_options")
        and value is not None
        and not (value in ([], {}) and name in CAN_BE_EMPTY)
    }
    return json.dumps([kept, dict(headers), dict(query)], sort_keys=True)


def shortened(name: str, value: Any) -> Any:
    """Return a field in which one block of text is its text."""
    if name == "system":
        return text_of(value)
    if name in ("messages", "input"):
        return [
            {**turn, "content": text_of(turn["content"])} if "content" in turn else turn for turn in value
        ]
    return value


def text_of(content: Any) -> Any:
    """Return the text of content that is one block of text."""
    if isinstance(content, list) and len(content) == 1 and set(content[0]) <= {"type", "text"}:
        return content[0]["text"]
    return content


def numbers(value: Any, *, exact: bool) -> Any:
    """Return a value in which whole numbers of parameters are integers."""
    if isinstance(value, dict):
        return {name: numbers(item, exact=exact or name in CONTENT) for name, item in value.items()}
    if isinstance(value, list):
        return [numbers(item, exact=exact) for item in value]
    return int(value) if isinstance(value, float) and not exact and value == int(value) else value


@pytest.mark.parametrize("name", PROVIDERS)
async def test_what_arrives_is_what_is_keyed(make, provider, name):  # noqa: F811 - the fixture
    """The body that arrives is the snapshot's, and equal keys and equivalent bodies are the same thing."""
    model = make(name)
    by_key: dict[str, str] = {}
    by_form: dict[str, str] = {}
    for call in calls(name):
        request = build(model, **call)
        await model.get_text(**call, cache="bypass")
        arrived = provider.requests[-1].body
        assert without_model(arrived) == without_model(with_text(dict(request.body))), call
        key = str(model.cache_key(**call))
        equivalent = form(arrived, request.headers, request.query)
        assert by_key.setdefault(key, equivalent) == equivalent, call
        assert by_form.setdefault(equivalent, key) == key, call
    assert len(by_key) > REQUESTS / 3


def build(
    model: Any,
    messages: Any,
    system_prompt: Any = None,
    tool_specs: Any = None,
    tool_choice: Any = None,
    **parameters: Any,
) -> Any:
    """Return the request of a call."""
    return model._requests.build(messages, system_prompt, tool_specs, tool_choice, None, parameters)


def without_model(body: Any) -> Any:
    """Return a body without the model and what says how the response is sent."""
    return {name: value for name, value in body.items() if name not in ("model", "stream", "stream_options")}
