"""get_json: structured responses, validated before they are stored."""

from __future__ import annotations

import asyncio
import json
import pickle
from typing import Annotated, Literal

import pydantic
import pytest
from models_world import QUESTION, ask, entry_files, only_entry

from spark_cache import CacheMissError, OpenAIModel
from spark_cache.errors import InvalidAnswerError
from spark_cache.models import JsonResponse
from spark_cache.testing import StandInProvider

SCHEMA = {
    "title": "City",
    "type": "object",
    "properties": {"name": {"type": "string"}, "size": {"type": "integer", "minimum": 0}},
    "required": ["name", "size"],
}


class City(pydantic.BaseModel):
    """A city."""

    name: str
    size: Annotated[int, pydantic.Field(ge=0)]


class Shop(pydantic.BaseModel):
    """A shop, with fields that strict mode cannot express."""

    city: City = pydantic.Field(description="Where it is.")
    kind: Literal["small", "large"] = "small"
    stock: list[City] = []
    note: str | None = None


API = pytest.mark.parametrize("api", ["chat", "responses"])


@pytest.fixture
async def answering(cache_dir):
    """Return a function that makes a model whose provider returns the given responses in turn."""
    models = []
    providers = []

    def make(*answers, **options):
        left = iter(answers)
        provider = StandInProvider(answer=lambda _: next(left))
        provider.__enter__()
        providers.append(provider)
        model = OpenAIModel(
            "gpt-4o",
            enable_cache=True,
            cache_dir=cache_dir,
            client_args={"base_url": provider.base_url, "api_key": "test", "max_retries": 0},
            **options,
        )
        models.append(model)
        return model

    yield make
    for model in models:
        await model.aclose()
    for provider in providers:
        provider.__exit__(None, None, None)


@API
async def test_model_class(make_model, provider, api):
    """With a model class, the output is an instance of the class, fresh or from the cache."""
    model = make_model(api=api)
    first, hit = await model.get_json(City, QUESTION), await model.get_json(City, QUESTION)
    assert provider.calls == 1
    assert (first.cached, hit.cached) == (False, True)
    assert first == hit
    assert isinstance(hit, JsonResponse)
    assert isinstance(hit.output, City)
    assert hit.output == City.model_validate_json(hit.content)


@API
async def test_json_schema(make_model, provider, api):
    """With a JSON schema, the output is the parsed JSON."""
    model = make_model(api=api)
    first, hit = await model.get_json(SCHEMA, QUESTION), await model.get_json(SCHEMA, QUESTION)
    assert provider.calls == 1
    assert first == hit
    assert hit.output == json.loads(hit.content)


async def test_schema_is_keyed(make_model, provider):
    """The schema is part of the key."""
    model = make_model()
    await model.get_json(SCHEMA, QUESTION)
    await model.get_json({**SCHEMA, "required": ["name"]}, QUESTION)
    await model.get_text(QUESTION)
    assert provider.calls == 3


async def test_cache_key(make_model, provider):
    """cache_key with an output_model returns the key that get_json uses, and so does generate_cache_key."""
    model = make_model()
    answer = await model.get_json(City, QUESTION)
    assert answer.cache_key == model.cache_key(QUESTION, output_model=City)
    schema = City.model_json_schema()
    assert answer.cache_key == model.cache.generate_cache_key(
        "openai", "gpt-4o", QUESTION, output_schema=schema, operation="json", endpoint=provider.base_url
    )


async def test_entry_shows_the_schema(make_model, provider, cache_dir, monkeypatch):
    """A stored request contains the schema, as it was sent."""
    monkeypatch.setenv("SPARK_CACHE_STORE_REQUESTS", "true")
    await make_model().get_json(SCHEMA, QUESTION)
    body = only_entry(cache_dir)["request"]["body"]
    assert body == {"messages": QUESTION, "response_format": provider.requests[-1].body["response_format"]}
    schema = body["response_format"]["json_schema"]["schema"]
    assert {name: schema[name] for name in SCHEMA} == SCHEMA


FAULTS = {
    "not JSON": ("Certainly! Here is", "(?i)json"),
    "wrong type": ('{"name": "Rome", "size": "XXL"}', "size"),
    "missing": ('{"name": "Rome"}', "size"),
    "out of bounds": ('{"name": "Rome", "size": -1}', "size"),
    "cut": ({"content": '{"name": "Ro', "finish_reason": "length"}, "token limit"),
    "refusal": ({"refusal": "I will not."}, "refused"),
}


@pytest.mark.parametrize("wanted", [City, SCHEMA], ids=["class", "schema"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_invalid_answer(answering, cache_dir, wanted, fault):
    """An invalid response raises an error that names the fault and carries the response. The response is not stored."""
    content, message = FAULTS[fault]
    model = answering(content, '{"name": "Rome", "size": 3}')
    with pytest.raises(InvalidAnswerError, match=message) as caught:
        await model.get_json(wanted, QUESTION)
    assert caught.value.response.raw["choices"][0]["message"]
    assert entry_files(cache_dir) == []
    assert not (await model.get_json(wanted, QUESTION)).cached


@pytest.mark.parametrize("wanted", [City, SCHEMA], ids=["class", "schema"])
async def test_error_quotes_nothing(answering, wanted):
    """Neither the error nor its traceback contains the response."""
    model = answering('{"name": "Rome", "size": "CANARY"}')
    with pytest.raises(InvalidAnswerError) as caught:
        await model.get_json(wanted, QUESTION)
    assert "CANARY" not in f"{caught.value} {caught.value!r}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_error_of_a_validator_quotes_nothing(answering):
    """The message of a model class's own validator may quote the response, so it is left out."""

    class Loud(pydantic.BaseModel):
        name: str

        @pydantic.field_validator("name")
        @classmethod
        def _refuse(cls, value):
            raise ValueError(f"{value} is no good")

    model = answering('{"name": "CANARY"}')
    with pytest.raises(InvalidAnswerError, match="name: value_error") as caught:
        await model.get_json(Loud, QUESTION)
    assert "CANARY" not in str(caught.value)


async def test_error_survives_pickling(answering):
    """The error can be pickled."""
    model = answering("no JSON")
    with pytest.raises(InvalidAnswerError) as caught:
        await model.get_json(City, QUESTION)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.response) == (str(caught.value), caught.value.response)


async def test_response_survives_pickling(make_model):
    """A structured response can be pickled."""
    answer = await make_model().get_json(City, QUESTION)
    copy = pickle.loads(pickle.dumps(answer))
    assert copy == answer
    assert copy.origin is None


async def test_tool_call_instead(answering):
    """If the model calls a tool instead, the error says so and carries the tool call."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    model = answering({"tool_calls": [call]})
    with pytest.raises(InvalidAnswerError, match="called a tool") as caught:
        await model.get_json(City, QUESTION)
    assert caught.value.response.tool_calls[0].name == "f"


def picky(least):
    """Return a model class that accepts sizes from ``least``. All these classes have the same schema."""

    class Size(pydantic.BaseModel):
        size: int

        @pydantic.field_validator("size")
        @classmethod
        def _check(cls, value):
            if value < least:
                raise ValueError("too small")
            return value

    return Size


async def test_stored_response_that_is_no_longer_valid(answering, cache_dir):
    """A stored response that the class no longer accepts is a miss, and the new response replaces it."""
    model = answering('{"size": 1}', '{"size": 9}')
    await model.get_json(picky(0), QUESTION)
    again = await model.get_json(picky(5), QUESTION)
    assert (again.cached, again.output.size) == (False, 9)
    assert (await model.get_json(picky(5), QUESTION)).cached
    assert len(entry_files(cache_dir)) == 1


async def test_replay_of_a_response_that_is_no_longer_valid(answering):
    """In replay mode, a recording that the class no longer accepts is a miss with its own reason."""
    model = answering('{"size": 1}')
    await model.get_json(picky(0), QUESTION)
    with pytest.raises(CacheMissError, match="unsuitable"):
        await model.get_json(picky(5), QUESTION, cache="replay")


async def test_waiters_get_separate_objects(make_model, provider):
    """Simultaneous equal calls make one API call, and each gets a separate object."""
    model = make_model()
    one, other = await asyncio.gather(*(model.get_json(City, QUESTION) for _ in range(2)))
    assert provider.calls == 1
    assert one == other
    assert one.output is not other.output


async def test_waiter_of_another_class(answering):
    """A waiter whose class has the same schema but rejects the shared response calls the provider itself."""
    model = answering('{"size": 1}', '{"size": 9}')
    one, other = await asyncio.gather(model.get_json(picky(0), QUESTION), model.get_json(picky(5), QUESTION))
    assert (one.output.size, other.output.size) == (1, 9)


@pytest.mark.parametrize("wanted", [int, "City", None, City(name="Rome", size=3), list[City]])
async def test_invalid_output_model(make_model, provider, wanted):
    """Anything but a model class or a schema is refused before the provider is called."""
    with pytest.raises(TypeError, match="pydantic model class or a JSON schema"):
        await make_model().get_json(wanted, QUESTION)
    assert provider.calls == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"contains": {"type": "strin"}},
            "#/properties/a/contains/type is invalid: 'strin' is not valid under any of the given schemas",
        ),
        (
            {"$ref": "https://example.com/schema"},
            "#/properties/a/$ref cannot be resolved within the schema; other documents are not fetched",
        ),
    ],
    ids=["invalid", "remote"],
)
async def test_schema_that_cannot_be_checked(make_model, provider, wrong, message):
    """A schema that is invalid or has a remote reference is refused before the provider is called, with its place."""
    schema = {"type": "object", "properties": {"a": wrong}}
    with pytest.raises(ValueError, match="output_model") as caught:
        await make_model().get_json(schema, QUESTION)
    assert str(caught.value) == f"output_model: {message}"
    assert provider.calls == 0


async def test_keyword_that_strict_mode_does_not_know(answering):
    """A response is validated against keywords that a provider does not enforce."""
    schema = {"type": "object", "properties": {"a": {"type": "array", "contains": {"type": "string"}}}}
    model = answering('{"a": [1]}', '{"a": [1, "x"]}')
    with pytest.raises(InvalidAnswerError) as caught:
        await model.get_json(schema, QUESTION)
    assert caught.value.reason == '$.a does not satisfy "contains": {"type": "string"}'
    assert (await model.get_json(schema, QUESTION)).output == {"a": [1, "x"]}


async def test_caller_that_changes_its_schema(make_model, provider):
    """If the caller changes its schema during the call, neither the key nor the validation changes."""
    model = make_model()
    schema = json.loads(json.dumps(SCHEMA))
    call = asyncio.create_task(model.get_json(schema, QUESTION))
    await asyncio.sleep(0)
    schema["properties"]["name"]["type"] = "null"
    assert (await call).output["name"]
    assert (await model.get_json(SCHEMA, QUESTION)).cached


async def test_without_the_cache(make_model, provider):
    """Responses are validated even if the cache is off."""
    answer = await make_model(enable_cache=False).get_json(City, QUESTION)
    assert isinstance(answer.output, City)
    assert answer.cache_key is None


# -- the request ----------------------------------------------------------------------------------------------


async def sent_format(make_model, provider, wanted):
    await make_model().get_json(wanted, QUESTION)
    return provider.requests[-1].body["response_format"]["json_schema"]


async def test_strict_schema(make_model, provider):
    """A class uses strict mode: closed objects, all properties required, no defaults, no siblings of a reference."""
    sent = await sent_format(make_model, provider, Shop)
    assert (sent["name"], sent["strict"]) == ("Shop", True)
    assert sent["schema"]["required"] == ["city", "kind", "stock", "note"]
    assert sent["schema"]["additionalProperties"] is False
    assert sent["schema"]["$defs"]["City"]["additionalProperties"] is False
    assert sent["schema"]["properties"]["city"] == {
        "anyOf": [{"$ref": "#/$defs/City"}],
        "description": "Where it is.",
    }
    assert "default" not in json.dumps(sent["schema"])


@pytest.mark.parametrize(
    "changed",
    [
        {"required": ["name"]},
        {"additionalProperties": {"type": "string"}},
        {"properties": {"size": {"oneOf": [{"type": "integer"}, {"type": "null"}]}}, "required": ["size"]},
    ],
    ids=["optional", "open", "keyword"],
)
async def test_schema_that_strict_mode_would_change(make_model, provider, changed):
    """A schema that strict mode cannot express is sent unchanged, without strict mode."""
    schema = {**SCHEMA, **changed}
    sent = await sent_format(make_model, provider, schema)
    assert "strict" not in sent
    assert sent["schema"] == schema


async def test_name_of_the_format(make_model, provider):
    """A schema without a valid title is sent under a default name."""
    sent = await sent_format(make_model, provider, {**SCHEMA, "title": "…"})
    assert sent["name"] == "answer"


async def test_other_settings_of_the_text(make_model, provider):
    """The Responses API keeps other settings of the text."""
    await make_model(api="responses").get_json(City, ask("Which?"), text={"verbosity": "low"})
    text = provider.requests[-1].body["text"]
    assert (text["verbosity"], text["format"]["type"]) == ("low", "json_schema")
