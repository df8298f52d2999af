"""JSON schemas in the form that structured outputs accept: closed objects, and no bounds on values."""

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
"""Keywords that are kept. Bounds are not among them: the response is validated against them when it is read."""

_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("$defs", "definitions", "properties")


def plain_schema(schema: Any) -> Any:
    """Return a JSON schema without the keywords that structured outputs do not accept.

    Every object gets ``additionalProperties: false``, unless its additional properties have a schema: the provider decides
    whether it accepts that. Keywords that are left out (``minimum``, ``maxLength``, ``pattern``, …) are added to the
    description, so that the model sees them.

    Args:
        schema: The schema.
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
    moved = {name: value for name, value in schema.items() if name not in {*_KEPT, *_LISTS, *_MAPS, "items"}}
    if moved:
        bounds = ", ".join(
            f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in moved.items()
        )
        plain["description"] = f"{schema['description']} ({bounds})" if "description" in schema else bounds
    return plain
