"""get_json: answers that meet a schema, checked before they are stored."""

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
    """A shop, with what strict mode has no word for."""

    city: City = pydantic.Field(description="Where it is.")
    kind: Literal["small", "large"] = "small"
    stock: list[City] = []
    note: str | None = None


API = pytest.mark.parametrize("api", ["chat", "responses"])


@pytest.fixture
async def answering(cache_dir):
    """Makes a model of a provider that gives the scripted answers in turn."""
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
    """With a model class, the answer's output is an instance of it, fresh and from the cache."""
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
    """With a JSON schema, the output is what the JSON says."""
    model = make_model(api=api)
    first, hit = await model.get_json(SCHEMA, QUESTION), await model.get_json(SCHEMA, QUESTION)
    assert provider.calls == 1
    assert first == hit
    assert hit.output == json.loads(hit.content)


async def test_schema_is_keyed(make_model, provider):
    """Another schema is another request, and so is one without."""
    model = make_model()
    await model.get_json(SCHEMA, QUESTION)
    await model.get_json({**SCHEMA, "required": ["name"]}, QUESTION)
    await model.get_text(QUESTION)
    assert provider.calls == 3


async def test_cache_key(make_model):
    """cache_key with an output_model gives the key that get_json uses, and so does the manager's function."""
    model = make_model()
    answer = await model.get_json(City, QUESTION)
    assert answer.cache_key == model.cache_key(QUESTION, output_model=City)
    schema = City.model_json_schema()
    endpoint = model._endpoint()
    assert answer.cache_key == model.cache.generate_cache_key(
        "openai", "gpt-4o", QUESTION, output_schema=schema, operation="json", endpoint=endpoint
    )


async def test_entry_shows_the_schema(make_model, cache_dir, monkeypatch):
    """Where requests are stored, the schema is part of what is."""
    monkeypatch.setenv("SPARK_CACHE_STORE_REQUESTS", "true")
    await make_model().get_json(SCHEMA, QUESTION)
    assert only_entry(cache_dir)["request"]["output_schema"] == SCHEMA


FAULTS = {
    "not JSON": ("Certainly! Here is", "(?i)json"),
    "wrong type": ('{"name": "Rome", "size": "XXL"}', "size"),
    "lacking": ('{"name": "Rome"}', "size"),
    "out of bounds": ('{"name": "Rome", "size": -1}', "size"),
    "cut": ({"content": '{"name": "Ro', "finish_reason": "length"}, "token limit"),
    "refusal": ({"refusal": "I will not."}, "refused"),
}


@pytest.mark.parametrize("wanted", [City, SCHEMA], ids=["class", "schema"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_invalid_answer(answering, cache_dir, wanted, fault):
    """An answer that does not meet the schema is an error that says where, carries the answer, and is not stored."""
    said, told = FAULTS[fault]
    model = answering(said, '{"name": "Rome", "size": 3}')
    with pytest.raises(InvalidAnswerError, match=told) as caught:
        await model.get_json(wanted, QUESTION)
    assert caught.value.response.raw["choices"][0]["message"]
    assert entry_files(cache_dir) == []
    assert not (await model.get_json(wanted, QUESTION)).cached


@pytest.mark.parametrize("wanted", [City, SCHEMA], ids=["class", "schema"])
async def test_error_quotes_nothing(answering, wanted):
    """What the answer says is not in the error, nor in what is shown with it."""
    model = answering('{"name": "Rome", "size": "CANARY"}')
    with pytest.raises(InvalidAnswerError) as caught:
        await model.get_json(wanted, QUESTION)
    assert "CANARY" not in f"{caught.value} {caught.value!r}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_error_of_a_validator_quotes_nothing(answering):
    """The message of a model class's own validator may quote the answer, and is left out."""

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
    """The error comes out of another process as it was."""
    model = answering("no JSON")
    with pytest.raises(InvalidAnswerError) as caught:
        await model.get_json(City, QUESTION)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.response) == (str(caught.value), caught.value.response)


async def test_response_survives_pickling(make_model):
    """A structured answer comes out of another process as it was."""
    answer = await make_model().get_json(City, QUESTION)
    copy = pickle.loads(pickle.dumps(answer))
    assert copy == answer
    assert copy.origin is None


async def test_tool_call_instead(answering):
    """A model that calls a tool instead gives an error that says so, with the call."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    model = answering({"tool_calls": [call]})
    with pytest.raises(InvalidAnswerError, match="called a tool") as caught:
        await model.get_json(City, QUESTION)
    assert caught.value.response.tool_calls[0].name == "f"


def picky(least):
    """A class of the same schema as any other of its kind, which takes sizes from ``least`` up."""

    class Size(pydantic.BaseModel):
        size: int

        @pydantic.field_validator("size")
        @classmethod
        def _check(cls, value):
            if value < least:
                raise ValueError("too small")
            return value

    return Size


async def test_stored_answer_that_is_no_longer_valid(answering, cache_dir):
    """A stored answer that the class no longer takes is a miss: the model is asked again, and the new answer kept."""
    model = answering('{"size": 1}', '{"size": 9}')
    await model.get_json(picky(0), QUESTION)
    again = await model.get_json(picky(5), QUESTION)
    assert (again.cached, again.output.size) == (False, 9)
    assert (await model.get_json(picky(5), QUESTION)).cached
    assert len(entry_files(cache_dir)) == 1


async def test_replay_of_an_answer_that_is_no_longer_valid(answering):
    """In replay mode, a recording that the class no longer takes is a miss with its own reason."""
    model = answering('{"size": 1}')
    await model.get_json(picky(0), QUESTION)
    with pytest.raises(CacheMissError, match="unsuitable"):
        await model.get_json(picky(5), QUESTION, cache="replay")


async def test_waiters_get_objects_of_their_own(make_model, provider):
    """Equal calls that come together make one call, and each gets an object of its own."""
    model = make_model()
    one, other = await asyncio.gather(*(model.get_json(City, QUESTION) for _ in range(2)))
    assert provider.calls == 1
    assert one == other
    assert one.output is not other.output


async def test_waiter_of_another_class(answering):
    """A waiter whose class of the same schema does not take the shared answer asks by itself."""
    model = answering('{"size": 1}', '{"size": 9}')
    one, other = await asyncio.gather(model.get_json(picky(0), QUESTION), model.get_json(picky(5), QUESTION))
    assert (one.output.size, other.output.size) == (1, 9)


@pytest.mark.parametrize("wanted", [int, "City", None, City(name="Rome", size=3), list[City]])
async def test_output_model_that_is_none(make_model, provider, wanted):
    """What is neither a model class nor a schema is refused before anything is asked."""
    with pytest.raises(TypeError, match="pydantic model class or a JSON schema"):
        await make_model().get_json(wanted, QUESTION)
    assert provider.calls == 0


async def test_schema_that_cannot_be_checked(make_model, provider):
    """A schema with a keyword that cannot be checked is refused before anything is asked, with its place."""
    schema = {"type": "object", "properties": {"a": {"type": "array", "contains": {"type": "string"}}}}
    with pytest.raises(ValueError, match="#/properties/a/contains"):
        await make_model().get_json(schema, QUESTION)
    assert provider.calls == 0


async def test_caller_that_changes_its_schema(make_model, provider):
    """A caller that goes on with its schema changes neither what was keyed nor what the answer is held to."""
    model = make_model()
    schema = json.loads(json.dumps(SCHEMA))
    asking = asyncio.create_task(model.get_json(schema, QUESTION))
    await asyncio.sleep(0)
    schema["properties"]["name"]["type"] = "null"
    assert (await asking).output["name"]
    assert (await model.get_json(SCHEMA, QUESTION)).cached


async def test_without_the_cache(make_model, provider):
    """With the cache off, answers are checked all the same."""
    answer = await make_model(enable_cache=False).get_json(City, QUESTION)
    assert isinstance(answer.output, City)
    assert answer.cache_key is None


# -- what is asked for --------------------------------------------------------------------------------------------------------------


async def sent_format(make_model, provider, wanted):
    await make_model().get_json(wanted, QUESTION)
    return provider.requests[-1].body["response_format"]["json_schema"]


async def test_strict_schema(make_model, provider):
    """A class is asked for in strict mode: objects closed, every property required, no default, nothing beside a reference."""
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
    """A schema that means something which strict mode cannot say goes as it is, without strict mode."""
    schema = {**SCHEMA, **changed}
    sent = await sent_format(make_model, provider, schema)
    assert "strict" not in sent
    assert sent["schema"] == schema


async def test_name_of_the_format(make_model, provider):
    """A schema without a title the service could take has a plain name."""
    sent = await sent_format(make_model, provider, {**SCHEMA, "title": "…"})
    assert sent["name"] == "answer"


async def test_other_settings_of_the_text(make_model, provider):
    """The Responses interface keeps what else is said of the text."""
    await make_model(api="responses").get_json(City, ask("Which?"), text={"verbosity": "low"})
    text = provider.requests[-1].body["text"]
    assert (text["verbosity"], text["format"]["type"]) == ("low", "json_schema")
