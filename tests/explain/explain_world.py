"""Helpers for the tests of explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache import CacheConfig, CacheManager
from spark_cache.providers.known import plain_request

if TYPE_CHECKING:
    from pathlib import Path

    from spark_cache.explain import Explanation
    from spark_cache.types import Request

ANSWER = {"content": "Yes.", "stop_reason": "end_turn", "usage": None}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """Return the time in seconds since the epoch."""
        return self.now


class World:
    """A cache, used as a model uses it. It stores requests unless configured otherwise."""

    def __init__(self, cache_dir: Path, clock: Clock, **values: Any) -> None:
        config = CacheConfig(**{"enabled": True, "cache_dir": cache_dir, "store_requests": True, **values})
        self.manager = CacheManager(config, clock=clock)

    def store(self, request: Request, *, sensitive: bool = False) -> str:
        """Store a response as a model does, and return the name of the entry."""
        plan = self.manager.calls.plan(request, sensitive=sensitive)
        self.manager.calls.store([(plan, request, ANSWER)])
        name = self.manager.calls.entry_name(plan)
        assert name is not None
        return name

    def miss(self, request: Request, *, sensitive: bool = False) -> str:
        """Look up a request that misses as a model does, and return the name that its entry would have."""
        plan = self.manager.calls.plan(request, sensitive=sensitive)
        assert not hasattr(self.manager.calls.look_up(plan), "response")
        name = self.manager.calls.entry_name(plan)
        assert name is not None
        return name

    def explain(self, request: Request, **options: Any) -> Explanation:
        """Explain a request."""
        return self.manager.explain(request, **options)


def request_to(provider: str, model_id: str, messages: Any, **parts: Any) -> Request:
    """Return the request that a model would send, with its parameters under ``parameters``."""
    given: dict[str, Any] = {
        "system_prompt": None,
        "tool_specs": None,
        "tool_choice": None,
        "output_schema": None,
        "operation": "text",
        "endpoint": None,
        "sample": None,
        "parameters": {},
        **parts,
    }
    return plain_request(provider, model_id, messages, environ={}, **given)


def make_request(text: str, provider: str = "openai", model_id: str = "gpt-4o", **parts: Any) -> Request:
    """Return a request with one message."""
    return request_to(provider, model_id, [{"role": "user", "content": text}], **parts)


def differences(explanation: Explanation) -> list[str]:
    """Return the differences of an explanation as text."""
    return [str(difference) for difference in explanation.differences]
