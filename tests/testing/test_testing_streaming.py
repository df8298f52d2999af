"""Streamed chat completions of the stand-in, requested with the real SDK."""

from __future__ import annotations

import openai
import pytest

from spark_cache.testing import StandInProvider

REQUEST = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Call clock, please."}]}
CLOCK = {
    "type": "function",
    "function": {"name": "clock", "parameters": {"type": "object", "required": ["zone"]}},
}


def chunks(client, **parameters):
    with client.chat.completions.create(**REQUEST, **parameters, stream=True) as stream:
        return list(stream)


def joined(streamed, index=0):
    deltas = [choice.delta for chunk in streamed for choice in chunk.choices if choice.index == index]
    return "".join(delta.content or "" for delta in deltas)


def test_the_pieces_add_up_to_the_unstreamed_text(client):
    """The pieces of a streamed text add up to the unstreamed text."""
    whole = client.chat.completions.create(**REQUEST).choices[0].message.content
    streamed = chunks(client)

    assert joined(streamed) == whole
    assert len(streamed) > 5


def test_a_stream_is_one_completion(client):
    """Every chunk has the id and model of the unstreamed completion."""
    whole = client.chat.completions.create(**REQUEST)

    assert {(chunk.id, chunk.model) for chunk in chunks(client)} == {(whole.id, whole.model)}


def test_a_stream_starts_with_the_role(client):
    """The first chunk holds the role."""
    assert chunks(client)[0].choices[0].delta.role == "assistant"


def test_a_stream_ends_with_the_finish_reason(client):
    """Only the last chunk holds a finish reason."""
    reasons = [chunk.choices[0].finish_reason for chunk in chunks(client)]

    assert reasons[-1] == "stop"
    assert set(reasons[:-1]) == {None}


def test_usage_is_included_on_request(client):
    """With ``include_usage``, an additional last chunk without choices holds the usage."""
    whole = client.chat.completions.create(**REQUEST)
    streamed = chunks(client, stream_options={"include_usage": True})

    assert streamed[-1].choices == []
    assert streamed[-1].usage == whole.usage
    assert [chunk.usage for chunk in streamed[:-1]] == [None] * (len(streamed) - 1)


def test_usage_is_not_included_by_default(client):
    """Without ``include_usage``, no chunk holds the usage."""
    assert all(chunk.usage is None and chunk.choices for chunk in chunks(client))


def test_each_choice_is_streamed(client):
    """Every choice is streamed completely."""
    whole = client.chat.completions.create(**REQUEST, n=2)
    streamed = chunks(client, n=2)

    assert [joined(streamed, 0), joined(streamed, 1)] == [choice.message.content for choice in whole.choices]


def test_a_refusal_is_streamed():
    """A refusal is streamed in pieces."""
    with (
        StandInProvider(answer=lambda _: {"refusal": "I would rather not."}) as provider,
        openai.OpenAI(base_url=provider.base_url, api_key="any") as client,
    ):
        refused = "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks(client))

    assert refused == "I would rather not."


@pytest.mark.parametrize("parameters", [{}, {"max_tokens": 3}])
def test_a_tool_call_is_streamed(client, parameters):
    """A streamed tool call starts with its name, followed by the pieces of its arguments, even if a limit cuts them."""
    whole = client.chat.completions.create(**REQUEST, tools=[CLOCK], **parameters)
    (called,) = whole.choices[0].message.tool_calls
    streamed = chunks(client, tools=[CLOCK], **parameters)
    pieces = [piece for chunk in streamed for piece in chunk.choices[0].delta.tool_calls or []]

    assert (pieces[0].id, pieces[0].function.name) == (called.id, "clock")
    assert "".join(piece.function.arguments for piece in pieces) == called.function.arguments
    assert streamed[-1].choices[0].finish_reason == whole.choices[0].finish_reason
