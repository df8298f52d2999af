"""A cache whose clock and calls are scripted, shared by the savings tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from spark_cache import CacheConfig, CacheManager

if TYPE_CHECKING:
    from pathlib import Path


def usage(
    inputs: int, outputs: int, *, cached: int = 0, written: int = 0, reasoning: int = 0
) -> dict[str, int]:
    """Return the usage of a call, as a stored response has it."""
    return {
        "input_tokens": inputs,
        "output_tokens": outputs,
        "total_tokens": inputs + outputs,
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "reasoning_tokens": reasoning,
    }


class ScriptedCache:
    """A cache with a manual clock."""

    def __init__(self, cache_dir: Path, now: datetime) -> None:
        self.cache_dir = cache_dir
        self.now = now
        self._requests = 0
        self.manager = self.another()

    def _clock(self) -> float:
        return self.now.timestamp()

    def another(self, **values: Any) -> CacheManager:
        """Return another manager of this cache, with other settings."""
        config = CacheConfig(**{"enabled": True, "cache_dir": self.cache_dir, **values})
        return CacheManager(config, clock=self._clock)

    def next_day(self) -> None:
        """Advance the clock by one day."""
        self.now += timedelta(days=1)

    def answered(
        self,
        provider: str,
        model: str,
        consumed: dict[str, int] | None,
        *,
        hits: int,
        seconds: float | None = None,
    ) -> None:
        """Look up a new request, which misses, store its response, and then hit it ``hits`` times."""
        self._requests += 1
        key = self.manager.generate_cache_key(provider, model, f"Question {self._requests}")
        assert self.manager.get(key) is None
        answer = {
            "content": "Paris.",
            "stop_reason": "end_turn",
            "usage": consumed,
            "latency_seconds": seconds,
        }
        assert self.manager.set(key, provider, model, {}, answer)
        for _ in range(hits):
            assert self.manager.get(key) == answer
