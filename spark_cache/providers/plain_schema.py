"""JSON schemas as the providers' structured answers take them: closed objects, and no bounds on values."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["plain_schema"]

_KEPT = frozenset(
    {
        "$ref",
        "additionalProperties",
        "const",
        "default",
        "description",
        "enum",
        "format",
        "required",
        "title",
        "type",
    }
)
"""Keywords that stay as they are. Bounds are not among them: the answer is held to them when it is read."""

_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("$defs", "definitions", "properties")


def plain_schema(schema: Any) -> Any:
    """A JSON schema without the keywords that structured answers do not take.

    Every object is closed to further properties, except one whose further properties have a schema: it is for the provider to
    say whether it takes that. What is left out (``minimum``, ``maxLength``, ``pattern``, …) is said in the
    description instead, so that the model knows of it.
    """
    if not isinstance(schema, dict):
        return schema
    plain = {name: value for name, value in schema.items() if name in _KEPT}
    for name in _LISTS:
        if name in schema:
            plain["anyOf" if name == "oneOf" else name] = [plain_schema(part) for part in schema[name]]
    for name in _MAPS:
        if name in schema:
            plain[name] = {inner: plain_schema(part) for inner, part in schema[name].items()}
    if "items" in schema:
        plain["items"] = plain_schema(schema["items"])
    is_object = schema.get("type") == "object" or "properties" in schema
    if is_object and not isinstance(schema.get("additionalProperties"), dict):
        plain["additionalProperties"] = False
    said = {name: value for name, value in schema.items() if name not in {*_KEPT, *_LISTS, *_MAPS, "items"}}
    if said:
        bounds = ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in said.items())
        plain["description"] = f"{schema['description']} ({bounds})" if "description" in schema else bounds
    return plain
