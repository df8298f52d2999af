"""What a contender has to do, in the terms of its own users."""

from __future__ import annotations

from abc import ABC, abstractmethod
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.workload import Request

__all__ = ["Contender", "Keeper", "MissError"]


class MissError(Exception):
    """A request that was stored was not answered: what was timed is not a hit."""


class Contender(ABC):
    """A cache in a directory, asked as its users ask it.

    Args:
        directory: Where it keeps its entries.
        cap_bytes: How large it may grow; None is without limit.
    """

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        self.directory = directory
        self.cap_bytes = cap_bytes

    def prepare(self, request: Request) -> Any:
        """The request as the library's users hold it before they ask; not timed."""
        return request

    @abstractmethod
    def get(self, prepared: Any) -> Any:
        """Make the key and give the stored answer; None when there is none."""

    @abstractmethod
    def put(self, prepared: Any) -> None:
        """Make the key and store the answer of the workload."""

    @abstractmethod
    def text(self, found: Any) -> str:
        """The text of an answer that :meth:`get` gave."""

    def fill(self, requests: Iterable[Request]) -> None:
        """Store the answer of the workload for each request."""
        for request in requests:
            self.put(self.prepare(request))

    def time_gets(self, prepared: Sequence[Any]) -> float:
        """How long it takes to answer all of them, in seconds."""
        get = self.get
        started = perf_counter()
        for one in prepared:
            if get(one) is None:
                raise MissError
        return perf_counter() - started


class Keeper(Contender):
    """A cache that also counts, expires and removes."""

    @abstractmethod
    def put_expiring(self, prepared: Any) -> None:
        """Store the answer so that it has expired a few milliseconds later."""

    @abstractmethod
    def clean_up(self) -> int:
        """Remove what has expired; how many entries that was."""

    @abstractmethod
    def count(self) -> int:
        """How many entries there are, found the way users find it, with their sizes."""

    @abstractmethod
    def size_bytes(self) -> int:
        """How large the cache takes itself to be."""
