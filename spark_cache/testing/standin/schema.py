"""Build values that fit a JSON schema, for tool arguments and structured output."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["UnmetSchemaError", "example"]

_TEXT = "stand-in"
_FORMATS = {
    "date": "2024-01-01",
    "date-time": "2024-01-01T00:00:00Z",
    "email": "stand-in@example.com",
    "ipv4": "127.0.0.1",
    "time": "00:00:00Z",
    "uri": "https://example.com/stand-in",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class UnmetSchemaError(ValueError):
    """No finite value fits the schema, or the schema uses an unsupported feature."""


def example(schema: Any) -> Any:
    """Return a value that fits a schema; the same schema always gives the same value.

    Supports the vocabulary of tools and structured output: types, ``enum``, ``const``, ``anyOf``, ``oneOf``, ``allOf``, local
    ``$ref``, objects, arrays, bounds and the common formats. ``pattern`` and ``uniqueItems`` are ignored. A recursive schema
    ends at the first level where it can.

    Args:
        schema: The schema, as parsed JSON.

    Returns:
        A JSON value.

    Raises:
        UnmetSchemaError: The schema cannot be met.
    """
    return _Maker(schema).make(schema, ())


class _Maker:
    def __init__(self, root: Any) -> None:
        self._root = root

    def make(self, schema: Any, open_refs: tuple[str, ...]) -> Any:
        if schema is True:
            return _TEXT
        match schema:
            case {"const": value} | {"default": value} | {"enum": [value, *_]}:
                return value
            case {"$ref": ref}:
                return self._referred(ref, open_refs)
            case {"anyOf": alternatives} | {"oneOf": alternatives}:
                return self._first_of(alternatives, open_refs)
            case {"allOf": parts}:
                return self._all_of(schema, parts, open_refs)
            case {}:
                return self._typed(schema, open_refs)
        raise UnmetSchemaError("a schema must be an object or true")

    def _referred(self, ref: str, open_refs: tuple[str, ...]) -> Any:
        if ref in open_refs:
            raise UnmetSchemaError(f"{ref} requires itself endlessly")
        return self.make(self._resolve(ref), (*open_refs, ref))

    def _resolve(self, ref: str) -> Any:
        target = self._root
        for step in ref.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, dict) or name not in target:
                raise UnmetSchemaError(f"{ref} does not exist in this schema")
            target = target[name]
        return target

    def _first_of(self, alternatives: list[Any], open_refs: tuple[str, ...]) -> Any:
        for alternative in alternatives:
            try:
                return self.make(alternative, open_refs)
            except UnmetSchemaError:
                continue
        raise UnmetSchemaError("no alternative can be met")

    def _all_of(self, schema: dict[str, Any], parts: list[Any], open_refs: tuple[str, ...]) -> Any:
        whole = {key: value for key, value in schema.items() if key != "allOf"}
        for part in parts:
            resolved = self._resolve(part["$ref"]) if "$ref" in part else part
            properties = {**whole.get("properties", {}), **resolved.get("properties", {})}
            required = [*whole.get("required", []), *resolved.get("required", [])]
            whole |= resolved
            if properties:
                whole |= {"properties": properties, "required": required}
        return self.make(whole, open_refs)

    def _typed(self, schema: dict[str, Any], open_refs: tuple[str, ...]) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((name for name in kind if name != "null"), "null")
        match kind:
            case "object":
                return self._object(schema, open_refs)
            case "array":
                return self._array(schema, open_refs)
            case "string":
                return _string(schema)
            case "integer" | "number":
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
        raise UnmetSchemaError(f"unknown type {kind!r}")

    def _object(self, schema: dict[str, Any], open_refs: tuple[str, ...]) -> dict[str, Any]:
        required = schema.get("required", [])
        made: dict[str, Any] = {}
        for name, part in schema.get("properties", {}).items():
            try:
                made[name] = self.make(part, open_refs)
            except UnmetSchemaError:
                if name in required:
                    raise
        for name in required:
            made.setdefault(name, _TEXT)
        return made

    def _array(self, schema: dict[str, Any], open_refs: tuple[str, ...]) -> list[Any]:
        fixed = [self.make(part, open_refs) for part in schema.get("prefixItems", [])]
        least = schema.get("minItems", 0)
        wanted = min(max(least, 1), schema.get("maxItems", math.inf))
        try:
            more = range(len(fixed), int(wanted))
            return fixed + [self.make(schema.get("items", {}), open_refs) for _ in more]
        except UnmetSchemaError:
            if len(fixed) < least:
                raise
            return fixed


def _string(schema: dict[str, Any]) -> str:
    text = _FORMATS.get(schema.get("format", ""), _TEXT)
    least = schema.get("minLength", 0)
    return text.ljust(least, ".")[: max(least, schema.get("maxLength", len(text)))]


def _number(schema: dict[str, Any], *, whole: bool) -> int | float:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    step = schema.get("multipleOf", 1)
    candidates: list[float] = [1, 0]
    if low > -math.inf:
        lowest = math.ceil(low / step) * step
        candidates += [lowest, lowest + step]
    if high < math.inf:
        highest = math.floor(high / step) * step
        candidates += [highest, highest - step]
    if -math.inf < low <= high < math.inf:
        candidates.append((low + high) / 2)
    for value in candidates:
        is_whole = value == int(value)
        is_outside = not low <= value <= high
        is_on_open_bound = value in (schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum"))
        is_off_step = "multipleOf" in schema and value % step != 0
        if not (is_outside or is_on_open_bound or is_off_step or (whole and not is_whole)):
            return int(value) if is_whole else value
    raise UnmetSchemaError("no number fits the bounds")
