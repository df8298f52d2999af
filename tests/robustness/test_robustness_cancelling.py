"""Cancelled calls do not affect other calls: many calls for few keys, many of them cancelled."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from spark_cache import CacheConfig, Model, ModelResponse
from spark_cache.core.directory import open_directory
from spark_cache.events import StructlogSink
from spark_cache.models import Provider

if TYPE_CHECKING:
    from spark_cache.types import Request

_CALLS = 20_000
_CANCELLED = 0.3
_FAILING = 0.1
_KEYS = 400
_WARMED_UP = 2000
"""The number of calls after which everything that a program keeps open is open."""


class _FailedError(Exception):
    """An occasional error of the provider in this test."""


class _Parrot(Provider):
    """A slow provider that repeats the question and occasionally fails."""

    name = "parrot"

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.calls = 0
        self.under_way = 0

    def endpoint(self) -> str | None:
        return None

    async def call(self, request: Request) -> Any:
        self.calls += 1
        self.under_way += 1
        try:
            await asyncio.sleep(self._chance.uniform(0.0, 0.01))
        finally:
            self.under_way -= 1
        if self._chance.random() < _FAILING:
            raise _FailedError(request.body["messages"][0]["content"])
        return {"said": request.body["messages"][0]["content"]}

    def read(self, raw: Any) -> ModelResponse:
        return ModelResponse(content=raw["said"], stop_reason="end_turn", usage=None, raw=raw)


async def test_cancelled_calls_do_not_affect_others(tmp_path):
    """If 30 % of 20,000 calls are cancelled, the others get the right response or the provider's error, and nothing leaks."""
    idle = set(threading.enumerate())
    chance = random.Random(11)
    config = CacheConfig(enabled=True, cache_dir=tmp_path / "cache", max_cache_size_mb=None)
    parrot = _Parrot(chance)
    model = Model("grey", parrot, cache_config=config)
    ends: Counter[str] = Counter()

    async def call(number: int) -> None:
        question = f"question {number % _KEYS}"
        asked = asyncio.ensure_future(
            # Some calls refresh their entry, so that there are always provider calls to share.
            model.get_text(
                [{"role": "user", "content": question}],
                cache="refresh" if number % 7 == 0 else "default",
            )
        )
        if chance.random() < _CANCELLED:
            await asyncio.sleep(chance.uniform(0.0, 0.01))
            asked.cancel()
        try:
            response = await asked
        except _FailedError as error:
            ends["failed" if str(error) == question else "wrong"] += 1
        except asyncio.CancelledError:
            ends["cancelled"] += 1
        else:
            ends["answered" if response.content == question else "wrong"] += 1

    async with asyncio.timeout(100):
        for begin in range(0, _CALLS, 500):
            if begin == _WARMED_UP:
                before = await _settled(model, parrot, idle)
            await asyncio.gather(*(call(number) for number in range(begin, begin + 500)))
    assert ends.total() == _CALLS
    assert ends.keys() == {"answered", "failed", "cancelled"}
    directory = open_directory(str(model.cache.cache_dir), config, clock=time.time, sink=StructlogSink())
    assert directory.store.leases is not None
    assert directory.store.leases.held_count == 0
    assert directory.single_flight.running_count == 0
    # The counts may be lower than before, because leftovers of other tests may have ended meanwhile.
    after = await _settled(model, parrot, idle)
    assert all(now <= then for now, then in zip(after, before, strict=True)), (before, after)
    for number in range(_KEYS):
        again = await model.get_text([{"role": "user", "content": f"question {number}"}], cache="read-only")
        assert again.content == f"question {number}"


async def _settled(model: Model, parrot: _Parrot, idle: set[threading.Thread]) -> tuple[int, int, int]:
    """Wait for all running calls to end, then return the number of open files, new threads and tasks."""
    while parrot.under_way:  # noqa: ASYNC110 - a call whose last waiter is gone ends at its next step
        await asyncio.sleep(0.001)
    model.cache.flush()
    async with asyncio.timeout(10):
        while any(isinstance(thread, threading.Timer) for thread in _since(idle)):  # noqa: ASYNC110 - it performs delayed writes
            await asyncio.sleep(0.01)
    return _open_files(), len(_since(idle)), len(asyncio.all_tasks())


def _since(idle: set[threading.Thread]) -> set[threading.Thread]:
    return set(threading.enumerate()) - idle


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files in /proc")
