"""Chat completions of the stand-in, requested with the real SDK."""

from __future__ import annotations

import json

import openai
import pytest

from spark_cache.testing import StandInProvider


def user(text):
    return {"role": "user", "content": text}


def ask(client, *messages, **parameters):
    return client.chat.completions.create(**{"model": "gpt-4o", "messages": list(messages), **parameters})


def text_of(completion):
    return completion.choices[0].message.content


@pytest.fixture
def scripted():
    """Return a function that calls a stand-in with scripted responses."""

    def ask_scripted(answer, **parameters):
        with (
            StandInProvider(answer=answer) as provider,
            openai.OpenAI(base_url=provider.base_url, api_key="any", max_retries=0) as client,
        ):
            return ask(client, user("Hi"), **parameters)

    return ask_scripted


def test_a_response_is_labeled_as_a_stand_in(client):
    """A response is labeled as coming from a stand-in and repeats the question."""
    text = text_of(ask(client, user("What is the capital of France?")))

    assert text.startswith("[stand-in] You asked: What is the capital of France?")
    assert "no model answered" in text


def test_the_last_question_is_answered(client):
    """The last user message is the question."""
    turns = [user("First?"), {"role": "assistant", "content": "Yes."}, user("Second?")]

    assert "You asked: Second? (" in text_of(ask(client, *turns))


def test_a_long_question_is_shortened(client):
    """The response repeats only the start of a long question."""
    assert f"You asked: {'a' * 200}… (" in text_of(ask(client, user("a" * 5000)))


def test_parts_without_text_are_shown_by_type(client):
    """An image in a question appears in the response as its type."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}

    assert "You asked: See [image_url] (" in text_of(
        ask(client, user([{"type": "text", "text": "See"}, image]))
    )


def test_equal_requests_have_equal_responses(client):
    """Equal requests give the same completion, byte for byte."""
    assert ask(client, user("Hi")).to_json() == ask(client, user("Hi")).to_json()


@pytest.mark.parametrize(
    "change", [{"temperature": 0.5}, {"model": "gpt-4o-mini"}, {"seed": 1}, {"messages": [user("hi")]}]
)
def test_different_requests_have_different_responses(client, change):
    """A change anywhere in the request changes the response."""
    assert text_of(ask(client, user("Hi"))) != text_of(ask(client, user("Hi"), **change))


def test_usage_follows_the_rule(client):
    """Four characters count as one token, and each message of the prompt counts as four more."""
    completion = ask(client, {"role": "system", "content": "12345678"}, user("123456789"))
    usage = completion.usage

    assert usage.prompt_tokens == (4 + 2) + (4 + 3)
    assert usage.completion_tokens == -(-len(text_of(completion)) // 4)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_the_completion_names_the_requested_model(client):
    """The completion names the model of the request and has the finish reason ``stop``."""
    completion = ask(client, user("Hi"), model="my-model")

    assert (completion.model, completion.choices[0].finish_reason) == ("my-model", "stop")


def test_several_choices_differ(client):
    """Each choice has its own index and text."""
    choices = ask(client, user("Hi"), n=3).choices

    assert [choice.index for choice in choices] == [0, 1, 2]
    assert len({choice.message.content for choice in choices}) == 3


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_token_limit_cuts_the_answer(client, name):
    """A response that exceeds the limit is cut, and its finish reason says so."""
    completion = ask(client, user("Hi"), **{name: 5})

    assert text_of(completion) == "[stand-in] You asked"
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage.completion_tokens == 5


def test_an_answer_within_the_limit_is_whole(client):
    """A response of exactly the limit is not cut."""
    length = ask(client, user("Hi"), max_tokens=100).usage.completion_tokens
    completion = ask(client, user("Hi"), max_tokens=length)

    assert completion.choices[0].finish_reason == "stop"


def test_structured_output_fits_its_schema(client):
    """With a JSON schema as the response format, the content is JSON that fits the schema."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}

    assert json.loads(text_of(ask(client, user("Hi"), response_format=wanted))) == {"city": "stand-in"}


def test_json_output_is_an_object(client):
    """With any JSON as the response format, the content is an object that names the stand-in."""
    content = json.loads(text_of(ask(client, user("Hi"), response_format={"type": "json_object"})))

    assert content == {"stand-in": "no model answered"}


def test_a_scripted_text_is_the_answer(scripted):
    """A script computes the response from the request."""
    completion = scripted(lambda body: f"It was {body['model']}.")

    assert text_of(completion) == "It was gpt-4o."


def test_a_script_may_return_a_message(scripted):
    """A scripted message may hold a refusal and a finish reason."""
    completion = scripted(lambda _: {"refusal": "No.", "finish_reason": "content_filter"})

    assert completion.choices[0].message.refusal == "No."
    assert completion.choices[0].finish_reason == "content_filter"


def test_a_scripted_text_meets_the_token_limit(scripted):
    """The token limit also cuts scripted responses."""
    assert text_of(scripted(lambda _: "123456789", max_tokens=2)) == "12345678"


def test_a_script_is_called_for_each_choice(scripted):
    """The choices of a scripted response may differ."""
    answers = iter(["one", "two"])

    assert [choice.message.content for choice in scripted(lambda _: next(answers), n=2).choices] == [
        "one",
        "two",
    ]


def test_a_token_limit_drops_the_calls_past_it(scripted):
    """Scripted tool calls past the token limit are dropped, and the last remaining call is cut."""
    calls = [
        {"id": str(index), "type": "function", "function": {"name": "ping", "arguments": '{"a": 1}'}}
        for index in range(2)
    ]
    (choice,) = scripted(lambda _: {"tool_calls": calls}, max_tokens=2).choices
    kept = [(call.id, call.function.arguments) for call in choice.message.tool_calls]

    assert kept == [("0", '{"a"')]
    assert choice.finish_reason == "length"


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": ["Hi"]}, "messages[0].role"),
        ({"messages": [user("Hi"), {"role": "robot", "content": "Hi"}]}, "messages[1].role"),
        ({"n": 0}, "n"),
        ({"n": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"response_format": "json"}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}}},
            "response_format",
        ),
    ],
)
def test_a_bad_request_is_refused(client, parameters, param):
    """A request that the service would refuse is refused with an error that names the parameter."""
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, user("Hi"), **parameters)

    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
