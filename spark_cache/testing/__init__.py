"""Help for testing programs that call language models: a provider that runs on this machine."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_cache.testing.standin import ReceivedRequest, StandInProvider

__all__ = ["ReceivedRequest", "StandInProvider"]

_HOMES = {
    "ReceivedRequest": "spark_cache.testing.standin",
    "StandInProvider": "spark_cache.testing.standin",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
