"""spark-cache, called through its manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contenders.base import Keeper
from benchmarks.workload import answer
from spark_cache import CacheConfig, CacheManager

if TYPE_CHECKING:
    from benchmarks.workload import Request

__all__ = ["Spark", "configuration"]

_A_DAY = 86_400


class Spark(Keeper):
    """A ``CacheManager``: ``generate_cache_key``, then ``get`` or ``set``."""

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        self._manager = CacheManager(configuration(directory, cap_bytes))
        self._answer = answer()

    def prepare(self, request: Request) -> dict[str, Any]:
        """Rename the parameters to those of ``generate_cache_key``.

        Args:
            request: The request.
        """
        return {"model_id" if name == "model" else name: value for name, value in request.items()}

    def get(self, prepared: dict[str, Any]) -> Any:
        """Compute the key and look up the entry.

        Args:
            prepared: The arguments of ``generate_cache_key``.
        """
        return self._manager.get(self._manager.generate_cache_key("openai", **prepared))

    def put(self, prepared: dict[str, Any]) -> None:
        """Compute the key and store the response.

        Args:
            prepared: The arguments of ``generate_cache_key``.
        """
        self._put(prepared, None)

    def text(self, found: Any) -> str:
        """Return the content.

        Args:
            found: The stored response.
        """
        return str(found["content"])

    def put_expiring(self, prepared: dict[str, Any]) -> None:
        """Store the response with a TTL of one millisecond.

        Args:
            prepared: The arguments of ``generate_cache_key``.
        """
        self._put(prepared, 0.001)

    def clean_up(self) -> int:
        """Call ``cleanup_expired``."""
        return self._manager.cleanup_expired()

    def count(self) -> int:
        """Call ``get_stats``."""
        return int(self._manager.get_stats()["total_entries"])

    def size_bytes(self) -> int:
        """Call ``get_stats``."""
        return int(self._manager.get_stats()["total_size_bytes"])

    def _put(self, prepared: dict[str, Any], ttl_seconds: float | None) -> None:
        key = self._manager.generate_cache_key("openai", **prepared)
        if not self._manager.set(key, "openai", prepared["model_id"], prepared, self._answer, ttl_seconds):
            raise RuntimeError("the response was not stored")


def configuration(directory: str, cap_bytes: int | None) -> CacheConfig:
    """Return the built-in defaults, but without automatic cleanup or eviction during a measurement.

    Args:
        directory: The cache directory.
        cap_bytes: The size cap, in bytes; None for no cap.
    """
    return CacheConfig(
        enabled=True,
        cache_dir=directory,
        max_cache_size_mb="unlimited" if cap_bytes is None else cap_bytes / 2**20,
        cleanup_interval_seconds=_A_DAY,
        endpoint="benchmark",
    )
