"""Whether a JSON value meets a JSON schema: the keywords that models are asked for answers with.

Keywords that say nothing about validity (``title``, ``format``, …) are passed over, as the standard has it. One that does, and is not
known here, is refused by :func:`unknown_keyword` before anything is asked: an answer would else be taken for valid unseen.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["unknown_keyword", "violation"]

_UNKNOWN = (
    "$dynamicRef",
    "$recursiveRef",
    "contains",
    "dependentSchemas",
    "dependencies",
    "unevaluatedItems",
    "unevaluatedProperties",
)

_DEEPEST = 200
"""How many schemas may apply inside one another: more than answers are nested, and an end to references in a circle."""


def unknown_keyword(schema: Any) -> str | None:
    """The first keyword in a schema that cannot be checked here, with its place; None when all can."""
    found = (f"{place} ({why})" for place, why in _unchecked(schema, schema, "#"))
    return next(found, None)


def _unchecked(node: Any, root: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _unchecked(item, root, f"{place}/{index}")
        return
    if not isinstance(node, dict):
        return
    for name, item in node.items():
        if name in _UNKNOWN:
            yield f"{place}/{name}", "is not known here"
        elif name == "$ref" and _resolved(root, item) is None:
            yield f"{place}/{name}", "leads nowhere in this schema"
        elif name in _NAMED and isinstance(item, dict):
            # The names in it are the answer's, not keywords.
            for inner, part in item.items():
                yield from _unchecked(part, root, f"{place}/{name}/{inner}")
        elif name not in _VALUES:
            yield from _unchecked(item, root, f"{place}/{name}")


_NAMED = frozenset({"$defs", "definitions", "patternProperties", "properties"})
"""Keywords that hold schemas by name."""

_VALUES = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords that hold values of an answer."""


def violation(value: Any, schema: Any) -> str | None:
    """What is first wrong with a value, and where; None when it meets the schema. Never quotes the value."""
    try:
        return _Check(schema).first(value, schema, "", 0)
    except RecursionError:
        return "it is nested too deeply"


class _Check:
    def __init__(self, root: Any) -> None:
        self._root = root

    def first(self, value: Any, schema: Any, path: str, depth: int) -> str | None:
        """What is first wrong with a value at a path."""
        if depth > _DEEPEST:
            return _wrong(path, "is nested too deeply")
        if not isinstance(schema, dict):
            return _wrong(path, "is not allowed") if schema is False else None
        for keyword, argument in schema.items():
            fault = _SIMPLE[keyword](value, argument) if keyword in _SIMPLE else None
            if fault is not None:
                return _wrong(path, fault)
        # Once for all keywords that are judged together.
        for judge in dict.fromkeys(_APPLIED[keyword] for keyword in schema if keyword in _APPLIED):
            wrong = judge(self, value, schema, path, depth + 1)
            if wrong is not None:
                return wrong
        return None

    def reference(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> str | None:
        return self.first(value, _resolved(self._root, schema["$ref"]), path, depth)

    def all_of(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> str | None:
        wrong = (self.first(value, part, path, depth) for part in schema["allOf"])
        return next((one for one in wrong if one is not None), None)

    def any_of(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> str | None:
        wrong = [self.first(value, part, path, depth) for part in schema["anyOf"]]
        if None in wrong:
            return None
        return wrong[0] if len(wrong) == 1 else _wrong(path, "meets none of the alternatives")

    def one_of(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> str | None:
        met = [self.first(value, part, path, depth) for part in schema["oneOf"]].count(None)
        return (
            None
            if met == 1
            else _wrong(path, f"meets {met or 'none'} of the alternatives; it has to meet one")
        )

    def not_(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> str | None:
        return (
            _wrong(path, "is what it must not be")
            if self.first(value, schema["not"], path, depth) is None
            else None
        )

    def condition(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> str | None:
        branch = "then" if self.first(value, schema["if"], path, depth) is None else "else"
        return self.first(value, schema.get(branch, True), path, depth)

    def members(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> str | None:
        """``properties``, ``patternProperties`` and ``additionalProperties``, which share out the members of an object."""
        if not isinstance(value, dict):
            return None
        named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for name, item in value.items():
            parts = [part for pattern, part in patterns.items() if re.search(pattern, name)]
            if name in named:
                parts.append(named[name])
            for part in parts or [schema.get("additionalProperties", True)]:
                wrong = self.first(item, part, f"{path}.{name}" if path else name, depth)
                if wrong is not None:
                    return wrong
        return None

    def names(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> str | None:
        if not isinstance(value, dict):
            return None
        wrong = (self.first(name, schema["propertyNames"], path, depth) for name in value)
        return next(
            (_wrong(path, "has a member of a name that is not allowed") for one in wrong if one), None
        )

    def items(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> str | None:
        """``prefixItems`` and ``items``, which share out the items of a list."""
        if not isinstance(value, list):
            return None
        fixed = schema.get("prefixItems", [])
        for index, item in enumerate(value):
            part = fixed[index] if index < len(fixed) else schema.get("items", True)
            wrong = self.first(item, part, f"{path}[{index}]", depth)
            if wrong is not None:
                return wrong
        return None


_APPLIED: dict[str, Callable[..., str | None]] = {
    "$ref": _Check.reference,
    "allOf": _Check.all_of,
    "anyOf": _Check.any_of,
    "oneOf": _Check.one_of,
    "not": _Check.not_,
    "if": _Check.condition,
    "properties": _Check.members,
    "patternProperties": _Check.members,
    "additionalProperties": _Check.members,
    "propertyNames": _Check.names,
    "prefixItems": _Check.items,
    "items": _Check.items,
}
"""Keywords whose argument holds schemas."""


def _type(value: Any, wanted: str | list[str]) -> str | None:
    names = [wanted] if isinstance(wanted, str) else wanted
    if any(_TYPES[name](value) for name in names):
        return None
    return f"is {_named(value)}; it takes {' or '.join(names)}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": _number,
    "integer": lambda value: _number(value) and value == value // 1,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def _named(value: Any) -> str:
    name = next(name for name, is_of in _TYPES.items() if is_of(value))
    return name if name == "null" else f"an {name}" if name[0] in "aio" else f"a {name}"


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: True is not 1, and 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return bool(one == other)


def _unique(value: Any, wanted: bool) -> str | None:
    if not wanted or not isinstance(value, list):
        return None
    twice = any(_same(one, other) for index, one in enumerate(value) for other in value[:index])
    return "holds an item twice" if twice else None


def _required(value: Any, names: list[str]) -> str | None:
    lacking = [name for name in names if name not in value] if isinstance(value, dict) else []
    return f"lacks {', '.join(lacking)}" if lacking else None


def _dependent(value: Any, needs: dict[str, list[str]]) -> str | None:
    needed = (names for name, names in needs.items() if isinstance(value, dict) and name in value)
    return next(filter(None, (_required(value, names) for names in needed)), None)


def _multiple(value: Any, step: float) -> str | None:
    if not _number(value) or abs(value / step - round(value / step)) < _NEARLY:
        return None
    return f"is no multiple of {step}"


_NEARLY = 1e-9
"""How far from whole a quotient of two decimal fractions may be, and still be meant to be whole."""


def _bound(
    kind: Callable[[Any], Any], fits: Callable[[Any, Any], bool], text: str
) -> Callable[[Any, Any], str | None]:
    """A keyword that bounds a size: ``kind`` gives the size of a value, or None where it has none of this kind."""

    def check(value: Any, limit: Any) -> str | None:
        size = kind(value)
        return None if size is None or fits(size, limit) else text.format(limit)

    return check


def _of_number(value: Any) -> Any:
    return value if _number(value) else None


def _of(kind: type[dict[str, Any] | list[Any] | str]) -> Callable[[Any], Any]:
    return lambda value: len(value) if isinstance(value, kind) else None


def _at_least(size: Any, limit: Any) -> bool:
    return bool(size >= limit)


def _at_most(size: Any, limit: Any) -> bool:
    return bool(size <= limit)


_SIMPLE: dict[str, Callable[[Any, Any], str | None]] = {
    "type": _type,
    "const": lambda value, wanted: None if _same(value, wanted) else "is not the one value that it may be",
    "enum": lambda value, allowed: (
        None if any(_same(value, one) for one in allowed) else "is none of the values that it may be"
    ),
    "required": _required,
    "dependentRequired": _dependent,
    "uniqueItems": _unique,
    "multipleOf": _multiple,
    "pattern": lambda value, pattern: (
        "does not match the pattern" if isinstance(value, str) and not re.search(pattern, value) else None
    ),
    "minimum": _bound(_of_number, _at_least, "is less than {}"),
    "maximum": _bound(_of_number, _at_most, "is more than {}"),
    "exclusiveMinimum": _bound(_of_number, lambda size, limit: size > limit, "is not more than {}"),
    "exclusiveMaximum": _bound(_of_number, lambda size, limit: size < limit, "is not less than {}"),
    "minLength": _bound(_of(str), _at_least, "is shorter than {} characters"),
    "maxLength": _bound(_of(str), _at_most, "is longer than {} characters"),
    "minItems": _bound(_of(list), _at_least, "has fewer than {} items"),
    "maxItems": _bound(_of(list), _at_most, "has more than {} items"),
    "minProperties": _bound(_of(dict), _at_least, "has fewer than {} members"),
    "maxProperties": _bound(_of(dict), _at_most, "has more than {} members"),
}
"""Keywords that judge a value by themselves."""


def _resolved(root: Any, reference: Any) -> Any:
    """What a reference inside the schema leads to; None where it leads nowhere, or out of it."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def _wrong(path: str, what: str) -> str:
    return f"{path or 'it'} {what}"
