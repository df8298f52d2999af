"""LiteLLM's cache on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm.caching.caching import Cache
from litellm.types.caching import LiteLLMCacheType

from benchmarks.contenders.base import Contender
from benchmarks.contenders.dspy_cache import response

if TYPE_CHECKING:
    from benchmarks.workload import Request

__all__ = ["LiteLlm"]


class LiteLlm(Contender):
    """``Cache`` of the type ``disk``: ``get_cache`` and ``add_cache`` with the arguments of a completion.

    Its limit of four messages is lifted: requests with more are never cached by default.
    """

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        self._cache = Cache(type=LiteLLMCacheType.DISK, disk_cache_dir=directory, max_messages=None)
        self._response = response()

    def get(self, prepared: Request) -> Any:
        """``get_cache``."""
        return self._cache.get_cache(**prepared)

    def put(self, prepared: Request) -> None:
        """``add_cache``."""
        self._cache.add_cache(self._response, **prepared)

    def text(self, found: Any) -> str:
        """The content of the first choice."""
        return str(found["choices"][0]["message"]["content"])
