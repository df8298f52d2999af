"""Helpers for the manager's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache import CacheConfig, CacheManager

if TYPE_CHECKING:
    from pathlib import Path

ANSWER = {
    "content": "The capital of France is Paris.",
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 15, "output_tokens": 8, "total_tokens": 23},
}
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """Return the time in seconds since the epoch."""
        return self.now


def manager_of(cache_dir: Path, *, clock: Clock | None = None, **values: Any) -> CacheManager:
    """Return an independent manager of a directory, with the cache on."""
    config = CacheConfig(**{"enabled": True, "cache_dir": cache_dir, **values})
    return CacheManager(config) if clock is None else CacheManager(config, clock=clock)


def fill(manager: CacheManager, *names: str) -> None:
    """Store a response under each ``provider/model/key``."""
    for name in names:
        provider, model_id, key = name.split("/")
        assert manager.set(key, provider, model_id, {}, ANSWER)
