"""Errors of the cache, as the SDKs let them through: at once, without retries, and not wrapped."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, TypeVar

__all__ = ["for_client"]

E = TypeVar("E", bound=Exception)


def for_client(error: E, provider: str) -> E:
    """Return an error that the SDK of a provider raises as it is.

    Args:
        error: The error.
        provider: The provider of the call.
    """
    sdk = sys.modules.get("anthropic")
    if provider != "anthropic" or sdk is None:
        return error
    # This SDK retries every exception that is none of its own, and hides it behind a connection error.
    kind: Any = type(error)
    kind = _also(kind, sdk.AnthropicError)
    made: E = kind.__new__(kind)
    made.args = error.args
    vars(made).update(vars(error))
    return made


@cache
def _also(kind: Any, base: Any) -> Any:
    return type(kind.__name__, (kind, base), {"__module__": kind.__module__})
