"""What the tests of savings share: a cache in which a day can be scripted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from spark_cache import CacheConfig, CacheManager

if TYPE_CHECKING:
    from pathlib import Path


def usage(given: int, written: int, *, cached: int = 0, reasoning: int = 0) -> dict[str, int]:
    """What a call consumed, as a stored answer has it."""
    return {
        "input_tokens": given,
        "output_tokens": written,
        "total_tokens": given + written,
        "cached_tokens": cached,
        "reasoning_tokens": reasoning,
    }


class ScriptedCache:
    """A cache whose clock goes when it is told to."""

    def __init__(self, cache_dir: Path, now: datetime) -> None:
        self.cache_dir = cache_dir
        self.now = now
        self._asked = 0
        self.manager = self.another()

    def _clock(self) -> float:
        return self.now.timestamp()

    def another(self, **values: Any) -> CacheManager:
        """Another manager of this cache, with other settings."""
        config = CacheConfig(**{"enabled": True, "cache_dir": self.cache_dir, **values})
        return CacheManager(config, clock=self._clock)

    def next_day(self) -> None:
        """Go on a day later."""
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
        """Ask a new question, which is a miss; store its answer; and have it answered so many times from the cache."""
        self._asked += 1
        key = self.manager.generate_cache_key(provider, model, f"Question {self._asked}")
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
