"""Responses of OpenAI's Responses API, and requests to it that are not cached."""

from __future__ import annotations

import pytest
from models_world import QUESTION, WEATHER, Events, answer_next, ask, entry_files, events_of

from spark_cache import CacheMissError, OpenAIModel


@pytest.fixture
def make(make_model):
    return lambda **options: make_model(api="responses", **options)


def response(*output, **fields):
    """Return a response as small as services send them."""
    whole = {"id": "r", "object": "response", "status": "completed", "model": "m"}
    return {**whole, "output": list(output), **fields}


def message(*parts):
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": list(parts)}


def text(words, **fields):
    return {"type": "output_text", "text": words, "annotations": [], **fields}


async def test_response_is_complete(make):
    """A response has its text, its stop reason, its usage and the provider's own JSON. A hit is equal."""
    model = make()
    first, hit = await model.get_text(QUESTION), await model.get_text(QUESTION)
    assert first == hit
    assert (first.cached, hit.cached) == (False, True)
    assert first.content == first.raw["output"][0]["content"][0]["text"]
    assert (first.stop_reason, first.provider_stop_reason) == ("end_turn", "completed")
    assert first.usage.total_tokens == first.raw["usage"]["total_tokens"] > 0


async def test_apis_share_no_response(make, make_model, provider):
    """A response of one API is a miss for the other."""
    await make().get_text(QUESTION)
    assert not (await make_model().get_text(QUESTION)).cached
    assert provider.calls == 2


async def test_key_of_the_manager(make, provider):
    """generate_cache_key returns the same key, with the API as a parameter."""
    model = make()
    key = model.cache.generate_cache_key(
        "openai", "gpt-4o", QUESTION, endpoint=provider.base_url, api="responses"
    )
    assert model.cache_key(QUESTION) == key


def test_unknown_api():
    """An unknown API is refused, and the error lists the valid ones."""
    with pytest.raises(ValueError, match="'chat' or 'responses'"):
        OpenAIModel("gpt-4o", api="completions")


async def test_tool_call(make):
    """A tool call has the ID that its result must contain, its name and its arguments."""
    answer = await make().get_text(ask("Use get_weather"), tool_specs=[WEATHER])
    (item,) = answer.raw["output"]
    (call,) = answer.tool_calls
    assert (call.id, call.name, call.arguments_text) == (item["call_id"], "get_weather", item["arguments"])
    assert answer.stop_reason == "tool_use"


READ = {
    "several texts": (response(message(text("a"), text("b")), message(text("c"))), "abc", "end_turn"),
    "reasoning": (
        response(
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}, message(text("a"))
        ),
        "a",
        "end_turn",
    ),
    "citation": (
        response(
            {"type": "web_search_call", "status": "completed"},
            message(text("a", annotations=[{"type": "url_citation"}])),
        ),
        "a",
        "end_turn",
    ),
    "custom tool": (
        response({"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "select 1"}),
        "",
        "tool_use",
    ),
    "action for the caller": (response({"type": "computer_call", "call_id": "c"}), "", "tool_use"),
    "another word for complete": (response(message(text("a")), status="complete"), "a", "end_turn"),
}


@pytest.mark.parametrize("name", READ)
async def test_kinds_of_output(make, provider, name):
    """Each kind of output is read, kept complete and cached."""
    raw, content, stop_reason = READ[name]
    answer_next(provider, raw)
    model = make()
    first, hit = await model.get_text(QUESTION), await model.get_text(QUESTION)
    assert (first.content, first.stop_reason, first.raw) == (content, stop_reason, raw)
    assert hit.cached
    assert hit == first


NOT_STORED = {
    "refusal": (response(message({"type": "refusal", "refusal": "No."})), "refusal", "refused"),
    "cut": (
        response(message(text("a")), status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        "max_tokens",
        "truncated",
    ),
    "filtered": (
        response(status="incomplete", incomplete_details={"reason": "content_filter"}),
        "content_filter",
        "refused",
    ),
    "queued": (response(status="queued"), "queued", "incomplete"),
    "failed": (response(status="failed", error={"code": "server_error"}), "failed", "incomplete"),
    "no status": ({"object": "response", "output": []}, None, "incomplete"),
}


@pytest.mark.parametrize("name", NOT_STORED)
async def test_what_is_not_stored(make, provider, cache_dir, name):
    """An incomplete or refused response is returned and not stored, and the log says why."""
    raw, stop_reason, why = NOT_STORED[name]
    answer_next(provider, raw)
    events = Events()
    answer = await make(sink=events).get_text(QUESTION)
    assert (answer.stop_reason, answer.raw) == (stop_reason, raw)
    assert entry_files(cache_dir) == []
    assert events.events[-1].reason == why


async def test_usage(make, provider):
    """The usage of a call is reported by kind."""
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 17,
    }
    answer_next(provider, response(message(text("a")), usage=usage))
    used = (await make().get_text(QUESTION)).usage
    assert (used.input_tokens, used.cached_tokens, used.output_tokens, used.reasoning_tokens) == (10, 4, 7, 5)


STATEFUL = {
    "previous_response_id": {"previous_response_id": "resp_1"},
    "conversation": {"conversation": "conv_1"},
    "background": {"background": True},
    "prompt": {"prompt": {"id": "pmpt_1"}},
    "in extra_body": {"extra_body": {"previous_response_id": "resp_1"}},
    "item_reference": {"messages": [{"type": "item_reference", "id": "msg_1"}, *QUESTION]},
    "vector store": {"tool_specs": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    "vector store by the SDK's name": {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    "container": {"tool_specs": [{"type": "code_interpreter", "container": "cntr_1"}]},
    "shell": {"tool_specs": [{"type": "shell", "environment": {"container_id": "cntr_1"}}]},
}


@pytest.mark.parametrize("name", STATEFUL)
async def test_state_at_the_provider(make, provider, cache_dir, name):
    """A request that depends on state at the provider is sent every time, and nothing is stored."""
    model = make()
    for _ in range(2):
        assert not (await model.get_text(**{"messages": QUESTION, **STATEFUL[name]})).cached
    assert provider.calls == 2
    assert entry_files(cache_dir) == []


@pytest.mark.parametrize("name", ["background", "item_reference"])
async def test_state_in_replay_mode(make, name):
    """In replay mode, such a request raises an error with that reason."""
    with pytest.raises(CacheMissError, match="stateful"):
        await make().get_text(**{"messages": QUESTION, **STATEFUL[name]}, cache="replay")


@pytest.mark.parametrize(
    "arguments",
    [
        {"background": False, "store": True},
        {"tool_specs": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
        {"messages": [{"type": "reasoning", "id": "rs_1", "summary": []}, *QUESTION]},
        {"messages": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
    ],
    ids=["not in the background", "new container", "reasoning", "file"],
)
async def test_references_that_are_not_state(make, provider, arguments):
    """A request that refers to objects that never change, or that are created for the call, is cached."""
    model = make()
    for _ in range(2):
        answer = await model.get_text(**{"messages": QUESTION, **arguments})
    assert answer.cached
    assert provider.calls == 1


async def test_reasoning_in_a_stream(make, provider):
    """Visible reasoning arrives in its own events, separate from the text."""
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
    answer_next(provider, response(reasoning, message(text("a"))))
    model = make()
    whole = await model.get_text(QUESTION)
    events = await events_of(model, QUESTION)
    assert "".join(event.reasoning for event in events) == "Hm."
    assert "".join(event.text for event in events) == whole.content == "a"


async def test_custom_tool_in_a_stream(make, provider):
    """The call of a custom tool arrives in pieces that add up to its input."""
    answer_next(provider, READ["custom tool"][0])
    model = make()
    (call,) = (await model.get_text(QUESTION)).tool_calls
    pieces = [piece for event in await events_of(model, QUESTION) for piece in event.tool_calls]
    assert "".join(piece.arguments_text for piece in pieces) == call.arguments_text == "select 1"
    assert (pieces[0].id, pieces[0].name) == ("c", "sql")
