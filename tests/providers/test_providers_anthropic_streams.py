"""Events for whole responses of Anthropic and Bedrock, and the responses that events add up to."""

from __future__ import annotations

import pytest

from spark_cache.providers.anthropic import messages as anthropic_messages
from spark_cache.providers.anthropic import stream as anthropic_stream
from spark_cache.providers.bedrock import converse as bedrock_converse
from spark_cache.providers.bedrock import stream as bedrock_stream
from spark_cache.providers.plain_schema import plain_schema

CITATION = {"type": "char_location", "cited_text": "x", "document_index": 0}

ANTHROPIC_BLOCKS = {
    "text": [{"type": "text", "text": "Hello"}],
    "empty text": [{"type": "text", "text": ""}],
    "cited text": [{"type": "text", "text": "Hello", "citations": [CITATION, CITATION]}],
    "thinking": [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "Hello"},
    ],
    "redacted": [{"type": "redacted_thinking", "data": "x"}],
    "tools": [
        {"type": "tool_use", "id": "a", "name": "n", "input": {"city": "Zürich", "days": [1, 2.5, None]}},
        {"type": "tool_use", "id": "b", "name": "n", "input": {}},
    ],
    "arguments that are no JSON": [{"type": "tool_use", "id": "a", "name": "n", "input": '{"city": "Zü'}],
    "the provider's tools": [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result"}]},
    ],
    "nothing": [],
}

BEDROCK_BLOCKS = {
    "text": [{"text": "Hello"}],
    "empty text": [{"text": ""}],
    "cited text": [
        {"citationsContent": {"content": [{"text": "Hello"}], "citations": [{"title": "x"}, {"title": "y"}]}}
    ],
    "reasoning": [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}},
        {"text": "Hello"},
    ],
    "redacted": [{"reasoningContent": {"redactedContent": "AAEC/w=="}}],
    "tools": [
        {"toolUse": {"toolUseId": "a", "name": "n", "input": {"city": "Zürich", "days": [1, 2.5, None]}}},
        {"toolUse": {"toolUseId": "b", "name": "n", "input": {}, "type": "tool_use"}},
    ],
    "the provider's tools": [
        {"toolUse": {"toolUseId": "s", "name": "code", "input": {"x": 1}, "type": "server_tool_use"}},
        {
            "toolResult": {
                "toolUseId": "s",
                "content": [{"json": {"out": 1}}, {"text": "t"}],
                "status": "success",
            }
        },
    ],
    "image": [{"image": {"format": "png", "source": {"bytes": "iVBORw=="}}}],
    "nothing": [],
}


def message(blocks):
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "content": blocks,
        "container": {"id": "c"},
        "stop_reason": "stop_sequence",
        "stop_sequence": "\n",
        "stop_details": None,
        "usage": {"input_tokens": 3, "cache_read_input_tokens": None, "output_tokens": 1},
    }


def converse(blocks):
    return {
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": "tool_use",
        "additionalModelResponseFields": {"a": 1},
        "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4},
        "metrics": {"latencyMs": 1},
        "trace": {"guardrail": {}},
    }


CASES = [
    *(
        pytest.param(anthropic_stream, anthropic_messages, message(blocks), id=name)
        for name, blocks in ANTHROPIC_BLOCKS.items()
    ),
    *(
        pytest.param(bedrock_stream, bedrock_converse, converse(blocks), id=f"bedrock, {name}")
        for name, blocks in BEDROCK_BLOCKS.items()
    ),
]


@pytest.mark.parametrize(("stream", "_answers", "raw"), CASES)
def test_events_add_up_to_the_response(stream, _answers, raw):
    """The events for a response add up to it, to the last field."""
    assert stream.gather(stream.events_of(raw)) == raw


@pytest.mark.parametrize(("stream", "answers", "raw"), CASES)
def test_events_have_the_content_of_the_response(stream, answers, raw):
    """The events for a response have its text, its tool calls and one stop reason."""
    events = [stream.read_event(event) for event in stream.events_of(raw)]
    response = answers.read_answer(raw)
    assert "".join(event.text for event in events) == response.content
    named = [piece for event in events for piece in event.tool_calls if piece.id]
    assert [(piece.id, piece.name) for piece in named] == [
        (call.id, call.name) for call in response.tool_calls
    ]
    for piece, call in zip(named, response.tool_calls, strict=True):
        pieces = [piece for event in events for piece in event.tool_calls]
        text = "".join(one.arguments_text for one in pieces if one.index == piece.index)
        assert text == call.arguments_text
    assert [event.type for event in events].count("stop") == 1


@pytest.mark.parametrize(("stream", "_answers", "raw"), CASES)
def test_events_are_not_changed(stream, _answers, raw):
    """Gathering events does not change them."""
    events = stream.events_of(raw)
    stream.gather(events)
    assert events == stream.events_of(raw)


@pytest.mark.parametrize(("stream", "_answers", "raw"), CASES)
def test_incomplete_stream_gives_no_response(stream, _answers, raw):
    """Without its last event a stream adds up to nothing."""
    events = stream.events_of(raw)
    assert [stream.gather(events[:count]) for count in range(len(events))] == [None] * len(events)


def test_usage_and_citations_of_a_stream():
    """Late values of a stream are placed where a response has them. A null does not replace an earlier value."""
    usage = {"input_tokens": 3, "output_tokens": 1, "service_tier": "standard"}
    events = [
        {"type": "message_start", "message": {**message([]), "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "citations_delta", "citation": CITATION},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "brand_new_delta", "brand": "n"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "brand_new_delta", "brand": "ew"}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "container": None},
            "usage": {"input_tokens": None, "output_tokens": 9},
            "context_management": {"applied_edits": []},
        },
        {"type": "message_stop"},
    ]
    whole = anthropic_stream.gather(events)
    assert whole["usage"] == {**usage, "output_tokens": 9}
    assert whole["content"] == [{"type": "text", "text": "", "citations": [CITATION], "brand": "new"}]
    assert (whole["container"], whole["context_management"]) == ({"id": "c"}, {"applied_edits": []})
    assert whole["type"] == "message"


def test_several_cited_texts():
    """Texts that are cited together become one text in a stream, and the response has the same content."""
    cited = {"content": [{"text": "a"}, {"text": "b"}], "citations": [{"title": "x"}]}
    raw = converse([{"citationsContent": cited}])
    events = bedrock_stream.events_of(raw)
    assert "".join(bedrock_stream.read_event(event).text for event in events) == "ab"
    assert bedrock_converse.read_answer(bedrock_stream.gather(events)).content == "ab"


def test_redacted_reasoning_in_pieces():
    """Pieces of bytes are joined as bytes."""
    deltas = ({"redactedContent": "AAE="}, {"redactedContent": "Ag=="})
    events = [
        {"messageStart": {"role": "assistant"}},
        *(
            {"contentBlockDelta": {"delta": {"reasoningContent": delta}, "contentBlockIndex": 0}}
            for delta in deltas
        ),
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": {}}},
    ]
    content = bedrock_stream.gather(events)["output"]["message"]["content"]
    assert content == [{"reasoningContent": {"redactedContent": "AAEC"}}]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {"type": "string", "description": "A name", "maxLength": 9, "pattern": "^a"},
            {"type": "string", "description": 'A name (maxLength: 9, pattern: "^a")'},
        ),
        (
            {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": 3},
            {
                "type": "array",
                "items": {"type": "integer", "description": "minimum: 0"},
                "description": "maxItems: 3",
            },
        ),
        (
            {
                "$ref": "#/$defs/A",
                "$defs": {
                    "A": {
                        "type": "object",
                        "properties": {"b": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/A"}]}},
                    }
                },
            },
            {
                "$ref": "#/$defs/A",
                "$defs": {
                    "A": {
                        "type": "object",
                        "properties": {"b": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/A"}]}},
                        "additionalProperties": False,
                    }
                },
            },
        ),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ),
        ({"enum": ["a", 1]}, {"enum": ["a", 1]}),
        (True, True),
    ],
    ids=["bounds", "items", "definitions", "map", "enum", "anything"],
)
def test_plain_schema(schema, expected):
    """A schema is sent with closed objects, and with its bounds in the description."""
    assert plain_schema(schema) == expected
