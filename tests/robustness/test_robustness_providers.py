"""Many calls at once over all providers, many of which fail or are given up: no wrong answer, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from spark_cache.models.anthropic import AnthropicModel
from spark_cache.models.bedrock import BedrockModel
from spark_cache.models.gemini import GeminiModel
from spark_cache.models.openai import OpenAIModel
from spark_cache.testing import StandInProvider
from spark_cache.testing.standin.transport import Reply

if TYPE_CHECKING:
    from spark_cache import Model
    from spark_cache.testing.standin.transport import Request

_CALLS = 200
_FAILING = 0.3
_CANCELLED = 0.2
_MARK = "you will fail"


class _Unreliable(StandInProvider):
    """A provider that fails whoever asks for it, and takes a moment for everybody."""

    def _respond(self, request: Request) -> Reply | None:
        reply = super()._respond(request)
        if _MARK.encode() in request.body:
            return Reply(500, {"error": {"message": "failed", "type": "stand_in"}})
        return reply


def _models(base_url: str, cache_dir: Any) -> list[Model]:
    address = base_url.removesuffix("/v1")
    cache = {"enable_cache": True, "cache_dir": cache_dir}
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    once = {"api_key": "test", "max_retries": 0}
    return [
        OpenAIModel("gpt-4o", client_args={"base_url": base_url, **once}, **cache),
        OpenAIModel("gpt-4.1", api="responses", client_args={"base_url": base_url, **once}, **cache),
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


async def _ask(model: Model, question: str, *, streamed: bool) -> str:
    messages = [{"role": "user", "content": question}]
    if not streamed:
        return (await model.get_text(messages)).content
    return "".join([event.text async for event in model.stream_text(messages)])


@pytest.mark.parametrize("seed", [1, 2])
async def test_many_mixed_calls(tmp_path, seed):
    """Of 200 calls 30 % fail and 20 % are cancelled: the others have the right answer, no error is stored, nothing leaks."""
    chance = random.Random(seed)
    ends: Counter[str] = Counter()

    async def call(model: Model, number: int) -> None:
        fails = chance.random() < _FAILING
        question = f"question {number % 60}" + (f", {_MARK}" if fails else "")
        asked = asyncio.ensure_future(_ask(model, question, streamed=chance.random() < 0.5))
        if chance.random() < _CANCELLED:
            await asyncio.sleep(chance.uniform(0.0, 0.2))
            asked.cancel()
        try:
            answer = await asked
        except asyncio.CancelledError:
            ends["cancelled"] += 1
        except Exception as error:
            # The SDK's own, whichever it is: ours all have one base.
            ends["failed" if fails and "spark_cache" not in type(error).__module__ else "wrong"] += 1
        else:
            right = f"You asked: {question} (" in answer and not fails
            ends["answered" if right else "wrong"] += 1

    with _Unreliable(latency_seconds=0.02) as provider:
        before = await _used_by(provider.base_url, tmp_path / "cache")
        models = _models(provider.base_url, tmp_path / "cache")
        async with asyncio.timeout(60):
            await asyncio.gather(*(call(models[number % len(models)], number) for number in range(_CALLS)))
        for model in models:
            await model.aclose()
        assert ends.total() == _CALLS
        assert ends.keys() == {"answered", "failed", "cancelled"}
        stored = [path.read_text() for path in (tmp_path / "cache").glob("*/*/*.json")]
        assert stored
        assert not [text for text in stored if _MARK in text]
        async with asyncio.timeout(20):
            while not _no_more_than(before):  # noqa: ASYNC110 - threads and connections end when they end
                await asyncio.sleep(0.05)


async def _used_by(base_url: str, cache_dir: Any) -> tuple[int, int, int]:
    """Threads, tasks and files of this process, once every SDK was used and closed."""
    models = _models(base_url, cache_dir)
    for model in models:
        await _ask(model, "once", streamed=False)
        await model.aclose()
    await asyncio.sleep(1.2)
    return _used()


def _used() -> tuple[int, int, int]:
    gc.collect()
    # The event loop's own threads, in which the SDKs look addresses up, live as long as the loop.
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    return len(threads), len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))


def _no_more_than(before: tuple[int, int, int]) -> bool:
    return all(now <= then for now, then in zip(_used(), before, strict=True))


pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files by /proc")
