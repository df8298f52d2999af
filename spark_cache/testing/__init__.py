"""Test helpers for programs that call language models: a provider that runs locally."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_cache._lazy import lazy_exports

if TYPE_CHECKING:
    from spark_cache.testing.standin import ReceivedRequest, StandInProvider

__all__ = ["ReceivedRequest", "StandInProvider"]

_HOMES = {
    "ReceivedRequest": "spark_cache.testing.standin",
    "StandInProvider": "spark_cache.testing.standin",
}


__getattr__ = lazy_exports(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
