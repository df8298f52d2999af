"""Concurrent calls to all providers, many of which fail or are cancelled: no wrong response, and nothing leaks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import re
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from spark_cache.models import AnthropicModel, BedrockModel, GeminiModel, OpenAIModel
from spark_cache.testing import StandInProvider

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spark_cache import Model

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files in /proc")

_CALLS = 200
_QUESTIONS = 120
_FAILING = 0.3
_CANCELLED = 0.2
_KINDS = ("text", "stream", "json")
_SCHEMA = {"type": "object", "properties": {"question": {"type": "integer"}}, "required": ["question"]}
_SDKS = frozenset({"openai", "anthropic", "google", "botocore"})


def _fails(question: int) -> bool:
    return question % 10 < _FAILING * 10


def _answer(body: Mapping[str, Any]) -> str:
    """Return the number of the question after a delay, or fail."""
    question = int(re.search(r"Question (\d+)", json.dumps(body))[1])
    time.sleep(0.02 + question % 7 / 100)
    if _fails(question):
        raise RuntimeError("this question fails")
    return json.dumps({"question": question})


def _models(base_url: str, cache_dir: Path) -> list[Model]:
    """Return a model of each provider, and a second OpenAI model that uses the Responses API."""
    address = base_url.removesuffix("/v1")
    cache = {"enable_cache": True, "cache_dir": cache_dir}
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    once = {"api_key": "test", "max_retries": 0}
    return [
        OpenAIModel("gpt-4o", client_args={"base_url": base_url, **once}, **cache),
        OpenAIModel("gpt-4o", api="responses", client_args={"base_url": base_url, **once}, **cache),
        AnthropicModel("claude-sonnet-5", client_args={"base_url": address, **once}, **cache),
        BedrockModel(
            "us.amazon.nova-lite-v1:0",
            boto_session=session,
            endpoint_url=address,
            client_args={"config": Config(retries={"total_max_attempts": 1})},
            **cache,
        ),
        GeminiModel(
            "gemini-2.5-flash",
            client_args={"api_key": "test", "http_options": {"base_url": address}},
            **cache,
        ),
    ]


async def _ask(model: Model, kind: str, question: int) -> int:
    """Make one call and return the number in its response."""
    messages = [{"role": "user", "content": f"Question {question}"}]
    if kind == "json":
        number: int = (await model.get_json(_SCHEMA, messages)).output["question"]
        return number
    if kind == "text":
        text = (await model.get_text(messages)).content
    else:
        async with contextlib.aclosing(model.stream_text(messages)) as events:
            text = "".join([event.text async for event in events])
    return int(json.loads(text)["question"])


async def _storm(models: list[Model], chance: random.Random) -> Counter[str]:
    """Make all calls concurrently, several for most questions, cancel some, and return how they ended."""
    ends: Counter[str] = Counter()

    async def call(number: int) -> None:
        question = number % _QUESTIONS
        asked = asyncio.ensure_future(_ask(models[question % len(models)], chance.choice(_KINDS), question))
        if chance.random() < _CANCELLED:
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            asked.cancel()
        try:
            answered = await asked
        except asyncio.CancelledError:
            ends["cancelled"] += 1
        except Exception as error:
            of_sdk = type(error).__module__.partition(".")[0] in _SDKS
            ends["failed" if _fails(question) and of_sdk else f"wrong: {error!r}"] += 1
        else:
            right = answered == question and not _fails(question)
            ends["answered" if right else f"wrong: {answered} for {question}"] += 1

    async with asyncio.timeout(120):
        await asyncio.gather(*(call(number) for number in range(_CALLS)))
    return ends


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2])
async def test_many_mixed_calls(tmp_path, seed):
    """If 30 % of 200 calls fail and 20 % are cancelled, the others are right, no error is stored, and nothing leaks."""
    cache_dir = tmp_path / "cache"
    with StandInProvider(answer=_answer) as provider:
        before = await _used_by(provider.base_url, cache_dir)
        models = _models(provider.base_url, cache_dir)
        ends = await _storm(models, random.Random(seed))
        for model in models:
            await model.aclose()

        assert ends.total() == _CALLS
        assert ends.keys() == {"answered", "failed", "cancelled"}
        assert ends["answered"] > _CALLS / 3
        stored = [json.loads(path.read_text()) for path in cache_dir.glob("*/*/*.json")]
        assert stored
        assert not [entry for entry in stored if _fails(json.loads(entry["content"])["question"])]
        async with asyncio.timeout(20):
            # An exception keeps its frames, including boto3's connections, alive until it is garbage-collected.
            while not _no_more_than(before, cache_dir) or provider._server._connections:  # noqa: ASYNC110 - nothing signals their end
                await asyncio.sleep(0.05)


async def test_stored_responses_need_no_provider(tmp_path):
    """A response stored from a stream answers an unstreamed call after the provider has stopped."""
    with StandInProvider(answer=_answer) as provider:
        models = _models(provider.base_url, tmp_path / "cache")
        first = [await _ask(model, "stream", 5) for model in models]
        for model in models:
            await model.aclose()
    again = _models(provider.base_url, tmp_path / "cache")
    assert [await _ask(model, "text", 5) for model in again] == first == [5] * len(models)


async def _used_by(base_url: str, cache_dir: Path) -> tuple[int, int, int]:
    """Use and close every SDK, then return the number of threads, tasks and open files of this process."""
    models = _models(base_url, cache_dir)
    for model in models:
        await _ask(model, "text", 999)
        await model.aclose()
    # The thread of the savings ledger ends within a second.
    await asyncio.sleep(1.2)
    return _used(cache_dir)


def _used(cache_dir: Path) -> tuple[int, int, int]:
    gc.collect()
    # The threads of the event loop, in which the SDKs resolve addresses, live as long as the loop.
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    # The cache may keep a few of its own files open, so they are not counted.
    files = [path for path in map(_opened_path, os.listdir("/proc/self/fd")) if str(cache_dir) not in path]
    return len(threads), len(asyncio.all_tasks()), len(files)


def _opened_path(descriptor: str) -> str:
    """Return the path of a file descriptor; the descriptor of the listing itself is already closed."""
    with contextlib.suppress(FileNotFoundError):
        return os.readlink(f"/proc/self/fd/{descriptor}")
    return ""


def _no_more_than(before: tuple[int, int, int], cache_dir: Path) -> bool:
    return all(now <= then for now, then in zip(_used(cache_dir), before, strict=True))
