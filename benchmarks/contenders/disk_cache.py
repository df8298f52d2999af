"""diskcache with the fastest key that its users write by hand: SHA-256 of orjson's canonical JSON."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import diskcache
import orjson

from benchmarks.contenders.base import Keeper
from benchmarks.workload import answer

if TYPE_CHECKING:
    from benchmarks.workload import Request

__all__ = ["DiskCache"]

_NO_CAP = 2**40


class DiskCache(Keeper):
    """``diskcache.Cache`` with its default settings."""

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        self._cache = diskcache.Cache(directory, size_limit=cap_bytes or _NO_CAP)
        self._answer = answer()

    def get(self, prepared: Request) -> Any:
        """Call ``Cache.get``.

        Args:
            prepared: The request.
        """
        return self._cache.get(_key(prepared))

    def put(self, prepared: Request) -> None:
        """Call ``Cache.set``.

        Args:
            prepared: The request.
        """
        self._cache.set(_key(prepared), self._answer)

    def text(self, found: Any) -> str:
        """Return the content.

        Args:
            found: The stored response.
        """
        return str(found["content"])

    def put_expiring(self, prepared: Request) -> None:
        """Store with automatic culling disabled, so that the entry stays until :meth:`clean_up`.

        Args:
            prepared: The request.
        """
        usual, self._cache.cull_limit = self._cache.cull_limit, 0
        self._cache.set(_key(prepared), self._answer, expire=0.001)
        self._cache.cull_limit = usual

    def clean_up(self) -> int:
        """Call ``Cache.expire``."""
        return int(self._cache.expire(now=time.time()))

    def count(self) -> int:
        """Call ``len`` and ``Cache.volume``."""
        self._cache.volume()
        return len(self._cache)

    def size_bytes(self) -> int:
        """Call ``Cache.volume``."""
        return int(self._cache.volume())


def _key(request: Request) -> str:
    return sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()
