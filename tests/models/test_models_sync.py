"""The synchronous methods: the providers' real SDKs against the stand-in, in threads and beside event loops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import socket
import threading
import time
from contextvars import ContextVar
from urllib.parse import urlsplit

import anthropic
import numpy as np
import openai
import pytest
from botocore.exceptions import ClientError
from google.genai.errors import APIError
from models_world import QUESTION, EchoModel, EchoProvider, ask, entry_files, send_next, server_sent
from pydantic import BaseModel
from sync_world import NAMES, SECONDS, in_threads, model_of

from spark_cache import Agent, AgentConfig, CacheMissError, Model
from spark_cache.models import StreamEvent

WITH_EMBEDDINGS = ["openai", "gemini", "bedrock"]
ERRORS = {
    "openai": openai.RateLimitError,
    "responses": openai.RateLimitError,
    "anthropic": anthropic.RateLimitError,
    "gemini": APIError,
    "bedrock": ClientError,
}


class City(BaseModel):
    """A structured answer."""

    city: str
    people: int


@pytest.fixture(autouse=True)
def aws_keys(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


@pytest.fixture
def make(provider, cache_dir):
    """Return a function that creates models of the stand-in with the cache on, and close them after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda name, *model_id: stack.enter_context(
            model_of(name, provider.base_url, cache_dir, *model_id)
        )


# -- every provider -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_text(make, provider, name):
    """The second call is a hit. Synchronous and asynchronous methods share their entries."""
    model = make(name)
    fresh, hit = model.get_text_sync(QUESTION, "Be brief."), model.get_text_sync(QUESTION, "Be brief.")
    assert (fresh.cached, hit.cached, hit) == (False, True, fresh)
    assert asyncio.run(model.get_text(QUESTION, "Be brief.")).cached
    assert provider.calls == 1


@pytest.mark.parametrize("name", NAMES)
def test_text_inside_a_running_event_loop(make, name):
    """As in a notebook. The calls of one loop after another use the same connections."""
    model = make(name)

    async def cell(number):
        return model.get_text_sync(ask(f"Question {number}?")).content

    assert len({asyncio.run(cell(number)) for number in range(3)}) == 3


@pytest.mark.parametrize("name", NAMES)
def test_objects(make, provider, name):
    """The answer is validated before it is stored, and again on a hit."""
    provider._answer = lambda _: '{"city": "Paris", "people": 2100000}'
    model = make(name)
    fresh, hit = (model.get_json_sync(City, QUESTION) for _ in range(2))
    assert fresh.output == hit.output == City(city="Paris", people=2_100_000)
    assert (fresh.cached, hit.cached, provider.calls) == (False, True, 1)
    assert model.get_json_sync(City.model_json_schema(), QUESTION).output == fresh.output.model_dump()


@pytest.mark.parametrize("name", NAMES)
def test_streams(make, provider, name):
    """The events are those that the asynchronous method yields, from the provider and from the cache."""
    model = make(name)
    fresh, hit = (list(model.stream_text_sync(QUESTION)) for _ in range(2))
    assert fresh == hit
    assert [events[-1].response.cached for events in (fresh, hit)] == [False, True]
    assert "".join(event.text for event in fresh) == model.get_text_sync(QUESTION).content
    assert provider.calls == 1

    async def events():
        return [event async for event in model.stream_text(QUESTION)]

    assert asyncio.run(events()) == hit


@pytest.mark.parametrize("name", WITH_EMBEDDINGS)
def test_embeddings(make, provider, name):
    """The vectors are lists, or the rows of an array."""
    model_id = {
        "openai": "text-embedding-3-small",
        "gemini": "gemini-embedding-001",
        "bedrock": "cohere.embed-english-v3",
    }
    model = make(name, model_id[name])
    vectors = model.embed_sync(["one", "two", "one"])
    assert (len(vectors), vectors[0]) == (3, vectors[2])
    rows = model.embed_sync(["two", "one"], as_array=True)
    assert np.array_equal(rows, np.array([vectors[1], vectors[0]], rows.dtype))
    assert provider.calls == 1


@pytest.mark.parametrize("name", NAMES)
def test_an_error_of_the_provider(make, provider, cache_dir, name):
    """It is the SDK's own, and nothing is stored. A stream raises it where it breaks."""
    model = make(name)
    for call in (
        lambda: model.get_text_sync(QUESTION),
        lambda: model.get_json_sync(City, QUESTION),
        lambda: list(model.stream_text_sync(QUESTION)),
    ):
        provider.fail_next(429)
        with pytest.raises(ERRORS[name]):
            call()
    assert entry_files(cache_dir) == []
    assert not model.get_text_sync(QUESTION).cached


@pytest.mark.parametrize("name", NAMES)
def test_fifty_threads_make_one_call(make, provider, name):
    """Each thread gets the response."""
    provider._latency_seconds = 0.2
    model = make(name)
    responses = in_threads(50, lambda: model.get_text_sync(QUESTION))
    assert len({response.content for response in responses}) == 1
    assert provider.calls == 1


def connections_to(provider):
    """Return the open sockets of this process whose other end is a provider."""
    port, found = urlsplit(provider.base_url).port, []
    for each in gc.get_objects():
        if isinstance(each, socket.socket) and each.family == socket.AF_INET:
            with contextlib.suppress(OSError):
                if each.getpeername()[1] == port:
                    found.append(each)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_closed_model_leaves_no_connection(provider, cache_dir, name):
    """It may be closed in any thread, and can be used again."""
    model = model_of(name, provider.base_url, cache_dir)
    for number in range(2):
        with model:
            in_threads(3, lambda number=number: model.get_text_sync(ask(f"Question {number}?")))
            list(model.stream_text_sync(ask(f"Stream {number}?")))
            assert connections_to(provider)
        assert connections_to(provider) == []
    model.get_text_sync(ask("Once more?"))
    asyncio.run(close_from_a_loop(model))
    assert connections_to(provider) == []
    assert provider.calls == 5


async def close_from_a_loop(model):
    model.close()


# -- streams that stop early ----------------------------------------------------------------------------------


class SlowProvider(EchoProvider):
    """A provider that sends one event and then waits until it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.ended = threading.Event(), threading.Event()
        self.closed_in = None

    async def call(self, _request):
        self.calls += 1
        await self._wait()

    async def stream(self, _request):
        self.calls += 1
        yield {"said": "Well,"}
        await self._wait()

    async def _wait(self):
        self.loop = asyncio.get_running_loop()
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()

    def read_event(self, raw_event):
        return StreamEvent("text", raw_event["said"])

    def gather(self, events):
        return {"said": "".join(event["said"] for event in events)}

    async def aclose(self):
        self.closed_in = asyncio.get_running_loop()


@pytest.fixture
def slow():
    return SlowProvider()


@pytest.fixture
def slow_model(slow, cache_dir):
    return Model("slow", slow, enable_cache=True, cache_dir=cache_dir)


def test_a_closed_stream_cancels_the_call(slow, slow_model, cache_dir):
    """Nothing is stored."""
    with contextlib.closing(slow_model.stream_text_sync(QUESTION)) as events:
        assert next(events).text == "Well,"
        assert slow.started.wait(SECONDS)
    assert slow.ended.is_set()
    assert entry_files(cache_dir) == []


def test_a_dropped_stream_cancels_the_call(slow, slow_model, cache_dir):
    """The program does not wait for it."""
    for event in slow_model.stream_text_sync(QUESTION):
        assert event.text == "Well,"
        break
    assert slow.ended.wait(SECONDS)
    assert entry_files(cache_dir) == []


@pytest.mark.parametrize("name", ["openai", "anthropic", "bedrock"])
def test_a_stream_of_an_sdk_stops_early(make, provider, name):
    """The connection is closed with it, and the next call makes a request of its own."""
    provider._answer = lambda _: "and so on " * 1000
    model = make(name)
    with contextlib.closing(model.stream_text_sync(QUESTION)) as events:
        assert any(event.text for event in events)
    assert not model.has_entry(QUESTION)
    assert list(model.stream_text_sync(QUESTION))[-1].type == "end"
    assert provider.calls == 2


def test_a_stream_that_others_wait_for_goes_on(make, provider):
    """Its first reader stops, and the other one gets the whole response."""
    piece = {"choices": [{"index": 0, "delta": {"content": "Python is"}}]}
    rest = {"choices": [{"index": 0, "delta": {"content": " a language."}, "finish_reason": "stop"}]}
    gate = send_next(provider, server_sent([piece]), server_sent([rest]) + b"data: [DONE]\n\n")
    model, heard = make("openai"), []
    first = model.stream_text_sync(QUESTION)
    assert next(first).text == "Python is"
    other = threading.Thread(target=lambda: heard.extend(model.stream_text_sync(QUESTION)))
    other.start()
    while waiters(model) < 2:
        time.sleep(0.01)
    first.close()
    gate.set()
    other.join(SECONDS)
    assert "".join(event.text for event in heard) == "Python is a language."
    assert provider.calls == 1


def waiters(model):
    """Return how many callers wait for the only running call of a model."""
    (flight,) = model.cache.calls.single_flight._flights.values()
    return len(flight.waiters)


def test_a_provider_of_your_own_is_closed_in_the_loop_of_its_calls(slow, slow_model):
    """There its connections were opened."""
    with slow_model, contextlib.closing(slow_model.stream_text_sync(QUESTION)) as events:
        next(events)
        assert slow.started.wait(SECONDS)
    assert slow.closed_in is slow.loop


# -- beside asynchronous code ---------------------------------------------------------------------------------


def test_synchronous_and_asynchronous_callers_share_a_call(make, provider):
    """Threads, two event loops and streams ask the same question at the same time."""
    provider._latency_seconds = 0.3
    model = make("openai")

    async def ask_often():
        async with model:
            return await asyncio.gather(*(model.get_text(QUESTION) for _ in range(5)))

    calls = iter(
        [lambda: asyncio.run(ask_often())[0].content] * 2
        + [lambda: model.get_text_sync(QUESTION).content] * 10
        + [lambda: list(model.stream_text_sync(QUESTION))[-1].response.content] * 10
    )

    def call_next():
        return next(calls)()

    contents = in_threads(22, call_next)
    assert len(set(contents)) == 1
    assert provider.calls == 1


def test_different_questions_of_many_threads(make, provider):
    """Each thread gets the response to its question."""
    model, numbers = make("openai"), iter(range(50))

    def one():
        question = f"Question {next(numbers)}?"
        return question, model.get_text_sync(ask(question)).content

    results = in_threads(50, one)
    assert all(f"You asked: {question} (" in content for question, content in results)
    assert provider.calls == 50


async def test_the_thread_of_the_event_loop_may_make_synchronous_calls(make, provider):
    """They block it, and its own calls go on afterwards."""
    model = make("openai")
    async with model:
        task = asyncio.create_task(model.get_text(ask("One?")))
        await asyncio.sleep(0)
        assert "Two?" in model.get_text_sync(ask("Two?")).content
        assert "One?" in (await task).content


def test_replay(make, provider, cache_dir):
    """A miss is an error before anything is sent, for every method."""
    model = make("openai")
    model.get_text_sync(QUESTION)
    assert model.get_text_sync(QUESTION, cache="replay").cached
    for call in (
        lambda: model.get_text_sync(ask("Never asked?"), cache="replay"),
        lambda: model.get_json_sync(City, ask("Never asked?"), cache="replay"),
        lambda: next(model.stream_text_sync(ask("Never asked?"), cache="replay")),
        lambda: model.embed_sync(["Never embedded."], cache="replay"),
    ):
        with pytest.raises(CacheMissError):
            call()
    assert provider.calls == 1


def test_arguments_are_checked(make):
    """As by the asynchronous methods. A wrong argument of a stream is an error at once."""
    model = make("openai")
    with pytest.raises(TypeError, match="messages"):
        model.get_text_sync("What is Python?")
    with pytest.raises(TypeError, match="messages"):
        model.stream_text_sync("What is Python?")
    with pytest.raises(TypeError, match="texts must be a list"):
        model.embed_sync("one")
    with pytest.raises(ValueError, match="cache='never'"):
        model.get_text_sync(QUESTION, cache="never")


@pytest.mark.parametrize(
    ("method", "twin"),
    [(name, f"{name}_sync") for name in ("get_text", "get_json", "stream_text", "embed")],
)
def test_both_methods_take_the_same_arguments(method, twin):
    """Only what they return differs."""
    one, other = (inspect.signature(getattr(Model, name)) for name in (method, twin))
    assert one.parameters == other.parameters


def test_texts_are_listed_in_the_thread_of_the_caller(make):
    """A generator may hold what belongs to that thread, such as a cursor of SQLite, and make synchronous calls."""
    model, threads = make("openai", "text-embedding-3-small"), []

    def texts():
        threads.append(threading.get_ident())
        yield make("openai").get_text_sync(QUESTION).content

    assert len(model.embed_sync(texts())) == 1
    assert threads == [threading.get_ident()]


def test_context_variables_reach_the_provider(cache_dir):
    """An SDK that traces calls sees the span of the caller."""
    variable, seen = ContextVar("variable"), []

    class TracingModel(EchoModel):
        def __init__(self, **options):
            super().__init__("m", **options)
            ask_provider = self.echo.call

            async def call(request):
                seen.append(variable.get())
                return await ask_provider(request)

            self.echo.call = call

    model = TracingModel(enable_cache=True, cache_dir=cache_dir)
    variable.set("span")
    model.get_text_sync(QUESTION)
    assert seen == ["span"]


# -- agents ---------------------------------------------------------------------------------------------------


def test_an_agent(make, provider):
    """Its synchronous tools may make synchronous calls, because they run in threads."""
    model = make("openai")

    def get_weather(city: str) -> str:
        """Return the weather in a city."""
        return model.get_text_sync(ask(f"The weather in {city}?")).content

    agent = Agent(AgentConfig(model=model, tools=[get_weather]))
    assert "You asked: The weather in" in agent.run_sync("Use get_weather for Paris.")
    assert agent.get_cost_stats().calls == 2


def test_an_asynchronous_tool_must_not_make_a_synchronous_call(make):
    """It would wait for the event loop that it blocks. The model receives the error."""
    model = make("openai")

    async def get_weather(city: str) -> str:
        """Return the weather in a city."""
        return model.get_text_sync(ask(f"The weather in {city}?")).content

    answer = Agent(AgentConfig(model=model, tools=[get_weather])).run_sync("Use get_weather for Paris.")
    assert "await the async method instead" in answer


def test_many_agents_wait_in_their_tools(make):
    """Every tool gets a thread. Otherwise, tools that wait for a call could keep the call from looking up an address."""
    model, numbers, all_run = make("openai"), iter(range(40)), threading.Barrier(40)

    def get_weather(city: str) -> str:
        """Return the weather in a city."""
        all_run.wait(SECONDS / 2)
        return model.get_text_sync(ask(f"The weather in {city}?")).content

    def run():
        agent = Agent(AgentConfig(model=model, tools=[get_weather]))
        return agent.run_sync(f"Use get_weather for Paris, number {next(numbers)}.")

    assert all("You asked: The weather in" in answer for answer in in_threads(40, run))
