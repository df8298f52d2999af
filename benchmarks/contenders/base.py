"""The interfaces of contenders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.workload import Vectors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.workload import Request

__all__ = ["Contender", "Embedder", "EmbeddingProvider", "Keeper", "MissError"]

EmbeddingProvider = Callable[[Sequence[str]], Vectors]
"""Returns the vectors of texts at once."""


class MissError(Exception):
    """A stored request missed, so the measurement of hits is invalid."""


class Contender(ABC):
    """A cache in a directory, called as its users call it.

    Args:
        directory: The directory of its entries.
        cap_bytes: The size cap, in bytes; None for no cap.
    """

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        self.directory = directory
        self.cap_bytes = cap_bytes

    def prepare(self, request: Request) -> Any:
        """Convert a request to the form in which users of the library have it; this is not timed.

        Args:
            request: The request.
        """
        return request

    @abstractmethod
    def get(self, prepared: Any) -> Any:
        """Compute the key and return the stored response, or None.

        Args:
            prepared: The prepared request.
        """

    @abstractmethod
    def put(self, prepared: Any) -> None:
        """Compute the key and store the response of the workload.

        Args:
            prepared: The prepared request.
        """

    @abstractmethod
    def text(self, found: Any) -> str:
        """Return the text of a response.

        Args:
            found: The result of :meth:`get`.
        """

    def fill(self, requests: Iterable[Request]) -> None:
        """Store the response of the workload for each request.

        Args:
            requests: The requests.
        """
        for request in requests:
            self.put(self.prepare(request))

    def time_gets(self, prepared: Sequence[Any]) -> float:
        """Return the time of hits of all requests, in seconds.

        Args:
            prepared: The prepared requests.

        Raises:
            MissError: A request is not stored.
        """
        get = self.get
        started = perf_counter()
        for one in prepared:
            if get(one) is None:
                raise MissError
        return perf_counter() - started


class Keeper(Contender):
    """A cache that also counts, expires and removes entries."""

    @abstractmethod
    def put_expiring(self, prepared: Any) -> None:
        """Store the response with a TTL of a few milliseconds at most.

        Args:
            prepared: The prepared request.
        """

    @abstractmethod
    def clean_up(self) -> int:
        """Remove expired entries, and return their number."""

    @abstractmethod
    def count(self) -> int:
        """Return the number of entries, in the way that users obtain it together with the size."""

    @abstractmethod
    def size_bytes(self) -> int:
        """Return the size of the cache by its own account, in bytes."""


class Embedder(ABC):
    """A cache of vectors, called as its users call it.

    It is created with the directory of its entries and the provider of the vectors that it does not have.
    """

    @abstractmethod
    def embed(self, texts: list[str]) -> Any:
        """Return the vectors of texts, from the cache or from the provider.

        Args:
            texts: The texts.
        """

    def embed_as_array(self, texts: list[str]) -> Any:
        """Return the vectors of texts as a numpy array. The default converts the result of :meth:`embed`.

        Args:
            texts: The texts.
        """
        import numpy as np  # noqa: PLC0415 - it may not be installed

        return np.asarray(self.embed(texts), dtype=np.float32)
