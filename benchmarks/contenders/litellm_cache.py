"""LiteLLM's disk cache."""

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
    """A ``Cache`` of type ``disk``: ``get_cache`` and ``add_cache`` with the arguments of a completion.

    By default, LiteLLM does not cache requests with more than four messages; this limit is lifted.
    """

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        self._cache = Cache(type=LiteLLMCacheType.DISK, disk_cache_dir=directory, max_messages=None)
        self._response = response()

    def get(self, prepared: Request) -> Any:
        """Call ``get_cache``.

        Args:
            prepared: The request.
        """
        return self._cache.get_cache(**prepared)

    def put(self, prepared: Request) -> None:
        """Call ``add_cache``.

        Args:
            prepared: The request.
        """
        self._cache.add_cache(self._response, **prepared)

    def text(self, found: Any) -> str:
        """Return the content of the first choice.

        Args:
            found: The stored response.
        """
        return str(found["choices"][0]["message"]["content"])
