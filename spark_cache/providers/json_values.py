"""JSON values: copies, and encoded bytes as text."""

from __future__ import annotations

from typing import Any

from spark_cache.types import Base64Text

__all__ = ["bare_error", "copied", "with_text"]


def bare_error(raw: Any, *answers: str) -> Any:
    """Return the error in a response that is nothing but an error, sent with a status of success; None if there is none.

    Args:
        raw: The provider's JSON.
        *answers: The fields that hold an answer.
    """
    if not isinstance(raw, dict) or any(raw.get(name) is not None for name in answers):
        return None
    return raw.get("error")


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


def with_text(value: Any) -> Any:
    """Return a copy of a value with the text of every :class:`spark_cache.types.Base64Text`.

    Args:
        value: The value.
    """
    if isinstance(value, dict):
        return {name: with_text(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_text(item) for item in value]
    return str(value) if type(value) is Base64Text else value
