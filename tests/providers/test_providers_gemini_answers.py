"""Responses of Gemini, whole and streamed."""

from __future__ import annotations

import pytest

from spark_cache.providers.gemini.answer import events_of, gather, read_answer, read_event, stop_reasons
from spark_cache.providers.response import Usage
from spark_cache.providers.stream import StreamEvent

CALL = {"functionCall": {"id": "1", "name": "f", "args": {"city": "Paris"}}, "thoughtSignature": "x"}


def raw(*parts, reason="STOP", **more):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason, "index": 0}
    return {"candidates": [candidate], **more}


def chunk(*parts, reason=None, index=0, **more):
    ended = {} if reason is None else {"finishReason": reason}
    return {
        "candidates": [{"content": {"role": "model", "parts": list(parts)}, **ended, "index": index}],
        **more,
    }


def test_gemini_text_excludes_thoughts():
    """The text of a response is the text of its parts, without thoughts."""
    answer = read_answer(
        raw({"text": "hm", "thought": True}, {"text": "a"}, {"executableCode": {}}, {"text": "b"})
    )
    assert answer.content == "ab"


def test_gemini_tool_calls_are_read():
    """A tool call has its ID, its name and its arguments. Without an ID, the name is the ID."""
    answer = read_answer(raw(CALL, {"functionCall": {"name": "g"}}))
    assert [(call.id, call.name, call.arguments) for call in answer.tool_calls] == [
        ("1", "f", {"city": "Paris"}),
        ("g", "g", {}),
    ]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("STOP", "end_turn"),
        ("MAX_TOKENS", "max_tokens"),
        ("SAFETY", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
        (None, None),
    ],
)
def test_gemini_stop_reason(reason, expected):
    """The stop reason has its common name, and the provider's own value is kept."""
    answer = read_answer(raw({"text": "a"}, reason=reason))
    assert (answer.stop_reason, answer.provider_stop_reason) == (expected, reason)


def test_gemini_stop_for_a_tool():
    """A response that calls a tool has the stop reason tool_use, unless it was truncated."""
    assert read_answer(raw(CALL)).stop_reason == "tool_use"
    assert read_answer(raw(CALL, reason="MAX_TOKENS")).stop_reason == "max_tokens"


def test_gemini_blocked_prompt():
    """A blocked prompt gives an empty response with the reason."""
    answer = read_answer(
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    )
    assert (answer.content, answer.stop_reason, answer.provider_stop_reason) == (
        "",
        "content_filter",
        "SAFETY",
    )


def test_gemini_usage():
    """Thoughts count as output, and the output of the provider's own tools counts as input."""
    counted = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 2,
        "cachedContentTokenCount": 4,
        "totalTokenCount": 20,
    }
    assert read_answer(raw(usageMetadata=counted)).usage == Usage(15, 5, 20, 4, 2)
    assert read_answer(raw(usageMetadata={"promptTokenCount": 1, "totalTokenCount": 1})).usage == Usage(
        1, 0, 1
    )
    assert read_answer(raw()).usage is None


@pytest.mark.parametrize(
    "strange", [{}, [], "text", None, {"candidates": [{}]}, {"candidates": [{"content": {}}]}]
)
def test_gemini_unexpected_json(strange):
    """JSON of another form is a response without text and without a stop reason."""
    answer = read_answer(strange)
    assert (answer.content, answer.stop_reason, answer.raw) == ("", None, strange)


def test_gemini_each_candidate_has_a_stop_reason():
    """Every candidate has its own stop reason."""
    assert stop_reasons({"candidates": [{"finishReason": "STOP"}, {"finishReason": "SAFETY"}]}) == [
        "end_turn",
        "content_filter",
    ]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (chunk({"text": "a"}, {"text": "b"}), ("text", "ab", "", [])),
        (chunk({"text": "hm", "thought": True}), ("reasoning", "", "hm", [])),
        (chunk({"text": "hm", "thought": True}, {"text": "a"}), ("text", "a", "hm", [])),
        (chunk({"text": "a"}, CALL), ("tool_call", "a", "", ["f"])),
        (chunk(CALL, CALL), ("tool_call", "", "", ["f", "f"])),
        (chunk({"text": ""}, reason="STOP"), ("stop", "", "", [])),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, ("stop", "", "", [])),
        (chunk({"executableCode": {}}), ("other", "", "", [])),
        ({"usageMetadata": {}}, ("other", "", "", [])),
    ],
)
def test_gemini_event(event, expected):
    """An event has its type, its text, its reasoning and its tool calls, and keeps the provider's event."""
    read = read_event(event)
    names = [piece.name for piece in read.tool_calls]
    assert isinstance(read, StreamEvent)
    assert (read.type, read.text, read.reasoning, names, read.raw) == (*expected, event)


def test_gemini_stream_is_gathered():
    """The events of a stream add up to the whole response: plain texts are joined, and all other parts stay separate."""
    events = [
        chunk({"text": "h", "thought": True}, usageMetadata={"promptTokenCount": 1}, responseId="r"),
        chunk({"text": "m", "thought": True}),
        chunk({"text": "a", "thoughtSignature": "s"}),
        chunk({"text": "b"}, {"text": "c"}),
        chunk(CALL),
        chunk({"text": ""}, reason="STOP", usageMetadata={"promptTokenCount": 1, "totalTokenCount": 3}),
    ]
    parts = [{"text": "hm", "thought": True}, {"text": "a", "thoughtSignature": "s"}, {"text": "bc"}, CALL]
    assert gather(events) == raw(
        *parts, usageMetadata={"promptTokenCount": 1, "totalTokenCount": 3}, responseId="r"
    )


def test_gemini_gathering_does_not_change_the_events():
    """Gathering a stream changes none of its events."""
    events = [chunk({"text": "a"}), chunk({"text": "b"}, reason="STOP")]
    gather(events)
    assert events == [chunk({"text": "a"}), chunk({"text": "b"}, reason="STOP")]


def test_gemini_candidates_are_gathered():
    """Interleaved candidates are gathered separately."""
    events = [
        chunk({"text": "a"}, index=0),
        chunk({"text": "b"}, reason="STOP", index=1),
        chunk({"text": "c"}, reason="STOP"),
    ]
    assert [one["content"]["parts"] for one in gather(events)["candidates"]] == [
        [{"text": "ac"}],
        [{"text": "b"}],
    ]


def test_gemini_grounding_that_grows():
    """A value that is sent again is complete each time: the last one is kept, unless it is empty."""
    first, last = chunk({"text": "a"}), chunk({"text": "b"}, reason="STOP")
    first["candidates"][0]["groundingMetadata"] = {"groundingChunks": [1]}
    last["candidates"][0]["groundingMetadata"] = {}
    assert gather([first, last])["candidates"][0]["groundingMetadata"] == {"groundingChunks": [1]}


@pytest.mark.parametrize(
    "events",
    [
        [],
        [chunk({"text": "a"})],
        [chunk({"text": "a"}, reason="STOP", index=0), chunk({"text": "b"}, index=1)],
        [
            chunk({"functionCall": {"name": "f", "willContinue": True}}),
            chunk({"functionCall": {}}, reason="STOP"),
        ],
    ],
    ids=["nothing", "no end", "one of two", "arguments in pieces"],
)
def test_gemini_incomplete_stream(events):
    """A stream without an end adds up to no response."""
    assert gather(events) is None


def test_gemini_blocked_prompt_in_a_stream():
    """A stream that only reports a blocked prompt is complete."""
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}}
    assert gather([blocked]) == blocked


@pytest.mark.parametrize(
    "answer",
    [
        raw({"text": "hm", "thought": True}, {"text": "a"}, CALL, CALL, usageMetadata={"totalTokenCount": 3}),
        raw({"text": "a", "thoughtSignature": "s"}, reason="MAX_TOKENS", modelVersion="m"),
        {"promptFeedback": {"blockReason": "SAFETY"}},
        {
            "candidates": [
                *raw({"text": "a"})["candidates"],
                {**raw({"text": "b"})["candidates"][0], "index": 1},
            ]
        },
    ],
)
def test_gemini_events_of_a_response(answer):
    """The events for a whole response add up to it."""
    assert gather(events_of(answer)) == answer
