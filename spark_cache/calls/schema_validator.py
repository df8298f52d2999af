"""Validation of JSON values against a JSON Schema, with the ``jsonschema`` package.

Importing this module imports ``jsonschema``, which takes about 50 ms. Import it only when a schema is given as a dictionary.
"""

from __future__ import annotations

import json
import re
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from jsonschema.exceptions import UnknownType, ValidationError, best_match  # type: ignore[import-untyped]
from jsonschema.validators import extend, validator_for  # type: ignore[import-untyped]
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["SchemaValidator", "validator_of"]

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

_DRAFT_KEYWORDS = (
    "$dynamicRef",
    "$recursiveRef",
    "contains",
    "dependentSchemas",
    "dependencies",
    "unevaluatedItems",
    "unevaluatedProperties",
)
"""Keywords that only some drafts define. A draft ignores the others, so invalid answers would pass."""

_SHOWN = 5
"""How many faults a message names."""

_LONGEST_VALUE = 60
"""The longest keyword value, in characters, that a message shows. Longer values are left out."""

_LONGEST_PROBLEM = 300
"""The longest message about an invalid schema, in characters."""

_CACHED_SCHEMAS = 64


def validator_of(schema: Mapping[str, Any]) -> SchemaValidator:
    """Return the validator of a schema, from a small cache of compiled schemas.

    Compiling a small schema takes about 2 ms, and every call of ``get_json`` needs the validator of its schema.

    Args:
        schema: A JSON Schema. ``$schema`` names its draft; the default is 2020-12.

    Raises:
        ValueError: The schema is invalid, or has a reference that cannot be resolved within it.
    """
    try:
        return _compiled(_serialized(schema))
    except RecursionError:
        raise ValueError("output_model: the schema is nested too deeply") from None


def _serialized(schema: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(schema)
    except TypeError:
        pass
    try:
        # orjson refuses integers of more than 64 bits.
        return json.dumps(schema).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"output_model: the schema must be JSON: {error}") from None


@lru_cache(maxsize=_CACHED_SCHEMAS)
def _compiled(schema: bytes) -> SchemaValidator:
    return SchemaValidator(json.loads(schema))


class SchemaValidator:
    """A compiled JSON Schema.

    Args:
        schema: The schema. The validator keeps it, so it must not change.

    Raises:
        ValueError: The schema is invalid, or has a reference that cannot be resolved within it.
    """

    __slots__ = ("_names", "_validator")

    def __init__(self, schema: dict[str, Any]) -> None:
        draft = _draft_of(schema)
        # With "$schema", a reference to the root would use the package's own class instead of the extended one.
        root = {name: value for name, value in schema.items() if name != "$schema"}
        self._names = _Check(root, draft).run()
        extended = extend(draft, {name: check for name, check in _OWN.items() if name in draft.VALIDATORS})
        # A registry without retrieval: references never cause network access.
        self._validator = extended(root, registry=Registry())

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with a value, or None if it is valid.

        The text quotes the schema, never the value.

        Args:
            value: A JSON value.
        """
        try:
            faults = list(islice(self._validator.iter_errors(value), _SHOWN + 1))
        except RecursionError:
            return "$ is nested too deeply"
        except Unresolvable:
            return "$ cannot be checked: a reference in the schema cannot be resolved"
        except UnknownType:
            return "$ cannot be checked: the schema names an unknown type"
        if not faults:
            return None
        shown = dict.fromkeys(self._described(one) for one in faults[:_SHOWN])
        return "; ".join(shown) + ("; and more" if len(faults) > _SHOWN else "")

    def _described(self, error: Any) -> str:
        path = self._path(error.absolute_path)
        keyword, wanted = error.validator, error.validator_value
        if keyword is None:
            # The package reports a false schema at the object or array that holds the value.
            return f"{path} holds a value that the schema does not allow"
        if keyword == "required" and isinstance(wanted, list):
            missing = (json.dumps(name) for name in wanted if name not in error.instance)
            return f"{path} lacks the required {', '.join(missing)}"
        if keyword == "oneOf":
            met = "more than one alternative matches" if not error.context else "no alternative matches"
            return f'{path} does not satisfy "oneOf": {met}'
        value = json.dumps(wanted, ensure_ascii=False)
        return f'{path} does not satisfy "{keyword}"' + (f": {value}" if len(value) <= _LONGEST_VALUE else "")

    def _path(self, steps: Iterable[str | int]) -> str:
        """Return a JSON path. ``*`` replaces names that are not in the schema, because they quote the value."""
        path = "$"
        for step in steps:
            if isinstance(step, int):
                path += f"[{step}]"
            elif step not in self._names:
                path += ".*"
            else:
                path += f".{step}" if step.isidentifier() else f"[{json.dumps(step, ensure_ascii=False)}]"
        return path


class _Check:
    """The checks that a schema must pass before its first use."""

    def __init__(self, root: dict[str, Any], draft: Any) -> None:
        self._root = root
        dialect = draft.ID_OF(draft.META_SCHEMA)
        self._dialect = dialect.rstrip("#")
        self._specification: Any = specification_with(dialect)
        # Only "regex", because the other formats depend on which packages are installed.
        formats = FormatChecker(["regex"])
        self._metaschema = draft(draft.META_SCHEMA, format_checker=formats, registry=Registry())
        self._foreign = [name for name in _DRAFT_KEYWORDS if name not in draft.VALIDATORS]

    def run(self) -> frozenset[str]:
        """Raise a ValueError for an invalid schema, or return the names of all properties that it describes."""
        names: set[str] = set()
        error = self._metaschema_error(self._root)
        if error is not None:
            raise _problem(self._place(self._root, *error.absolute_path), f"is invalid: {error.message}")
        for node in self._schemas():
            self._refuse_foreign(node)
            self._refuse_patterns(node)
            names.update(node.get("properties", ()))
        return frozenset(names)

    def _schemas(self) -> Iterator[dict[str, Any]]:
        """Yield every schema object in the schema and behind its references."""
        resource = self._specification.create_resource(self._root)
        pending = [(resource, Registry().resolver_with_root(resource))]
        targets: list[tuple[Any, Any, dict[str, Any], str]] = []
        seen: set[int] = set()
        while pending or targets:
            if pending:
                resource, resolver = pending.pop()
            else:
                resource, resolver, origin, keyword = targets.pop()
                # A reference may lead to a place where the metaschema expects no schema.
                error = None if id(resource.contents) in seen else self._metaschema_error(resource.contents)
                if error is not None:
                    raise _problem(
                        self._place(origin, keyword), f"leads to an invalid schema: {error.message}"
                    )
            node = resource.contents
            if not isinstance(node, dict) or id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            targets.extend((*target, node, keyword) for target, keyword in self._targets(node, resolver))
            try:
                pending.extend((inner, resolver.in_subresource(inner)) for inner in resource.subresources())
            except ValueError as invalid:
                raise _problem(self._place(node), f"holds an invalid $id: {invalid}") from None

    def _targets(self, node: dict[str, Any], resolver: Any) -> Iterator[tuple[tuple[Any, Any], str]]:
        for keyword in _REFERENCES:
            if keyword not in node:
                continue
            if not isinstance(node[keyword], str):
                raise _problem(self._place(node, keyword), "must be a string")
            try:
                found = resolver.lookup(node[keyword])
            except (Unresolvable, TypeError, ValueError):
                why = "cannot be resolved within the schema; other documents are not fetched"
                raise _problem(self._place(node, keyword), why) from None
            yield (self._specification.create_resource(found.contents), found.resolver), keyword

    def _refuse_foreign(self, node: dict[str, Any]) -> None:
        for keyword in self._foreign:
            if keyword in node:
                why = f"is not a keyword of {self._dialect}; name a draft that defines it in $schema"
                raise _problem(self._place(node, keyword), why)

    def _refuse_patterns(self, node: dict[str, Any]) -> None:
        """Refuse invalid names of ``patternProperties``, which the metaschemas of drafts 3 and 4 do not check."""
        for pattern in node.get("patternProperties", ()):
            try:
                re.compile(pattern)
            except re.error as error:
                place = self._place(node, "patternProperties", pattern)
                raise _problem(place, f"is not a valid regular expression: {error}") from None

    def _metaschema_error(self, node: Any) -> Any:
        return best_match(self._metaschema.iter_errors(node))

    def _place(self, node: Any, *steps: str | int) -> str:
        """Return the JSON pointer of a place inside one object of the schema."""
        pending: list[tuple[Any, tuple[str | int, ...]]] = [(self._root, ())]
        while pending:
            found, path = pending.pop()
            if found is node:
                steps = (*path, *steps)
                break
            if isinstance(found, dict):
                pending.extend((item, (*path, name)) for name, item in found.items())
            elif isinstance(found, list):
                pending.extend((item, (*path, index)) for index, item in enumerate(found))
        return "/".join(("#", *(str(step).replace("~", "~0").replace("/", "~1") for step in steps)))


def _problem(place: str, why: str) -> ValueError:
    text = f"output_model: {place} {why}"
    return ValueError(text if len(text) <= _LONGEST_PROBLEM else f"{text[: _LONGEST_PROBLEM - 1]}…")


def _draft_of(schema: dict[str, Any]) -> Any:
    named = schema.get("$schema")
    if named is not None and not isinstance(named, str):
        raise _problem("#/$schema", "must be a string")
    draft = Draft202012Validator if named is None else validator_for(schema, default=None)
    if draft is None:
        raise _problem("#/$schema", f"names an unknown draft: {named}")
    return draft


def _multiple_of(validator: Any, step: float, instance: Any, _: Any) -> Iterator[Any]:
    """Check ``multipleOf`` with decimal fractions. In binary floating point, 19.99 is not a multiple of 0.01."""
    if (
        validator.is_type(instance, "number")
        and (Fraction(repr(instance)) / Fraction(repr(step))).denominator != 1
    ):
        yield ValidationError("not a multiple")


def _property_names(validator: Any, names: Any, instance: Any, _: Any) -> Iterator[Any]:
    """Check ``propertyNames`` with one error per object. The package would report a name's fault as the object's own."""
    if validator.is_type(instance, "object"):
        check = validator.evolve(schema=names)
        if not all(map(check.is_valid, instance)):
            yield ValidationError("invalid name")


_OWN = {"multipleOf": _multiple_of, "propertyNames": _property_names}
