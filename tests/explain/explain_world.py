"""What the tests of explanations share beside their fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache import CacheConfig, CacheManager
from spark_cache.types import Request

if TYPE_CHECKING:
    from pathlib import Path

    from spark_cache.explain import Explanation

ANSWER = {"content": "Yes.", "stop_reason": "end_turn", "usage": None}


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """The time, in seconds since the epoch."""
        return self.now


class World:
    """A cache that stores requests, unless told otherwise, with what a model would do with it."""

    def __init__(self, cache_dir: Path, clock: Clock, **values: Any) -> None:
        config = CacheConfig(**{"enabled": True, "cache_dir": cache_dir, "store_requests": True, **values})
        self.manager = CacheManager(config, clock=clock)

    def store(self, request: Request, *, sensitive: bool = False) -> str:
        """Store an answer as a model would; the name of the entry."""
        plan = self.manager.plan(request, sensitive=sensitive)
        assert self.manager.store(plan, shown(request), ANSWER)
        assert plan.name is not None
        return plan.name

    def miss(self, request: Request, *, sensitive: bool = False) -> str:
        """Ask for what is not there as a model would; the name that the entry would have."""
        plan = self.manager.plan(request, sensitive=sensitive)
        assert not hasattr(self.manager.lookup(plan), "response")
        assert plan.name is not None
        return plan.name

    def explain(self, request: Request, **options: Any) -> Explanation:
        """Explain a request."""
        return self.manager.explain(request, **options)


def shown(request: Request) -> dict[str, Any]:
    """A request in the form in which models store it."""
    parts = {
        "messages": request.messages,
        "system_prompt": request.system_prompt,
        "tool_specs": request.tool_specs,
        "tool_choice": request.tool_choice,
        "output_schema": request.output_schema,
        "sample": request.sample,
        "endpoint": request.endpoint,
        "parameters": {name: value for name, value in request.parameters.items() if value is not None},
    }
    return {name: value for name, value in parts.items() if value is not None}


def asked(text: str, provider: str = "openai", model_id: str = "gpt-4o", **parts: Any) -> Request:
    """A request of one message."""
    return Request(provider, model_id, [{"role": "user", "content": text}], **parts)


def differences(explanation: Explanation) -> list[str]:
    """The differences of an explanation, as people read them."""
    return [str(difference) for difference in explanation.differences]
