"""joblib: a function that asks the model, remembered by its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import joblib

from benchmarks.contenders.base import Contender, MissError
from benchmarks.workload import answer

if TYPE_CHECKING:
    from benchmarks.workload import Request

__all__ = ["Joblib"]

_answers: list[dict[str, Any]] = []
"""What the provider says next; empty while every answer must come from the cache."""


def ask_model(request: Request) -> dict[str, Any]:  # noqa: ARG001 - joblib makes the key of it
    """Stand for the call that is saved."""
    if not _answers:
        raise MissError
    return _answers[0]


class Joblib(Contender):
    """``Memory.cache`` around the function, called with the request."""

    def __init__(self, directory: str, cap_bytes: int | None) -> None:
        super().__init__(directory, cap_bytes)
        self._ask = joblib.Memory(directory, verbose=0).cache(ask_model)
        self._answer = answer()

    def get(self, prepared: Request) -> Any:
        """Call the function."""
        return self._ask(prepared)

    def put(self, prepared: Request) -> None:
        """Call the function while the provider answers."""
        _answers.append(self._answer)
        try:
            self._ask(prepared)
        finally:
            _answers.clear()

    def text(self, found: Any) -> str:
        """The content."""
        return str(found["content"])
