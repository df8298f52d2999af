"""JSON schemas as OpenAI's structured answers take them. Pure."""

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
"""Keywords that strict mode does not take."""


class _NotStrictError(Exception):
    """A schema means something that strict mode cannot say."""


def format_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The format of a structured answer: its name, its schema, and whether the service is to hold the model to it.

    In strict mode every object is closed and every property is required. A schema that means the same when it is written so is
    sent that way; any other as it is, without strict mode: the answer is held to it when it is read.
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
        # Strict mode takes nothing beside a reference.
        beside = {name: value for name, value in schema.items() if name not in ("$ref", "default")}
        return (
            {"$ref": schema["$ref"]} if len(beside) == 0 else {"anyOf": [{"$ref": schema["$ref"]}], **beside}
        )
    strict = {name: _part(name, value) for name, value in schema.items() if name != "default"}
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties")
        if properties is None or schema.get("additionalProperties") not in (None, False):
            raise _NotStrictError
        required = schema.get("required") or ()
        if any(name not in required and not _may_be_given(part) for name, part in properties.items()):
            raise _NotStrictError
        strict |= {"required": list(properties), "additionalProperties": False}
    return strict


def _part(name: str, value: Any) -> Any:
    if name in ("properties", "$defs", "definitions"):
        return {inner: _strict(part) for inner, part in value.items()}
    if name == "anyOf":
        return [_strict(part) for part in value]
    return _strict(value) if name == "items" else value


def _may_be_given(part: Any) -> bool:
    """Whether a property that may be left out may as well be asked for: it has a value for when there is nothing to say."""
    return isinstance(part, dict) and "default" in part
