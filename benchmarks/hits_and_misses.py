"""Measure a hit and a miss of ``get`` and ``get_text``, in microseconds. The provider answers at once, so its time is not included.

A miss of ``get_text`` is measured with the put that follows it, without it (``should_cache`` returns False), and in
``read-only`` mode, which takes no lease. To compare two checkouts, run both in turn, several times::

    python -m benchmarks.hits_and_misses [ROUNDS]
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache import CacheConfig, Model, ModelResponse
from spark_cache.models import Provider, Usage

if TYPE_CHECKING:
    from spark_cache.types import Request

_CALLS = 400
# In memory where there is such a place: creating a file takes longer than all the rest, and varies most.
_PARENT = "/dev/shm" if os.path.isdir("/dev/shm") else None
_CONTENT = "y" * 1000
_RAW = {
    "id": "x",
    "choices": [{"message": {"role": "assistant", "content": _CONTENT}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
}


class _Instant(Provider):
    """A provider that answers at once."""

    name = "instant"

    async def call(self, request: Request) -> Any:  # noqa: ARG002 - the answer is always the same
        """Return the answer."""
        return _RAW

    def read(self, raw: Any) -> ModelResponse:
        """Read the answer."""
        return ModelResponse(_CONTENT, "end_turn", Usage(10, 20, 30), raw=raw)


def _question(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"{number:07d} " + "w" * 580}]


def _model(directory: str, mode: str = "read-write", **options: Any) -> Model:
    config = CacheConfig(enabled=True, cache_dir=directory, mode=mode, allow_plaintext=True)
    return Model("m1", _Instant(), cache_config=config, **options)


async def _time_calls(model: Model, first: int) -> float:
    questions = [_question(first + number) for number in range(_CALLS)]
    started = perf_counter()
    for question in questions:
        await model.get_text(question)
    return (perf_counter() - started) / _CALLS * 1e6


def _time_lookups(model: Model, first: int) -> float:
    keys = [model.cache_key(_question(first + number)) for number in range(_CALLS)]
    started = perf_counter()
    for key in keys:
        model.cache.get(key)
    return (perf_counter() - started) / _CALLS * 1e6


async def _measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=_PARENT) as folder:
        model = _model(f"{folder}/cache")
        await _time_calls(model, 0)
        figures = {
            "hit of get_text": await _time_calls(model, 0),
            "hit of get": _time_lookups(model, 0),
            "miss of get": _time_lookups(model, 10**6),
            "miss of get_text, with its put": await _time_calls(model, 2 * 10**6),
        }
        model.cache.flush()
        kept_out = _model(f"{folder}/kept-out", should_cache=lambda *_: False)
        figures["miss of get_text, not stored"] = await _time_calls(kept_out, 0)
        kept_out.cache.flush()
        figures["miss of get_text, read-only"] = await _time_calls(_model(f"{folder}/read", "read-only"), 0)
        return figures


if __name__ == "__main__":
    rounds = [asyncio.run(_measure()) for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 7)]
    for name in rounds[0]:
        print(f"{median(figures[name] for figures in rounds):7.1f} µs  {name}")
