"""JSON schemas in the form that OpenAI's structured outputs accept. Pure functions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["format_of"]

_LONGEST_NAME = 64

_NOT_STRICT = frozenset(
    {"allOf", "dependentRequired", "else", "if", "not", "oneOf", "patternProperties", "propertyNames", "then"}
)
"""Keywords that strict mode does not accept."""


class _NotStrictError(Exception):
    """A schema cannot be expressed in strict mode."""


def format_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the format of a structured output: its name, its schema, and whether it is strict.

    In strict mode every object is closed and every property is required. A schema is sent in strict mode if that does not change
    its meaning. Any other schema is sent unchanged, without strict mode: the response is validated when it is read.

    Args:
        schema: The schema.
    """
    title = re.sub(r"[^a-zA-Z0-9_-]+", "_", str(schema.get("title") or "")).strip("_")
    named = {"name": title[:_LONGEST_NAME] or "answer"}
    try:
        return {**named, "schema": _strict(schema), "strict": True}
    except _NotStrictError:
        return {**named, "schema": dict(schema)}


def _strict(schema: Any) -> Any:
    if not isinstance(schema, dict) or _NOT_STRICT & schema.keys():
        raise _NotStrictError
    if "$ref" in schema and len(schema) > 1:
        # Strict mode does not accept other keywords next to a reference.
        others = {name: value for name, value in schema.items() if name not in ("$ref", "default")}
        return (
            {"$ref": schema["$ref"]} if len(others) == 0 else {"anyOf": [{"$ref": schema["$ref"]}], **others}
        )
    strict = {name: _part(name, value) for name, value in schema.items() if name != "default"}
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties")
        if properties is None or schema.get("additionalProperties") not in (None, False):
            raise _NotStrictError
        required = schema.get("required") or ()
        if any(name not in required and not _has_default(part) for name, part in properties.items()):
            raise _NotStrictError
        strict |= {"required": list(properties), "additionalProperties": False}
    return strict


def _part(name: str, value: Any) -> Any:
    if name in ("properties", "$defs", "definitions"):
        return {inner: _strict(part) for inner, part in value.items()}
    if name == "anyOf":
        return [_strict(part) for part in value]
    return _strict(value) if name == "items" else value


def _has_default(part: Any) -> bool:
    """Whether an optional property can be required, because it has a default that the model can send instead of leaving it out."""
    return isinstance(part, dict) and "default" in part
