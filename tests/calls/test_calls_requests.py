"""The requests that reach the provider."""

from __future__ import annotations

import openai
import pytest
from models_world import QUESTION, WEATHER, ask

FUNCTION = {"type": "function", "function": WEATHER}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


async def sent(make_model, provider, *arguments, **parameters):
    """Return the body of the request that get_text with these arguments sends."""
    await make_model().get_text(*arguments, **parameters)
    return provider.requests[-1].body


async def test_plain_request(make_model, provider):
    """A plain question is sent with its model and its message, and nothing else."""
    assert await sent(make_model, provider, QUESTION) == {"model": "gpt-4o", "messages": QUESTION}


async def test_system_prompt(make_model, provider):
    """The system prompt is the first message."""
    body = await sent(make_model, provider, QUESTION, "Be brief.")
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, *QUESTION]


async def test_several_turns(make_model, provider):
    """A conversation is sent in order."""
    messages = [*QUESTION, {"role": "assistant", "content": "A language."}, *ask("Whose?")]
    assert (await sent(make_model, provider, messages))["messages"] == messages


async def test_messages_are_not_modified(make_model):
    """The caller's messages are not modified."""
    messages = [{"role": "user", "content": [{"text": "Hello"}]}]
    await make_model().get_text(messages, "Be brief.")
    assert messages == [{"role": "user", "content": [{"text": "Hello"}]}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"text": "Hello"}], "Hello"),
        ([{"text": "a"}, {"text": "b"}], [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        ([{"type": "text", "text": "Hello"}], [{"type": "text", "text": "Hello"}]),
        ([{"text": "See"}, IMAGE], [{"type": "text", "text": "See"}, IMAGE]),
        (({"text": "a"}, IMAGE), [{"type": "text", "text": "a"}, IMAGE]),
        ([{"type": "unknown", "text": "x", "more": 1}], [{"type": "unknown", "text": "x", "more": 1}]),
    ],
    ids=["one text", "two texts", "the provider's text", "image", "tuple", "unknown"],
)
async def test_blocks(make_model, provider, content, expected):
    """Text blocks are converted to the provider's form. Unknown blocks are sent unchanged."""
    body = await sent(make_model, provider, [{"role": "user", "content": content}])
    assert body["messages"][0]["content"] == expected


async def test_message_object_of_the_sdk(make_model, provider):
    """A message object of the SDK can be sent back in a conversation, and is cached."""
    model = make_model()
    message = openai.types.chat.ChatCompletionMessage(role="assistant", content="A language.")
    for _ in range(2):
        response = await model.get_text([*QUESTION, message, *ask("Whose?")])
    assert response.cached
    assert provider.requests[-1].body["messages"][1] == {"role": "assistant", "content": "A language."}


@pytest.mark.parametrize("spec", [WEATHER, FUNCTION], ids=["common form", "the provider's"])
async def test_tools(make_model, provider, spec):
    """A tool in any form is sent in the provider's form."""
    assert (await sent(make_model, provider, QUESTION, tool_specs=[spec]))["tools"] == [FUNCTION]


@pytest.mark.parametrize("spec", [WEATHER, FUNCTION], ids=["common form", "the provider's"])
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("any", "required"),
        ("get_weather", {"type": "function", "function": {"name": "get_weather"}}),
        (
            {"type": "function", "function": {"name": "get_weather"}},
            {"type": "function", "function": {"name": "get_weather"}},
        ),
    ],
    ids=["auto", "none", "required", "any", "name", "the provider's"],
)
async def test_tool_choice(make_model, provider, choice, expected, spec):
    """A tool choice is sent in the provider's form, whatever the form of the choice and the tools."""
    body = await sent(make_model, provider, QUESTION, tool_specs=[spec], tool_choice=choice)
    assert body["tool_choice"] == expected


async def test_tool_results(make_model, provider):
    """A tool result is sent in the provider's form."""
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        *ask("Use get_weather"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "Sunny"},
    ]
    body = await sent(make_model, provider, messages, tool_specs=[WEATHER])
    assert body["messages"] == messages


async def test_parameters_are_sent_unchanged(make_model, provider):
    """Other parameters reach the provider, including those that the SDK does not know by name."""
    known = {"temperature": 0.2, "stop": ["\n"], "seed": 7}
    unknown = {"brand_new": {"a": None}, "min_p": 0.1}
    body = await sent(make_model, provider, QUESTION, **known, **unknown, extra_body={"top_k": 3})
    assert body == {"model": "gpt-4o", "messages": QUESTION, **known, **unknown, "top_k": 3}


async def test_parameters_of_none(make_model, provider):
    """A parameter that is None is sent as null, as the SDK does it, and shares the key of an absent one."""
    nothing = {"temperature": None, "brand_new": None}
    body = await sent(make_model, provider, QUESTION, **nothing)
    assert body == {"model": "gpt-4o", "messages": QUESTION, **nothing}
    assert (await make_model().get_text(QUESTION)).cached


def test_options_of_none(make_model):
    """An option of the SDK that is None reaches it: without a timeout, a call may take as long as it needs."""
    request = make_model()._requests.build(QUESTION, None, None, None, None, {"timeout": None})
    assert request.options == {"timeout": None}


async def test_tools_under_the_sdk_name(make_model, provider):
    """Tools under the SDK's parameter name reach the provider. tool_specs takes precedence."""
    body = await sent(make_model, provider, QUESTION, tools=[FUNCTION], tool_choice="none")
    assert (body["tools"], body["tool_choice"]) == ([FUNCTION], "none")


async def test_not_given_markers(make_model, provider):
    """The SDK's markers for an argument that is not given equal its absence, in the key too."""
    model = make_model()
    await model.get_text(QUESTION)
    assert (await model.get_text(QUESTION, temperature=openai.NOT_GIVEN, user=openai.omit)).cached
    assert (await model.get_text(QUESTION, openai.omit, openai.NOT_GIVEN, openai.omit)).cached
    assert provider.calls == 1


async def test_defaults_of_the_model(make_model, provider):
    """The model's parameters are sent with every call. Those of a call take precedence."""
    model = make_model(params={"temperature": 0.1, "seed": 1})
    await model.get_text(QUESTION, seed=2)
    body = provider.requests[-1].body
    assert (body["temperature"], body["seed"]) == (0.1, 2)


async def test_cache_options_are_not_sent(make_model, provider):
    """The cache options of a call do not reach the provider."""
    body = await sent(make_model, provider, QUESTION, cache="refresh", sensitive=False, sample=3)
    assert body == {"model": "gpt-4o", "messages": QUESTION}


async def test_extra_headers(make_model, provider, monkeypatch):
    """Extra headers of a call, and the default headers of client_args, reach the provider."""
    seen = []
    monkeypatch.setattr(
        type(provider), "_delay", lambda _self, request: seen.append(dict(request.headers)) or 0.0
    )
    model = make_model(client_args={**_args(provider), "default_headers": {"X-Route": "a"}})
    await model.get_text(QUESTION, extra_headers={"X-More": "b"})
    assert (seen[0]["x-route"], seen[0]["x-more"]) == ("a", "b")


def _args(provider):
    return {"base_url": provider.base_url, "api_key": "test"}
