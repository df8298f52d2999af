"""Everything at once: all providers, all kinds of calls, with failures and cancellations among them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time

import boto3
import pytest
from botocore.config import Config
from models_world import ask, entry_files

from spark_cache import OpenAIModel
from spark_cache.models import AnthropicModel, BedrockModel, GeminiModel
from spark_cache.testing import StandInProvider

CALLS = 200
SCHEMA = {"type": "object", "properties": {"question": {"type": "integer"}}, "required": ["question"]}


def fails(question):
    return question % 10 < 3


def answer(body):
    """Answers with the question's number after a moment, or fails."""
    question = int(re.search(r"Question (\d+)", json.dumps(body))[1])
    time.sleep(0.02 + question % 7 / 100)
    if fails(question):
        raise RuntimeError("told to fail")
    return json.dumps({"question": question})


def models_of(address, cache_dir):
    """A model of each provider, and OpenAI's once more behind its other interface."""
    cached = {"enable_cache": True, "cache_dir": cache_dir}
    openai_args = {"base_url": f"{address}/v1", "api_key": "test", "max_retries": 0}
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1")
    return [
        OpenAIModel("gpt-4o", client_args=openai_args, **cached),
        OpenAIModel("gpt-4o", api="responses", client_args=openai_args, **cached),
        AnthropicModel("claude-sonnet-5", client_args={**openai_args, "base_url": address}, **cached),
        GeminiModel(
            "gemini-2.5-flash",
            client_args={"api_key": "test", "http_options": {"base_url": address}},
            **cached,
        ),
        BedrockModel(
            "amazon.nova-lite-v1:0",
            boto_session=session,
            endpoint_url=address,
            client_args={"config": Config(retries={"total_max_attempts": 1})},
            **cached,
        ),
    ]


async def call(model, kind, question):
    """One call; the number that it answers."""
    messages = ask(f"Question {question}")
    if kind == "json":
        return (await model.get_json(SCHEMA, messages)).output["question"]
    if kind == "stream":
        async with contextlib.aclosing(model.stream_text(messages)) as events:
            text = "".join([event.text async for event in events])
    else:
        text = (await model.get_text(messages)).content
    return json.loads(text)["question"]


async def storm(models):
    """Start all calls, two for each question, cancel every fifth; the question and the outcome of each."""
    tasks = []
    for number in range(CALLS):
        question = number // 2
        kind = ("text", "stream", "json")[number // 3 % 3]
        tasks.append((question, asyncio.create_task(call(models[question % len(models)], kind, question))))
    cancelled = [task for _, task in tasks[::5]]
    for number, task in enumerate(cancelled):
        asyncio.get_running_loop().call_later(number / len(cancelled) / 2, task.cancel)
    outcomes = await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
    return [(question, outcome) for (question, _), outcome in zip(tasks, outcomes, strict=True)]


async def settled(is_so):
    """Whether something comes to be so within some seconds."""
    for _ in range(200):
        if is_so():
            return True
        await asyncio.sleep(0.05)
    return False


def own_threads():
    """The threads that are running, but for those that the event loop keeps for itself."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


@pytest.mark.timeout(240)
async def test_storm(cache_dir):
    """Of 200 mixed calls at once, with failures and cancellations, none has a wrong answer, and nothing is left behind."""
    with StandInProvider(answer=answer) as provider:
        threads = own_threads()
        models = models_of(provider.base_url.removesuffix("/v1"), cache_dir)
        outcomes = await storm(models)
        for model in models:
            await model.aclose()

        for question, outcome in outcomes:
            if isinstance(outcome, asyncio.CancelledError):
                continue
            if fails(question):
                assert type(outcome).__module__.partition(".")[0] in {
                    "openai",
                    "anthropic",
                    "google",
                    "botocore",
                }
            else:
                assert outcome == question, outcome
        assert sum(isinstance(outcome, int) for _, outcome in outcomes) > CALLS / 3

        entries = [json.loads(path.read_text()) for path in entry_files(cache_dir)]
        assert entries
        assert not any(fails(json.loads(entry["content"])["question"]) for entry in entries)

        assert await settled(lambda: len(asyncio.all_tasks()) == 1)
        assert await settled(lambda: not provider._server._connections)
        assert await settled(lambda: not own_threads() - threads)


async def test_after_the_storm(cache_dir):
    """What the storm stored answers equal calls without the provider."""
    with StandInProvider(answer=answer) as provider:
        address = provider.base_url.removesuffix("/v1")
        models = models_of(address, cache_dir)
        first = [await call(model, "stream", 5) for model in models]
        for model in models:
            await model.aclose()
    again = models_of(address, cache_dir)
    assert [await call(model, "text", 5) for model in again] == first == [5] * len(models)
