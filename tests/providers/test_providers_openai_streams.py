"""What chunks of chat completions and events of Responses add up to, as compatible services send them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_cache import OpenAIModel
from spark_cache.calls.judge import disagreement
from spark_cache.providers.openai import chat, chat_stream, responses_stream
from spark_cache.providers.stream import Counting

PROVIDERS = {api: OpenAIModel("m", api=api, enable_cache=False)._provider for api in ("chat", "responses")}

BASE = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def part(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {**BASE, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}


def call(number: int, name: str, arguments: str, index: int = 0) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": f"call_{number}", "type": "function", "function": function}


def difference(raw: Any, events: list[dict[str, Any]], api: str = "chat") -> str | None:
    """Return the place where a response says something else than the events of its stream."""
    return disagreement(PROVIDERS[api], PROVIDERS[api].read(raw), events)


def message(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the message that chunks add up to, after a check that it says what they say."""
    raw = chat_stream.gather(chunks)
    assert raw is not None
    assert difference(raw, chunks) is None
    found: dict[str, Any] = raw["choices"][0]["message"]
    return found


ONE, OTHER = call(1, "f", '{"a": 1}'), call(2, "g", '{"b": 2}')
CALLS = {
    "one index for all, in two chunks": [part({"tool_calls": [ONE]}), part({"tool_calls": [OTHER]})],
    "one index for all, in one chunk": [part({"tool_calls": [ONE, OTHER]})],
    "one index for all, in pieces": [
        part({"tool_calls": [{**ONE, "function": {"name": "f", "arguments": '{"a"'}}]}),
        part({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}),
        part({"tool_calls": [{**OTHER, "function": {"name": "g", "arguments": ""}}]}),
        part({"tool_calls": [{"index": 0, "id": "call_2", "function": {"arguments": '{"b": 2}'}}]}),
    ],
    "no index": [
        part({"tool_calls": [{name: value for name, value in one.items() if name != "index"}]})
        for one in (ONE, OTHER)
    ],
    "indexes of their own": [part({"tool_calls": [ONE]}), part({"tool_calls": [{**OTHER, "index": 1}]})],
    "indexes from one": [part({"tool_calls": [{**ONE, "index": 1}, {**OTHER, "index": 2}]})],
}


@pytest.mark.parametrize("chunks", CALLS.values(), ids=CALLS)
def test_parallel_calls_stay_apart(chunks: list[dict[str, Any]]) -> None:
    """Each call has its ID, its name and its arguments, in the whole response and in the events."""
    chunks = [*chunks, part({}, "tool_calls")]
    found = message(chunks)["tool_calls"]
    assert [(one["id"], one["function"]["name"], one["function"]["arguments"]) for one in found] == [
        ("call_1", "f", '{"a": 1}'),
        ("call_2", "g", '{"b": 2}'),
    ]
    numbers = [
        piece.index
        for event in map(Counting(), map(chat_stream.event_of, chunks))
        for piece in event.tool_calls
    ]
    assert len(set(numbers)) == 2
    assert numbers == sorted(numbers)


def test_two_ids_of_one_call() -> None:
    """Some services change the ID within a call, without repeating the name."""
    chunks = [
        part({"tool_calls": [call(1, "f", "")]}),
        part({"tool_calls": [{"index": 0, "id": "other", "function": {"arguments": '{"a": 1}'}}]}),
        part({}, "tool_calls"),
    ]
    (found,) = message(chunks)["tool_calls"]
    assert (found["id"], found["function"]["arguments"]) == ("call_1", '{"a": 1}')


@pytest.mark.parametrize("name", ["format", "severity", "url", "status", "id", "role", "type", "anything"])
def test_a_string_that_is_repeated_does_not_grow(name: str) -> None:
    """Only the fields for text grow."""
    detail = {"type": "reasoning.text", "index": 0, name: "same"}
    chunks = [
        part({"content": "a", "details": [{**detail, "text": "x"}]}),
        part({"content": "b", "details": [{**detail, "text": "y"}]}),
        part({}, "stop"),
    ]
    found = message(chunks)
    assert (found["content"], found["details"][0]["text"], found["details"][0][name]) == ("ab", "xy", "same")


def test_a_message_beside_the_deltas_is_not_added() -> None:
    """It repeats what the deltas said. What only it has is kept."""
    chunks = [
        part({"content": "One"}, message={"role": "assistant", "content": "One"}),
        part({"content": " two"}, message={"role": "assistant", "content": "One two", "citations": ["x"]}),
        part({}, "stop", message={"role": "assistant", "content": "One two", "citations": ["x"]}),
    ]
    found = message(chunks)
    assert (found["content"], found["role"], found["citations"]) == ("One two", "assistant", ["x"])


def test_text_after_parts() -> None:
    """Some services send reasoning in parts, and then the text."""
    chunks = [
        part({"content": [{"type": "thinking", "thinking": [{"type": "x"}]}]}),
        part({"content": "Yes"}),
        part({"content": [{"type": "text", "text": "."}]}),
        part({}, "stop"),
    ]
    assert [one.get("text") for one in message(chunks)["content"]] == [None, "Yes", "."]


def test_sound_in_pieces_of_base64() -> None:
    """Each piece is encoded by itself, and the stream ends without a stop reason."""
    chunks = [
        part({"audio": {"id": "a", "transcript": "Hi", "data": "AQ=="}}),
        part({"audio": {"transcript": "!", "data": "Ag=="}}),
        part({"audio": {"expires_at": 1900000000}}),
    ]
    found = message(chunks)["audio"]
    assert found == {"id": "a", "transcript": "Hi!", "data": "AQI=", "expires_at": 1900000000}


def test_a_chunk_of_a_filter_keeps_id_and_model() -> None:
    """Azure's filter sends its results after the stop reason, with empty fields."""
    filtered = {"finish_reason": None, "index": 0, "content_filter_results": {"hate": {"severity": "safe"}}}
    chunks = [
        part({"content": "Red."}),
        part({}, "stop"),
        {"id": "", "object": "", "created": 0, "model": "", "choices": [filtered]},
    ]
    raw = chat_stream.gather(chunks)
    assert raw is not None
    assert (raw["id"], raw["model"], raw["created"]) == ("c", "m", 1)
    assert raw["choices"][0]["finish_reason"] == "stop"


ITEM = {
    "type": "message",
    "id": "msg",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Red.", "annotations": []}],
}
CALL = {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'}


@pytest.mark.parametrize("output", [[], None, "absent", "whole"])
@pytest.mark.parametrize("items", [[ITEM], [CALL], [ITEM, CALL]], ids=["text", "call", "both"])
def test_an_end_without_output_has_the_items_before_it(output: Any, items: list[dict[str, Any]]) -> None:
    """Some services leave the output of the last event empty."""
    whole = {"id": "r", "status": "completed", "output": items, "usage": None}
    events = responses_stream.events_of(whole)
    last = dict(whole) if output == "whole" else {**whole, "output": output}
    if output == "absent":
        del last["output"]
    events[-1] = {**events[-1], "response": last}

    raw = responses_stream.gather(events)

    assert raw is not None
    assert raw["output"] == items
    assert difference(raw, events, "responses") is None


def naive(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Add chunks up as many clients do: strings grow, calls are merged by index, a message counts like a delta."""
    content, calls = "", {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            for piece in (choice.get("delta") or {}, choice.get("message") or {}):
                content += piece.get("content") or ""
                for one in piece.get("tool_calls") or ():
                    known = calls.setdefault(one.get("index"), {"id": "", "name": "", "arguments": ""})
                    known["id"] = known["id"] or one.get("id") or ""
                    known["name"] = known["name"] or one["function"].get("name") or ""
                    known["arguments"] += one["function"].get("arguments") or ""
    listed = [
        {"id": one["id"], "function": {"name": one["name"], "arguments": one["arguments"]}}
        for one in calls.values()
    ]
    return {
        "choices": [{"message": {"content": content, "tool_calls": listed}, "finish_reason": "tool_calls"}]
    }


def test_what_a_naive_client_adds_up_is_not_as_heard() -> None:
    """The check that guards the store catches merged calls and doubled text."""
    for name in ("one index for all, in two chunks", "one index for all, in one chunk", "no index"):
        chunks = [*CALLS[name], part({}, "tool_calls")]
        assert difference(naive(chunks), chunks) == "the tool calls"
    doubled = [part({"content": "One"}, "stop", message={"content": "One"})]
    assert difference(naive(doubled), doubled) == "the text"


pieces = st.lists(
    st.one_of(
        st.builds(lambda text: part({"content": text}), st.text(max_size=3)),
        st.builds(
            lambda number, index, text: part({"tool_calls": [call(number, "f", text, index)]}),
            st.integers(0, 2),
            st.integers(0, 2),
            st.sampled_from(["", "1", '{"a": 1}']),
        ),
        st.builds(
            lambda index, text: part({"tool_calls": [{"index": index, "function": {"arguments": text}}]}),
            st.integers(0, 2),
            st.sampled_from(["", "2"]),
        ),
        st.builds(lambda text: part({}, message={"content": text}), st.text(max_size=3)),
    ),
    max_size=8,
)


@given(pieces)
def test_no_chunks_lose_or_double_text(chunks: list[dict[str, Any]]) -> None:
    """Whatever the chunks are, the whole text is that of the deltas if there are any."""
    raw = chat_stream.gather([*chunks, part({}, "stop")])
    assert raw is not None
    texts = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    if any(texts):
        assert chat.read_answer(raw).content == "".join(texts)
