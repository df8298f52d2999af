"""joblib, which caches a function that calls the model by its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import joblib

from benchmarks.contenders.base import Contender, MissError
from benchmarks.workload import answer

if TYPE_CHECKING:
    from benchmarks.workload import Request

__all__ = ["Joblib"]

_answers: list[dict[str, Any]] = []
"""The next response of the provider; empty while every response must come from the cache."""


def ask_model(request: Request) -> dict[str, Any]:  # noqa: ARG001 - joblib computes the key from it
    """Simulate the provider call.

    Args:
        request: The request.

    Raises:
        MissError: The call was made while hits are measured.
    """
    if not _answers:
        raise MissError
    return _answers[0]


class Joblib(Contender):
    """A function wrapped with ``Memory.cache`` and called with the request."""

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        self._ask = joblib.Memory(directory, verbose=0).cache(ask_model)
        self._answer = answer()

    def get(self, prepared: Request) -> Any:
        """Call the cached function.

        Args:
            prepared: The request.
        """
        return self._ask(prepared)

    def put(self, prepared: Request) -> None:
        """Call the cached function while the provider returns a response.

        Args:
            prepared: The request.
        """
        _answers.append(self._answer)
        try:
            self._ask(prepared)
        finally:
            _answers.clear()

    def text(self, found: Any) -> str:
        """Return the content.

        Args:
            found: The stored response.
        """
        return str(found["content"])
