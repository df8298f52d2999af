"""Texts that an entry holds once, though its response has them in several places."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

__all__ = ["restore_texts", "take_out_texts"]

_SHORTEST = 64
"""Shorter texts are repeated: a reference would be as long."""


def take_out_texts(document: dict[str, Any]) -> dict[str, str]:
    """Take out of the provider's JSON, and of its events, what the entry has as content or as arguments of a tool call.

    Args:
        document: The fields of an entry. Fields that change are replaced; the values in them are not modified.

    Returns:
        For each place of a text, such as ``raw.choices.0.message.content``, where the entry has it, such as ``content``.
    """
    sources = {}
    calls = document.get("tool_calls")
    for number, call in enumerate(calls if isinstance(calls, list) else ()):
        if isinstance(call, dict) and isinstance(call.get("arguments"), str):
            sources[call["arguments"]] = f"tool_calls.{number}.arguments"
    if isinstance(document.get("content"), str):
        sources[document["content"]] = "content"
    sources = {text: place for text, place in sources.items() if len(text) >= _SHORTEST}
    taken: dict[str, str] = {}
    if sources:
        for name in ("raw", "events"):
            if name in document:
                document[name] = _without(document[name], name, sources, taken)
    return taken


def _without(value: Any, place: str, sources: dict[str, str], taken: dict[str, str]) -> Any:
    if type(value) is str:
        source = sources.get(value)
        if source is None:
            return value
        taken[place] = source
        return None
    if type(value) is list:
        changed: Any = [
            _without(item, f"{place}.{at}", sources, taken) if type(item) in _SEARCHED else item
            for at, item in enumerate(value)
        ]
    elif type(value) is dict:
        changed = {
            name: _without(item, f"{place}.{name}", sources, taken)
            if type(item) in _SEARCHED and type(name) is str and "." not in name
            else item
            for name, item in value.items()
        }
    else:
        return value
    return changed


_SEARCHED = frozenset({dict, list, str})


def restore_texts(document: dict[str, Any]) -> None:
    """Put the texts that :func:`take_out_texts` took out back in their places.

    Args:
        document: The fields of an entry, which are changed.

    Raises:
        LookupError, TypeError, ValueError: The entry was edited, and a place does not exist.
    """
    for place, source in document["texts"].items():
        holder: Any = document
        *steps, (name, number) = _steps(place)
        for inner, at in steps:
            holder = holder[at] if type(holder) is list else holder[inner]
        text: Any = document
        for inner, at in _steps(source):
            text = text[at] if type(text) is list else text[inner]
        holder[number if type(holder) is list else name] = text


# Nearly all entries of a provider have their texts in the same places.
@lru_cache(maxsize=1024)
def _steps(place: str) -> tuple[tuple[str, int], ...]:
    """Return the steps of a place, each as the name in a dictionary and as the position in a list."""
    return tuple((step, int(step) if step.isdecimal() else _NO_POSITION) for step in place.split("."))


_NO_POSITION = 2**31
"""A position that no list has."""
