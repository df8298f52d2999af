"""Callers that give up harm nobody: many calls, many of them cancelled, on few keys."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from spark_cache import CacheConfig, Model, ModelResponse

if TYPE_CHECKING:
    from spark_cache.types import Request

_CALLS = 20_000
_CANCELLED = 0.3
_FAILING = 0.1
_KEYS = 400
_USED_TO_IT = 2000
"""After as many calls, everything that a program keeps open is open."""


class _FailedError(Exception):
    """What the provider of this test answers now and then."""


class _Parrot(Model):
    """A model that takes a moment, fails now and then, and says what it was asked."""

    provider = "parrot"

    def __init__(self, chance: random.Random, **options: Any) -> None:
        super().__init__("grey", **options)
        self._chance = chance
        self.calls = 0
        self.under_way = 0

    def _endpoint(self) -> str | None:
        return None

    async def _call(self, request: Request) -> Any:
        self.calls += 1
        self.under_way += 1
        try:
            await asyncio.sleep(self._chance.uniform(0.0, 0.01))
        finally:
            self.under_way -= 1
        if self._chance.random() < _FAILING:
            raise _FailedError(request.messages[0]["content"])
        return {"said": request.messages[0]["content"]}

    def _read(self, raw: Any) -> ModelResponse:
        return ModelResponse(content=raw["said"], stop_reason="end_turn", usage=None, raw=raw)


async def test_cancelled_calls_harm_nobody(tmp_path):
    """Of 20,000 calls 30 % are cancelled at random: the others get the right answer or the provider's error, and nothing is left."""
    idle = threading.active_count()
    chance = random.Random(11)
    config = CacheConfig(enabled=True, cache_dir=tmp_path / "cache", max_cache_size_mb=None)
    model = _Parrot(chance, cache_config=config)
    ends: Counter[str] = Counter()

    async def call(number: int) -> None:
        question = f"question {number % _KEYS}"
        asked = asyncio.ensure_future(
            # Some ask anew, so that there are always calls to share.
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
            if begin == _USED_TO_IT:
                before = await _settled(model, idle)
            await asyncio.gather(*(call(number) for number in range(begin, begin + 500)))
    assert ends.total() == _CALLS
    assert ends.keys() == {"answered", "failed", "cancelled"}
    directory = model.cache._entries.directory
    assert directory.key_locks is not None
    assert not directory.key_locks._held
    assert not directory.single_flight._calls
    # Fewer is as well: what other tests of this process left behind may have ended meanwhile.
    after = await _settled(model, idle)
    assert all(now <= then for now, then in zip(after, before, strict=True)), (before, after)
    for number in range(_KEYS):
        again = await model.get_text([{"role": "user", "content": f"question {number}"}], cache="read-only")
        assert again.content == f"question {number}"


async def _settled(model: _Parrot, idle: int) -> tuple[int, int, int]:
    """Open files, threads and tasks, once everything that was under way has ended."""
    while model.under_way:  # noqa: ASYNC110 - a call whose last waiter left ends at its next step
        await asyncio.sleep(0.001)
    model.cache.flush()
    async with asyncio.timeout(10):
        while threading.active_count() > idle:  # noqa: ASYNC110 - what is written later is written by a timer
            await asyncio.sleep(0.01)
    return _open_files(), threading.active_count(), len(asyncio.all_tasks())


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files by /proc")
