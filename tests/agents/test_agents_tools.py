"""Agents with tools: what the model is told of them, what it calls, and what it is told of the results."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import pickle
import threading
from enum import Enum
from typing import Annotated, Literal

import pytest
from agents_world import ScriptedModel, calls, says
from pydantic import BaseModel, Field

from spark_cache import Agent, AgentConfig, OpenAIModel
from spark_cache.agents import Tool
from spark_cache.errors import SparkCacheError, TurnLimitError
from spark_cache.models import ToolCall
from spark_cache.testing import StandInProvider


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


async def weather(city: str) -> dict[str, object]:
    """The weather in a city."""
    await asyncio.sleep(0)
    return {"city": city, "degrees": 21.5}


def _agent(model, *tools, **values) -> Agent:
    return Agent(AgentConfig(model=model, tools=tools, **values))


def _call(arguments: str) -> ToolCall:
    return ToolCall.from_text("call-0", "tool", arguments)


# -- the loop --------------------------------------------------------------------------------------------------------


async def test_a_tool_is_run_and_its_result_told():
    """The model calls a function, is told what it returned, and answers."""
    model = ScriptedModel(calls(("add", '{"a": 2, "b": 3}'), text="Let me see."), says("Five."))
    assert await _agent(model, add).run("What is 2 + 3?") == "Five."
    assert model.told == [
        {"role": "user", "content": "What is 2 + 3?"},
        {
            "role": "assistant",
            "content": [
                {"text": "Let me see."},
                {"toolUse": {"toolUseId": "call-0", "name": "add", "input": {"a": 2, "b": 3}}},
            ],
        },
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "call-0", "content": [{"text": "5"}]}}],
        },
    ]


async def test_several_tools_answer_in_their_order():
    """All calls of one answer are run, one after another, and their results are one message."""
    order = []

    async def slow(n: int) -> int:
        await asyncio.sleep(0.02)
        order.append(n)
        return n

    def fast(n: int) -> int:
        order.append(n)
        return n

    model = ScriptedModel(calls(("slow", '{"n": 1}'), ("fast", '{"n": 2}')), says("Done."))
    await _agent(model, slow, fast).run("Go.")
    assert order == [1, 2]
    assert model.results == [("call-0", "1", False), ("call-1", "2", False)]


async def test_the_model_is_told_of_its_tools():
    """The specifications of all tools go with every request."""
    model = ScriptedModel(says("Hello."))
    await _agent(model, add, weather).run("Hello")
    assert [spec["name"] for spec in model.requests[0].tool_specs] == ["add", "weather"]


async def test_without_tools_nothing_is_said_of_them():
    """An agent without tools asks as if there were none in the world, and returns what a tool call says."""
    model = ScriptedModel(calls(("add", "{}"), text="I would add."))
    assert await _agent(model).run("Hello") == "I would add."
    assert model.requests[0].tool_specs is None


async def test_the_turns_are_bounded():
    """A model that never stops calling tools ends in an error that says how many turns it had, and the way out."""
    model = ScriptedModel(calls(("add", '{"a": 1}')))
    agent = _agent(model, add, name="counter", max_turns=3)
    with pytest.raises(TurnLimitError, match=r"'counter' has no answer after 3 turns.*max_turns") as caught:
        await agent.run("Count.")
    assert isinstance(caught.value, SparkCacheError)
    assert (caught.value.agent, caught.value.max_turns) == ("counter", 3)
    assert agent.get_cost_stats().calls == len(model.requests) == 3


def test_the_turn_limit_survives_pickling():
    """The error comes through a process boundary as it was."""
    error = pickle.loads(pickle.dumps(TurnLimitError("counter", 3)))
    assert (error.agent, error.max_turns) == ("counter", 3)


async def test_the_last_turn_may_answer():
    """An answer in the last turn that is allowed is an answer."""
    model = ScriptedModel(calls(("add", '{"a": 1}')), says("Two."))
    assert await _agent(model, add, max_turns=2).run("Count.") == "Two."


async def test_every_turn_is_counted():
    """A question that takes two calls costs two, and asked again it saves two."""
    agent = _agent(ScriptedModel(calls(("add", '{"a": 1}')), says("Two."), enable_cache=True), add)
    await agent.run("Count.")
    cost = agent.get_cost_stats().total_cost
    await agent.run("Count.")
    stats = agent.get_cost_stats()
    assert (stats.calls, stats.hits) == (4, 2)
    # Twice 1,000 tokens of input and 100 of output.
    assert (cost, stats.total_cost, stats.cache_savings) == (pytest.approx(0.007),) * 3


async def test_a_repeated_run_is_served_from_the_cache():
    """The same question with the same tools asks nobody; the tools run all the same."""
    ran = []

    def note(text: str) -> str:
        ran.append(text)
        return "noted"

    model = ScriptedModel(calls(("note", '{"text": "milk"}')), says("Noted."), enable_cache=True)
    agent = _agent(model, note)
    assert await agent.run("Note milk.") == await agent.run("Note milk.") == "Noted."
    assert (len(model.requests), ran) == (2, ["milk", "milk"])


# -- what goes wrong --------------------------------------------------------------------------------------------


def broken() -> None:
    """Break."""
    raise LookupError("no such city")


async def broken_later() -> None:
    """Break after a while."""
    await asyncio.sleep(0)
    raise TimeoutError("too slow")


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        (broken, "{}", "LookupError: no such city"),
        (broken_later, "{}", "TimeoutError: too slow"),
        (add, '{"b": 2}', "ValueError: a: Field required"),
        (
            add,
            '{"a": "many"}',
            "ValueError: a: Input should be a valid integer, unable to parse string as an integer",
        ),
        (add, '{"a": 1, "c": 2}', "ValueError: c: Extra inputs are not permitted"),
        (add, '{"a": 1', "the arguments are not a JSON object"),
        (add, "[1]", "the arguments are not a JSON object"),
    ],
    ids=["raises", "raises later", "missing", "wrong type", "too many", "cut off", "no object"],
)
async def test_errors_are_told_to_the_model(tool, arguments, told):
    """What a tool raises, and arguments that it cannot take, go back as results that are errors."""
    model = ScriptedModel(calls((tool.__name__, arguments)), says("I see."))
    assert await _agent(model, tool).run("Go.") == "I see."
    assert model.results == [("call-0", told, True)]


async def test_an_unknown_tool_is_told_to_the_model():
    """A call of a tool that there is not is answered with those that there are."""
    model = ScriptedModel(calls(("subtract", "{}")), says("I see."))
    await _agent(model, add, weather).run("Go.")
    assert model.results == [("call-0", "there is no tool 'subtract'; the tools are add, weather", True)]


async def test_a_cancelled_tool_cancels_the_run():
    """Cancellation is no error to tell the model of."""
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(_agent(ScriptedModel(calls(("wait", "{}"))), wait).run("Wait."))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("turns", [0, -1])
def test_no_turns_at_all(turns):
    """An agent that may never ask is refused."""
    with pytest.raises(ValueError, match="max_turns"):
        _agent(ScriptedModel(says("")), max_turns=turns)


def test_two_tools_of_one_name():
    """Two tools between which a model could not tell are refused."""
    with pytest.raises(ValueError, match="two tools are called 'add'"):
        _agent(ScriptedModel(says("")), add, Tool(weather, "add", "", {}))


def test_what_is_no_tool():
    """Something that cannot be called is refused."""
    with pytest.raises(TypeError, match="a tool is a function or a Tool, not str"):
        _agent(ScriptedModel(says("")), "add")


# -- what is told of a function ----------------------------------------------------------------------------------


def test_a_schema_is_derived_from_the_signature():
    """Name, docstring, types and defaults of a function are its specification."""
    assert Tool.of(add).spec == {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 1}},
            "required": ["a"],
            "additionalProperties": False,
        },
    }


class _Unit(Enum):
    CELSIUS = "C"
    KELVIN = "K"


def test_types_of_all_kinds_have_a_schema():
    """Descriptions, choices, lists and optional values come through."""

    def find(
        city: Annotated[str, Field(description="Its name.")],
        unit: _Unit,
        kind: Literal["now", "later"],
        days: list[int] | None = None,
        anything=None,  # a parameter that says nothing of its type
    ) -> None: ...

    properties = Tool.of(find).parameters["properties"]
    assert properties["city"] == {"type": "string", "description": "Its name."}
    assert properties["kind"] == {"type": "string", "enum": ["now", "later"]}
    assert properties["days"]["anyOf"] == [
        {"type": "array", "items": {"type": "integer"}},
        {"type": "null"},
    ]
    assert properties["anything"] == {"default": None}
    assert Tool.of(find).parameters["$defs"]["_Unit"]["enum"] == ["C", "K"]


class _Place(BaseModel):
    city: str


@dataclasses.dataclass
class _Point:
    x: int


async def test_arguments_have_the_types_of_the_signature():
    """A function gets the values that its annotations promise, and its own defaults for what is not given."""
    got = {}

    def take(place: _Place, point: _Point, unit: _Unit, *, schema: str = "own", _hidden: int = 1) -> None:
        got.update(place=place, point=point, unit=unit, schema=schema, hidden=_hidden)

    arguments = '{"place": {"city": "Paris"}, "point": {"x": 1}, "unit": "K", "_hidden": 2}'
    assert await Tool.of(take).answer(_call(arguments)) == ("null", False)
    expected = {"place": _Place(city="Paris"), "point": _Point(1), "unit": _Unit.KELVIN}
    assert got == {**expected, "schema": "own", "hidden": 2}


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("as it is", "as it is"),
        (None, "null"),
        (21.5, "21.5"),
        ({"a": [1, True]}, '{"a":[1,true]}'),
        (_Place(city="Zürich"), '{"city":"Zürich"}'),
        (_Point(1), '{"x":1}'),
    ],
    ids=str,
)
async def test_results_are_told_as_text_or_json(result, text):
    """A text is told as it is, everything else as JSON."""

    def give() -> object:
        return result

    assert await Tool.of(give).answer(_call("{}")) == (text, False)


async def test_a_result_that_has_no_text():
    """A result that cannot be told is an error that says so, not a crash."""

    def give() -> object:
        return threading.Event()

    text, failed = await Tool.of(give).answer(_call(""))
    assert failed
    assert text.startswith("PydanticSerializationError: ")


async def test_a_synchronous_tool_does_not_stop_the_loop():
    """A function that waits does so in a thread of its own."""
    loop_ran = threading.Event()

    def wait() -> bool:
        return loop_ran.wait(10)

    running = asyncio.create_task(Tool.of(wait).answer(_call("{}")))
    await asyncio.sleep(0)
    loop_ran.set()
    assert await running == ("true", False)


class _Counter:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, by: int) -> int:
        self.count += by
        return self.count

    def method(self, by: int) -> int:
        """Count in steps."""
        self.count += by
        return self.count


async def test_methods_and_callable_objects_are_tools():
    """Whatever can be called with named arguments is a tool."""
    counter = _Counter()
    assert await Tool.of(counter.method).answer(_call('{"by": 2}')) == ("2", False)
    assert await Tool.of(counter, name="counter").answer(_call('{"by": 3}')) == ("5", False)
    stepped = Tool.of(functools.partial(add, b=5), name="add_five")
    assert await stepped.answer(_call('{"a": 1}')) == ("6", False)


async def test_a_tool_made_by_hand():
    """A specification of one's own reaches the model as it is, and the arguments the function."""

    def search(**arguments: object) -> object:
        return arguments

    schema = {"type": "object", "properties": {"query": {"type": "string"}}}
    tool = Tool(search, "web-search", "Search the web.", schema)
    model = ScriptedModel(calls(("web-search", '{"query": "cheese", "more": 1}')), says("Found."))
    await _agent(model, tool).run("Search.")
    assert model.requests[0].tool_specs == [
        {"name": "web-search", "description": "Search the web.", "parameters": schema}
    ]
    assert model.results == [("call-0", '{"query":"cheese","more":1}', False)]


def _positional(a: int, /) -> None: ...


def _many(*a: int) -> None: ...


def _anything(**a: int) -> None: ...


def _unknown(a: "NoSuchType") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037 - that is what is tested


def _without_schema(a: threading.Event) -> None: ...


@pytest.mark.parametrize(
    "function",
    [_positional, _many, _anything, _unknown, _without_schema],
    ids=lambda function: function.__name__,
)
def test_a_function_that_cannot_be_described(function):
    """What has no schema is refused when the agent is made, with the way out."""
    with pytest.raises(
        TypeError, match=rf"the tool '{function.__name__}' cannot be described: .*agents.Tool"
    ):
        _agent(ScriptedModel(says("")), function)


def test_a_name_that_models_do_not_take():
    """A function without a usable name is refused."""
    with pytest.raises(ValueError, match="'<lambda>'"):
        Tool.of(lambda: None)


# -- through a provider ------------------------------------------------------------------------------------------


async def test_tools_through_openai(tmp_path):
    """With the official SDK, the results of tools reach the provider in its own form, and a second run asks nobody."""
    with StandInProvider() as provider:
        model = OpenAIModel(
            "gpt-4o",
            enable_cache=True,
            cache_dir=tmp_path / "cache",
            client_args={"base_url": provider.base_url, "api_key": "test", "max_retries": 0},
        )
        async with model:
            agent = _agent(model, weather, system_prompt="Be brief.")
            answer = await agent.run("Use weather, please.")
            assert await agent.run("Use weather, please.") == answer
        assert provider.calls == 2
        messages = provider.requests[-1].body["messages"]
    assert answer.startswith('[stand-in] The tool said: {"city":')
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool"]
    (called,) = messages[2]["tool_calls"]
    assert (called["function"]["name"], messages[3]["tool_call_id"]) == ("weather", called["id"])
    assert (agent.get_cost_stats().calls, agent.get_cost_stats().hits) == (4, 2)
