"""The stand-in's Responses interface, asked by the real SDK."""

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
    """A question is answered with a text that says what it is, and with its usage."""
    answer = client.responses.create(model="gpt-4o", input="What is Python?")
    assert answer.status == "completed"
    assert answer.output_text.startswith("[stand-in] You asked: What is Python?")
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


def test_answers_differ_with_the_requests(client):
    """Two requests never share an answer, and one request always has the same."""
    asked = {"model": "gpt-4o", "input": "What is Python?"}
    first = client.responses.create(**asked)
    assert client.responses.create(**asked) == first
    assert client.responses.create(**asked, temperature=0.5).output_text != first.output_text
    assert client.responses.create(**asked, instructions="Be brief.").output_text != first.output_text


def test_stream_adds_up(client):
    """The events of a stream add up to the answer in one piece, which the last one holds."""
    asked = {"model": "gpt-4o", "input": "What is Python?"}
    events = list(client.responses.create(**asked, stream=True))
    whole = client.responses.create(**asked)
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == whole.output_text
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_tool_call(client):
    """A tool that the user names is called, with arguments that fit its schema."""
    answer = client.responses.create(model="gpt-4o", input="Use get_weather", tools=[WEATHER])
    (call,) = answer.output
    assert (call.type, call.name) == ("function_call", "get_weather")
    assert json.loads(call.arguments).keys() == {"city"}


def test_tool_call_in_a_stream(client):
    """The pieces of the arguments add up to them."""
    asked = {"model": "gpt-4o", "input": "Use get_weather", "tools": [WEATHER]}
    events = list(client.responses.create(**asked, stream=True))
    pieces = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    assert "".join(pieces) == events[-1].response.output[0].arguments


def test_demanded_tool(client):
    """A tool that the request demands is called."""
    choice = {"type": "function", "name": "get_weather"}
    answer = client.responses.create(model="gpt-4o", input="Hello", tools=[WEATHER], tool_choice=choice)
    assert answer.output[0].name == "get_weather"


def test_result_of_a_tool(client):
    """The result of a tool is taken up."""
    call = {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "Sunny"}
    conversation = [{"role": "user", "content": "Use get_weather"}, call, result]
    answer = client.responses.create(model="gpt-4o", input=conversation, tools=[WEATHER])
    assert "The tool said: Sunny" in answer.output_text


def test_structured_answer(client):
    """A structured answer fits its schema."""
    form = {"type": "json_schema", "name": "city", "schema": CITY, "strict": True}
    answer = client.responses.create(model="gpt-4o", input="Which city?", text={"format": form})
    assert json.loads(answer.output_text).keys() == {"name"}


def test_limit_of_tokens(client):
    """An answer that is cut at the token limit says so, streamed or not."""
    asked = {"model": "gpt-4o", "input": "What is Python?", "max_output_tokens": 3}
    answer = client.responses.create(**asked)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert list(client.responses.create(**asked, stream=True))[-1].type == "response.incomplete"


@pytest.mark.parametrize("stream", [False, True])
def test_refusal(stream):
    """A scripted refusal is a part of its own."""
    with (
        StandInProvider(answer=lambda _: {"refusal": "I will not."}) as provider,
        openai.OpenAI(base_url=provider.base_url, api_key="test") as client,
    ):
        answer = client.responses.create(model="gpt-4o", input="Hello", stream=stream)
        whole = list(answer)[-1].response if stream else answer
        assert whole.output[0].content[0].refusal == "I will not."


def test_script_gets_this_request():
    """A script is given the request as it was sent."""
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
def test_what_the_service_would_refuse(client, body):
    """A request that the service would refuse is refused."""
    with pytest.raises(openai.BadRequestError):
        client.post("/responses", body=body, cast_to=object)
