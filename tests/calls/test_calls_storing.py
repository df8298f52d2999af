"""Which responses are stored, and how errors are handled."""

from __future__ import annotations

import openai
import pytest
from models_world import QUESTION, answer_next, ask, completion, entry_files, only_entry

WHOLE = {"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
CUT = {"message": {"role": "assistant", "content": "Hel"}, "finish_reason": "length"}
FILTERED = {"message": {"role": "assistant", "content": ""}, "finish_reason": "content_filter"}
REFUSED = {"message": {"role": "assistant", "content": None, "refusal": "No."}, "finish_reason": "stop"}


@pytest.mark.parametrize(
    ("choice", "stop_reason", "why"),
    [
        (CUT, "max_tokens", "truncated"),
        (FILTERED, "content_filter", "refused"),
        (REFUSED, "refusal", "refused"),
        ({**WHOLE, "finish_reason": None}, None, "incomplete"),
        ({**WHOLE, "finish_reason": "insufficient_system_resource"}, None, "incomplete"),
    ],
    ids=["truncated", "content filter", "refusal", "no reason", "unknown reason"],
)
async def test_incomplete_response_is_not_stored(
    make_model, provider, cache_dir, caplog, choice, stop_reason, why
):
    """An incomplete response is returned and not stored, and the log says why."""
    caplog.set_level("INFO", logger="spark_cache")
    answer_next(provider, completion(choice))
    response = await make_model().get_text(QUESTION)
    assert response.raw["choices"] == [choice]
    assert response.stop_reason == (stop_reason or choice["finish_reason"])
    assert entry_files(cache_dir) == []
    assert f"reason={why}" in caplog.messages[-1]


async def test_one_truncated_choice_prevents_storing(make_model, provider, cache_dir):
    """If one of several choices is truncated, the response is not stored."""
    answer_next(provider, completion(WHOLE, CUT))
    assert (await make_model().get_text(QUESTION, n=2)).content == "Hello"
    assert entry_files(cache_dir) == []


async def test_several_complete_choices(make_model, provider):
    """A response with several complete choices is stored with all of them."""
    model = make_model()
    first, hit = await model.get_text(QUESTION, n=2), await model.get_text(QUESTION, n=2)
    assert hit.cached
    assert len(hit.raw["choices"]) == 2
    assert hit == first


async def test_store_truncated(make_model, monkeypatch):
    """With store_truncated, a response that is cut at the token limit is stored."""
    monkeypatch.setenv("SPARK_CACHE_STORE_TRUNCATED", "true")
    model = make_model()
    first = await model.get_text(ask("Tell me a long story"), max_tokens=3)
    assert first.stop_reason == "max_tokens"
    assert (await model.get_text(ask("Tell me a long story"), max_tokens=3)).cached


async def test_store_truncated_does_not_apply_to_refusals(make_model, provider, cache_dir, monkeypatch):
    """With store_truncated, filtered responses are still not stored."""
    monkeypatch.setenv("SPARK_CACHE_STORE_TRUNCATED", "true")
    answer_next(provider, completion(FILTERED))
    await make_model().get_text(QUESTION)
    assert entry_files(cache_dir) == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
async def test_error_is_raised_and_never_stored(make_model, provider, cache_dir, status, error):
    """The SDK's own error is raised each time and nothing is stored. The next response is."""
    model = make_model()
    provider.fail_next(status, times=2)
    for _ in range(2):
        with pytest.raises(error) as caught:
            await model.get_text(QUESTION)
        assert type(caught.value) is error
        assert caught.value.status_code == status
    assert entry_files(cache_dir) == []
    await model.get_text(QUESTION)
    assert (await model.get_text(QUESTION)).cached
    assert provider.calls == 3


async def test_unreachable_provider(make_model, cache_dir):
    """A failed connection raises the SDK's error, and nothing is stored."""
    model = make_model(client_args={"base_url": "http://127.0.0.1:9", "api_key": "test", "max_retries": 0})
    with pytest.raises(openai.APIConnectionError):
        await model.get_text(QUESTION)
    assert entry_files(cache_dir) == []


async def test_no_api_key(make_model, provider, cache_dir):
    """Without an API key, the SDK's own error is raised."""
    model = make_model(client_args={"base_url": provider.base_url})
    with pytest.raises(openai.OpenAIError, match="api_key"):
        await model.get_text(QUESTION)
    assert entry_files(cache_dir) == []


@pytest.mark.parametrize("body", ["<html>Please log in</html>", "", '{"choices": ['])
async def test_response_that_is_not_json(make_model, provider, cache_dir, body):
    """A body that is not JSON raises an SDK error, and nothing is stored."""
    answer_next(provider, body)
    with pytest.raises(openai.APIResponseValidationError):
        await make_model().get_text(QUESTION)
    assert entry_files(cache_dir) == []


@pytest.mark.parametrize("error", ["overloaded", {"message": "overloaded", "code": 503}], ids=str)
async def test_response_that_is_only_an_error(make_model, provider, cache_dir, error):
    """An error that a service sends as a successful response raises the SDK's error, and nothing is stored."""
    answer_next(provider, {"error": error})
    with pytest.raises(openai.APIError, match=r"^overloaded$") as raised:
        await make_model().get_text(QUESTION)
    assert raised.value.body == error
    assert entry_files(cache_dir) == []


@pytest.mark.parametrize("body", ["[]", "null", '{"choices": null}'])
async def test_response_without_choices(make_model, provider, cache_dir, body):
    """JSON without a choice gives an empty response with that JSON, and nothing is stored."""
    answer_next(provider, body)
    response = await make_model().get_text(QUESTION)
    assert (response.content, response.stop_reason, response.usage) == ("", None, None)
    assert entry_files(cache_dir) == []


@pytest.mark.parametrize(
    "body",
    [
        '{"choices": [{"message": {"content": "x"}, "finish_reason": "stop", "logprobs": NaN}]}',
        '{"choices": [{"message": {"content": "\\ud83d"}, "finish_reason": "stop"}]}',
    ],
    ids=["NaN", "half a character"],
)
async def test_response_that_json_would_change(make_model, provider, cache_dir, warned, body):
    """A response that JSON would change is returned and not stored, and one warning says why."""
    model = make_model()
    for _ in range(2):
        answer_next(provider, body)
        assert (await model.get_text(QUESTION)).stop_reason == "end_turn"
    assert entry_files(cache_dir) == []
    (warning,) = warned()
    assert "store the answer" in warning


async def test_store_requests(make_model, cache_dir, monkeypatch):
    """With store_requests the entry contains its request; without it, it does not."""
    await make_model().get_text(QUESTION)
    assert "request" not in only_entry(cache_dir)
    monkeypatch.setenv("SPARK_CACHE_STORE_REQUESTS", "true")
    await make_model().get_text(QUESTION, "Be brief.", cache="refresh", temperature=0.5)
    (path,) = [path for path in entry_files(cache_dir) if "Be brief." in path.read_text()]
    assert '"temperature": 0.5' in path.read_text()


@pytest.mark.parametrize(
    "given",
    [
        {"extra_headers": {"Authorization": "Bearer hush"}},
        {"extra_headers": {"X-Portkey-Api-Key": "hush"}},
        {"extra_headers": {"Helicone-Auth": "hush"}},
        {"extra_query": {"key": "hush"}},
        {"extra_body": {"access_token": "hush"}},
        {"extra_body": {"mcp_servers": [{"url": "https://mcp.example", "authorization_token": "hush"}]}},
    ],
    ids=lambda given: next(iter(next(iter(given.values())))),
)
async def test_stored_request_holds_no_credentials(make_model, cache_dir, monkeypatch, given):
    """Values that identify the caller are never part of an entry, even if requests are stored."""
    monkeypatch.setenv("SPARK_CACHE_STORE_REQUESTS", "true")
    await make_model().get_text(QUESTION, **given)
    (path,) = entry_files(cache_dir)
    assert "What is Python?" in path.read_text()
    assert "hush" not in path.read_text()


async def test_stored_request_that_is_not_json(make_model, cache_dir, monkeypatch):
    """A request that JSON cannot represent does not prevent its response from being stored."""
    monkeypatch.setenv("SPARK_CACHE_STORE_REQUESTS", "true")
    model = make_model()
    message = openai.types.chat.ChatCompletionMessage(role="assistant", content="A language.")
    await model.get_text([*QUESTION, message, *ask("Whose?")])
    assert (await model.get_text([*QUESTION, message, *ask("Whose?")])).cached
    assert "A language." in entry_files(cache_dir)[0].read_text()
