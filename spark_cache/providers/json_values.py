"""Copies of JSON values."""

from __future__ import annotations

from typing import Any

__all__ = ["copied"]


def copied(value: Any) -> Any:
    """Return a value with new dictionaries, lists and tuples. Strings and other objects in it are shared.

    Args:
        value: The value.
    """
    if isinstance(value, dict):
        return {name: copied(item) for name, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return tuple(copied(item) for item in value) if type(value) is tuple else value
