"""Arguments that are nearly right: what is sensible is taken, and everything else is refused with advice."""

from __future__ import annotations

import openai
import pytest
from models_world import QUESTION, answer_next
from pydantic import BaseModel

from spark_cache import CacheConfig, CacheManager, OpenAIModel


class City(BaseModel):
    """An answer."""

    name: str


def chat(text):
    """Return a chat completion with a text."""
    message = {"role": "assistant", "content": text}
    return {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("temperature", "params={'temperature': …}"),
        ("api_key", "client_args={'api_key': …}"),
        ("base_url", "client_args={'base_url': …}"),
        ("ttl", "the argument is cache_ttl_seconds"),
        ("model", "the argument is model_id"),
        ("cache_dirr", "did you mean cache_dir?"),
    ],
)
def test_an_unknown_argument_names_the_right_place(name, advice):
    """A constructor that is given an argument of something else says where it belongs."""
    with pytest.raises(TypeError) as error:
        OpenAIModel("gpt-4o", **{name: "x"})
    assert advice in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"messages": None}, "messages must be a list of messages.*not None"),
        ({"messages": "Hello"}, "messages must be a list of messages.*not a str"),
        (
            {"messages": QUESTION, "tool_specs": {"name": "f"}},
            "tool_specs must be a list of tools.*not a dict",
        ),
        ({"messages": QUESTION, "response_format": City}, r"call get_json\(output_model, messages\)"),
        ({"messages": QUESTION, "stream": True}, "call stream_text"),
    ],
)
async def test_a_wrong_argument_of_a_call_is_explained(make_model, provider, arguments, message):
    """A call with an argument of the wrong form says what to give instead, and sends nothing."""
    with pytest.raises(TypeError, match=message):
        await make_model().get_text(**arguments)
    assert not provider.requests


async def test_token_ids_are_refused_with_advice(make_model):
    """Token IDs have no text to key, and the error says what to give."""
    with pytest.raises(TypeError, match="instead of token IDs, give the text"):
        await make_model("text-embedding-3-small").embed([[1, 2, 3]])


async def test_a_function_is_a_tool(make_model, provider):
    """A Python function is sent as the tool that describes it."""

    def weather(city: str, days: int = 1) -> str:
        """Return the weather in a city."""
        return f"{city} {days}"

    model = make_model()
    await model.get_text(QUESTION, tool_specs=[weather])
    (tool,) = provider.requests[0].body["tools"]
    function = tool["function"]
    assert (function["name"], function["description"]) == ("weather", "Return the weather in a city.")
    assert function["parameters"]["required"] == ["city"]
    assert (await model.get_text(QUESTION, tool_specs=[weather])).cached


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"name": "Paris"}\n```',
        '\n```\n{"name": "Paris"}```\n',
        '```JSON \n{"name":\n "Paris"}\n  ```',
        '{"name": "Paris"}',
    ],
)
async def test_json_in_a_code_block_is_read(make_model, provider, text):
    """An answer that wraps its JSON in a Markdown code block is read, stored, and read again."""
    model = make_model()
    answer_next(provider, chat(text))
    assert (await model.get_json(City, QUESTION)).output == City(name="Paris")
    again = await model.get_json(City, QUESTION)
    assert (again.cached, again.output, again.content) == (True, City(name="Paris"), text)


async def test_azure_by_client_args(make_model, provider, monkeypatch):
    """Arguments of Azure's client make one, and share entries with a client of the caller."""
    host = provider.base_url.removesuffix("/v1")
    arguments = {"azure_endpoint": host, "api_version": "2024-10-21", "api_key": "k"}
    client = openai.AsyncAzureOpenAI(**arguments)
    keys = {
        str(make_model(client=client).cache_key(QUESTION)),
        str(make_model(client_args=arguments).cache_key(QUESTION)),
    }
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", host)
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    keys.add(str(make_model(client_args={"azure_ad_token": "t"}).cache_key(QUESTION)))
    assert len(keys) == 1
    keys.add(str(make_model(client_args={**arguments, "api_version": "2025-04-01"}).cache_key(QUESTION)))
    keys.add(str(make_model(client_args={**arguments, "azure_deployment": "d"}).cache_key(QUESTION)))
    keys.add(str(make_model().cache_key(QUESTION)))
    assert len(keys) == 4
    await client.close()


def test_azure_without_an_address_is_an_error(make_model, monkeypatch):
    """Azure has no default address, and the error names both ways to give one."""
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT", raising=False)
    with pytest.raises(ValueError, match="give azure_endpoint in client_args, or set AZURE_OPENAI_ENDPOINT"):
        make_model(client_args={"api_version": "2024-10-21", "api_key": "k"}).cache_key(QUESTION)


@pytest.mark.parametrize(
    ("name", "near"), [("OpenAI", "openai"), ("Anthropic", "anthropic"), ("opanai", "openai")]
)
def test_a_provider_with_a_near_name_is_warned_of_once(cache_dir, warned, name, near):
    """A name that is nearly that of a known provider has the generic form, and one warning says so."""
    manager = CacheManager(CacheConfig(enabled=True, cache_dir=cache_dir, allow_plaintext=True))
    keys = {manager.generate_cache_key(name, "m", QUESTION) for _ in range(3)}
    assert keys != {manager.generate_cache_key(near, "m", QUESTION)}
    (warning,) = warned()
    assert f"provider {name!r} is not known: did you mean {near!r}?" in warning
    manager.generate_cache_key("mistral", "m", QUESTION)
    assert len(warned()) == 1


def test_an_api_that_does_not_exist_is_an_error(cache_dir):
    """A mistyped ``api`` is refused by models and by the manager alike."""
    manager = CacheManager(CacheConfig(enabled=True, cache_dir=cache_dir, allow_plaintext=True))
    for ask in (
        lambda: OpenAIModel("m", api="respnses"),
        lambda: manager.generate_cache_key("openai", "m", QUESTION, api="respnses"),
    ):
        with pytest.raises(ValueError, match="api='respnses' must be 'chat' or 'responses'"):
            ask()


async def test_embeddings_leave_out_the_options_of_streams(make_model, provider):
    """Parameters of a model that concern its streams do not reach its embeddings."""
    model = make_model("text-embedding-3-small", params={"stream_options": {"include_usage": True}})
    assert len(await model.embed(["Hello"])) == 1
    assert "stream_options" not in provider.requests[0].body
