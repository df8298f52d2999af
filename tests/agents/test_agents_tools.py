"""Agents with tools: the specifications, calls and results that agent and model exchange."""

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
    """Return the weather in a city."""
    await asyncio.sleep(0)
    return {"city": city, "degrees": 21.5}


def _agent(model, *tools, **values) -> Agent:
    return Agent(AgentConfig(model=model, tools=tools, **values))


def _call(arguments: str) -> ToolCall:
    return ToolCall.from_text("call-0", "tool", arguments)


# -- the loop --------------------------------------------------------------------------------------------------------


async def test_tool_runs_and_its_result_reaches_the_model():
    """The agent runs the tool that the model calls, and the model receives its result."""
    model = ScriptedModel(calls(("add", '{"a": 2, "b": 3}'), text="Let me see."), says("Five."))
    assert await _agent(model, add).run("What is 2 + 3?") == "Five."
    assert model.last_messages == [
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


async def test_tools_of_one_response_run_in_order():
    """The tool calls of one response run one after another, and one message contains all results."""
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


async def test_requests_contain_the_tools():
    """Every request contains the specifications of all tools."""
    model = ScriptedModel(says("Hello."))
    await _agent(model, add, weather).run("Hello")
    assert [spec["name"] for spec in model.requests[0].body["tool_specs"]] == ["add", "weather"]


async def test_agent_without_tools_sends_no_tools():
    """An agent without tools sends no tool specifications, and returns the text of a response that calls a tool."""
    model = ScriptedModel(calls(("add", "{}"), text="I would add."))
    assert await _agent(model).run("Hello") == "I would add."
    assert "tool_specs" not in model.requests[0].body


async def test_turns_are_limited():
    """If the model keeps calling tools, the error states the number of turns and how to raise the limit."""
    model = ScriptedModel(calls(("add", '{"a": 1}')))
    agent = _agent(model, add, name="counter", max_turns=3)
    with pytest.raises(TurnLimitError, match=r"'counter' has no answer after 3 turns.*max_turns") as caught:
        await agent.run("Count.")
    assert isinstance(caught.value, SparkCacheError)
    assert (caught.value.agent, caught.value.max_turns) == ("counter", 3)
    assert agent.get_cost_stats().calls == len(model.requests) == 3


def test_turn_limit_error_can_be_pickled():
    """Pickling preserves the attributes of the error."""
    error = pickle.loads(pickle.dumps(TurnLimitError("counter", 3)))
    assert (error.agent, error.max_turns) == ("counter", 3)


async def test_last_turn_can_answer():
    """``run`` returns a response that comes in the last allowed turn."""
    model = ScriptedModel(calls(("add", '{"a": 1}')), says("Two."))
    assert await _agent(model, add, max_turns=2).run("Count.") == "Two."


async def test_every_turn_is_counted():
    """A question that takes two calls costs two calls, and repeating it saves two calls."""
    agent = _agent(ScriptedModel(calls(("add", '{"a": 1}')), says("Two."), enable_cache=True), add)
    await agent.run("Count.")
    cost = agent.get_cost_stats().total_cost
    await agent.run("Count.")
    stats = agent.get_cost_stats()
    assert (stats.calls, stats.hits) == (4, 2)
    # Two calls, each with 1,000 input tokens and 100 output tokens.
    assert (cost, stats.total_cost, stats.cache_savings) == (pytest.approx(0.007),) * 3


async def test_repeated_run_is_served_from_the_cache():
    """Repeating a question with the same tools makes no provider call, but runs the tools again."""
    notes = []

    def note(text: str) -> str:
        notes.append(text)
        return "noted"

    model = ScriptedModel(calls(("note", '{"text": "milk"}')), says("Noted."), enable_cache=True)
    agent = _agent(model, note)
    assert await agent.run("Note milk.") == await agent.run("Note milk.") == "Noted."
    assert (len(model.requests), notes) == (2, ["milk", "milk"])


# -- errors ---------------------------------------------------------------------------------------------------


def broken() -> None:
    """Break."""
    raise LookupError("no such city")


async def broken_later() -> None:
    """Break after a while."""
    await asyncio.sleep(0)
    raise TimeoutError("too slow")


@pytest.mark.parametrize(
    ("tool", "arguments", "text"),
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
async def test_model_receives_tool_errors(tool, arguments, text):
    """The model receives errors from a tool, and invalid arguments, as error results."""
    model = ScriptedModel(calls((tool.__name__, arguments)), says("I see."))
    assert await _agent(model, tool).run("Go.") == "I see."
    assert model.results == [("call-0", text, True)]


async def test_unknown_tool_is_an_error_result():
    """If the model calls an unknown tool, the error result lists the available tools."""
    model = ScriptedModel(calls(("subtract", "{}")), says("I see."))
    await _agent(model, add, weather).run("Go.")
    assert model.results == [("call-0", "there is no tool 'subtract'; the tools are add, weather", True)]


async def test_cancelling_a_tool_cancels_the_run():
    """Cancelling a running tool cancels the run and is not reported to the model."""
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
def test_max_turns_must_be_positive(turns):
    """An agent rejects a turn limit below 1."""
    with pytest.raises(ValueError, match=rf"^max_turns must be at least 1, not {turns}$"):
        _agent(ScriptedModel(says("")), max_turns=turns)


def test_tool_names_must_be_unique():
    """An agent rejects two tools with the same name."""
    with pytest.raises(ValueError, match="two tools have the name 'add'"):
        _agent(ScriptedModel(says("")), add, Tool(weather, "add", "", {}))


def test_tool_must_be_callable():
    """An agent rejects a tool that is not callable."""
    with pytest.raises(TypeError, match="a tool must be a function or a Tool, not str"):
        _agent(ScriptedModel(says("")), "add")


# -- descriptions of functions ----------------------------------------------------------------------------------


def test_specification_comes_from_the_function():
    """A tool's specification is derived from the name, docstring, types and defaults of its function."""
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


def test_schema_supports_many_types():
    """The schema includes descriptions, choices, lists and optional values."""

    def find(
        city: Annotated[str, Field(description="Its name.")],
        unit: _Unit,
        kind: Literal["now", "later"],
        days: list[int] | None = None,
        anything=None,  # a parameter without a type annotation
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


async def test_arguments_have_the_annotated_types():
    """A function receives arguments of its annotated types, and its own defaults for missing arguments."""
    received = {}

    def take(place: _Place, point: _Point, unit: _Unit, *, schema: str = "own", _hidden: int = 1) -> None:
        received.update(place=place, point=point, unit=unit, schema=schema, hidden=_hidden)

    arguments = '{"place": {"city": "Paris"}, "point": {"x": 1}, "unit": "K", "_hidden": 2}'
    assert await Tool.of(take).answer(_call(arguments)) == ("null", False)
    expected = {"place": _Place(city="Paris"), "point": _Point(1), "unit": _Unit.KELVIN}
    assert received == {**expected, "schema": "own", "hidden": 2}


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("unchanged", "unchanged"),
        (None, "null"),
        (21.5, "21.5"),
        ({"a": [1, True]}, '{"a":[1,true]}'),
        (_Place(city="Zürich"), '{"city":"Zürich"}'),
        (_Point(1), '{"x":1}'),
    ],
    ids=str,
)
async def test_result_is_text_or_json(result, text):
    """The model receives a string result unchanged, and any other result as JSON."""

    def give() -> object:
        return result

    assert await Tool.of(give).answer(_call("{}")) == (text, False)


async def test_unserializable_result_is_an_error_result():
    """A result that cannot be converted to JSON is an error result and does not end the run."""

    def give() -> object:
        return threading.Event()

    text, failed = await Tool.of(give).answer(_call(""))
    assert failed
    assert text.startswith("PydanticSerializationError: ")


async def test_synchronous_tool_does_not_block_the_loop():
    """A synchronous function runs in a separate thread."""
    loop_ran = threading.Event()

    def wait() -> bool:
        return loop_ran.wait(10)

    running = asyncio.create_task(Tool.of(wait).answer(_call("{}")))
    await asyncio.sleep(0)
    loop_ran.set()
    assert await running == ("true", False)


class _Counter:
    """A counter."""

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
    """Any callable with named arguments can be a tool."""
    counter = _Counter()
    assert await Tool.of(counter.method).answer(_call('{"by": 2}')) == ("2", False)
    assert await Tool.of(counter, name="counter").answer(_call('{"by": 3}')) == ("5", False)
    stepped = Tool.of(functools.partial(add, b=5), name="add_five")
    assert await stepped.answer(_call('{"a": 1}')) == ("6", False)


async def test_custom_tool():
    """The model receives a custom specification unchanged, and the function receives the arguments unchanged."""

    def search(**arguments: object) -> object:
        return arguments

    schema = {"type": "object", "properties": {"query": {"type": "string"}}}
    tool = Tool(search, "web-search", "Search the web.", schema)
    model = ScriptedModel(calls(("web-search", '{"query": "cheese", "more": 1}')), says("Found."))
    await _agent(model, tool).run("Search.")
    assert model.requests[0].body["tool_specs"] == [
        {"name": "web-search", "description": "Search the web.", "parameters": schema}
    ]
    assert model.results == [("call-0", '{"query":"cheese","more":1}', False)]


def _positional(a: int, /) -> None: ...


def _many(*a: int) -> None: ...


def _anything(**a: int) -> None: ...


def _unknown(a: "NoSuchType") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037 - the test needs an unknown type


def _without_schema(a: threading.Event) -> None: ...


@pytest.mark.parametrize(
    "function",
    [_positional, _many, _anything, _unknown, _without_schema],
    ids=lambda function: function.__name__,
)
def test_undescribable_function_is_rejected(function):
    """An agent rejects a function without a schema, and the error names the alternative."""
    with pytest.raises(TypeError, match=rf"cannot describe the tool '{function.__name__}': .*agents.Tool"):
        _agent(ScriptedModel(says("")), function)


def test_invalid_tool_name_is_rejected():
    """``Tool.of`` rejects a function whose name models do not accept."""
    with pytest.raises(ValueError, match="'<lambda>'"):
        Tool.of(lambda: None)


# -- with a provider --------------------------------------------------------------------------------------------


async def test_tools_through_openai(tmp_path):
    """Through the official SDK, the provider receives tool results in its own format, and a repeated run makes no call."""
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
    (call,) = messages[2]["tool_calls"]
    assert (call["function"]["name"], messages[3]["tool_call_id"]) == ("weather", call["id"])
    assert (agent.get_cost_stats().calls, agent.get_cost_stats().hits) == (4, 2)
