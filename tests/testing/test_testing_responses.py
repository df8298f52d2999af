"""Responses of the stand-in, requested with the real SDK."""

from __future__ import annotations

import json

import openai
import pytest

from spark_cache.testing import StandInProvider

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CITY = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.fixture
def provider():
    with StandInProvider() as running:
        yield running


@pytest.fixture
def client(provider):
    with openai.OpenAI(base_url=provider.base_url, api_key="test", max_retries=0) as client:
        yield client


def test_text(client):
    """The response repeats the question, is labeled as a stand-in's, and holds its usage."""
    answer = client.responses.create(model="gpt-4o", input="What is Python?")
    assert answer.status == "completed"
    assert answer.output_text.startswith("[stand-in] You asked: What is Python?")
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


def test_responses_differ_if_the_requests_differ(client):
    """Equal requests have equal responses, and different requests have different responses."""
    request = {"model": "gpt-4o", "input": "What is Python?"}
    first = client.responses.create(**request)
    assert client.responses.create(**request) == first
    assert client.responses.create(**request, temperature=0.5).output_text != first.output_text
    assert client.responses.create(**request, instructions="Be brief.").output_text != first.output_text


def test_stream_adds_up(client):
    """The events of a stream add up to the unstreamed response, which the last event holds."""
    request = {"model": "gpt-4o", "input": "What is Python?"}
    events = list(client.responses.create(**request, stream=True))
    whole = client.responses.create(**request)
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == whole.output_text
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_tool_call(client):
    """A tool that the user mentions is called with arguments that fit its schema."""
    answer = client.responses.create(model="gpt-4o", input="Use get_weather", tools=[WEATHER])
    (call,) = answer.output
    assert (call.type, call.name) == ("function_call", "get_weather")
    assert json.loads(call.arguments).keys() == {"city"}


def test_tool_call_in_a_stream(client):
    """The streamed pieces add up to the arguments of the call."""
    request = {"model": "gpt-4o", "input": "Use get_weather", "tools": [WEATHER]}
    events = list(client.responses.create(**request, stream=True))
    pieces = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    assert "".join(pieces) == events[-1].response.output[0].arguments


def test_demanded_tool(client):
    """A tool that the request demands is called."""
    choice = {"type": "function", "name": "get_weather"}
    answer = client.responses.create(model="gpt-4o", input="Hello", tools=[WEATHER], tool_choice=choice)
    assert answer.output[0].name == "get_weather"


def test_result_of_a_tool(client):
    """The response repeats the result of a tool."""
    call = {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "Sunny"}
    conversation = [{"role": "user", "content": "Use get_weather"}, call, result]
    answer = client.responses.create(model="gpt-4o", input=conversation, tools=[WEATHER])
    assert "The tool said: Sunny" in answer.output_text


def test_structured_answer(client):
    """A structured response fits its schema."""
    form = {"type": "json_schema", "name": "city", "schema": CITY, "strict": True}
    answer = client.responses.create(model="gpt-4o", input="Which city?", text={"format": form})
    assert json.loads(answer.output_text).keys() == {"name"}


def test_limit_of_tokens(client):
    """A response that is cut at the token limit is incomplete, streamed or not."""
    request = {"model": "gpt-4o", "input": "What is Python?", "max_output_tokens": 3}
    answer = client.responses.create(**request)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert list(client.responses.create(**request, stream=True))[-1].type == "response.incomplete"


@pytest.mark.parametrize("stream", [False, True])
def test_refusal(stream):
    """A scripted refusal becomes a separate content part."""
    with (
        StandInProvider(answer=lambda _: {"refusal": "I will not."}) as provider,
        openai.OpenAI(base_url=provider.base_url, api_key="test") as client,
    ):
        answer = client.responses.create(model="gpt-4o", input="Hello", stream=stream)
        whole = list(answer)[-1].response if stream else answer
        assert whole.output[0].content[0].refusal == "I will not."


def test_script_receives_the_original_request():
    """A script receives the request in the form in which it was sent."""
    bodies = []
    with (
        StandInProvider(answer=lambda body: bodies.append(body) or "Hello") as provider,
        openai.OpenAI(base_url=provider.base_url, api_key="test") as client,
    ):
        assert client.responses.create(model="gpt-4o", input="Hi").output_text == "Hello"
    assert bodies == [{"model": "gpt-4o", "input": "Hi"}]


@pytest.mark.parametrize(
    "body",
    [
        {"input": "Hi"},
        {"model": "m"},
        {"model": "m", "input": [{"content": "Hi"}]},
        {"model": "m", "input": 3},
    ],
    ids=["no model", "no input", "no role", "no text"],
)
def test_a_bad_request_is_refused(client, body):
    """A request that the service would refuse is refused."""
    with pytest.raises(openai.BadRequestError):
        client.post("/responses", body=body, cast_to=object)
