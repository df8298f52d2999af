"""The check of JSON values by a JSON schema, beside the reference implementation."""

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_cache.calls.json_schema import unknown_keyword, violation

TREE = {
    "$defs": {
        "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["value"]}
    },
    "$ref": "#/$defs/node",
}

CASES = {
    "type": ({"type": "string"}, ["a", 1, None, True]),
    "types": ({"type": ["integer", "null"]}, [1, 1.0, 1.5, None, True, "1"]),
    "number": ({"type": "number"}, [1, 1.5, True, "1"]),
    "const": ({"const": 1}, [1, 1.0, True, "1"]),
    "enum": ({"enum": [0, "a", None, [1]]}, [0, False, "a", None, [1], [True]]),
    "bounds": ({"minimum": 1, "exclusiveMaximum": 3}, [0, 1, 2.9, 3, "x", True]),
    "other bounds": ({"exclusiveMinimum": 1, "maximum": 3}, [1, 1.1, 3, 4]),
    "multipleOf": ({"multipleOf": 0.5}, [1.5, 0.35, 1, "x"]),
    "lengths": ({"minLength": 2, "maxLength": 3}, ["a", "ab", "abcd", 1, "日本"]),
    "pattern": ({"pattern": "^a+$"}, ["aa", "ab", 1]),
    "items": (
        {"items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        [[], [1], [1, "a"], [1, 2, 3], "x"],
    ),
    "prefixItems": (
        {"prefixItems": [{"type": "string"}], "items": {"type": "integer"}},
        [[], ["a"], [1], ["a", 1], ["a", "b"]],
    ),
    "no more items": ({"prefixItems": [{"type": "string"}], "items": False}, [["a"], ["a", 1]]),
    "uniqueItems": ({"uniqueItems": True}, [[1, 2], [1, 1.0], [1, True], [[1], [1]], [{"a": 1}, {"a": 1}]]),
    "properties": (
        {"properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
        [{"a": 1}, {"a": "x"}, {}, {"a": 1, "b": 2}, "x"],
    ),
    "further properties": (
        {"properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
        [{"a": "x", "b": 1}, {"b": "x"}],
    ),
    "patternProperties": (
        {"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False},
        [{"x1": 1}, {"x1": "a"}, {"y": 1}],
    ),
    "propertyNames": ({"propertyNames": {"maxLength": 2}}, [{"ab": 1}, {"abc": 1}]),
    "counts": ({"minProperties": 1, "maxProperties": 2}, [{}, {"a": 1}, {"a": 1, "b": 2, "c": 3}]),
    "dependentRequired": ({"dependentRequired": {"a": ["b"]}}, [{"a": 1}, {"a": 1, "b": 2}, {"b": 1}]),
    "anyOf": ({"anyOf": [{"type": "string"}, {"minimum": 3}]}, ["a", 3, 2, None]),
    "oneOf": ({"oneOf": [{"type": "integer"}, {"minimum": 3}]}, [1, 3, 3.5, "a"]),
    "allOf": ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, [1, 3, 3.5]),
    "not": ({"not": {"type": "string"}}, ["a", 1]),
    "if": ({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 2}}, ["a", "ab", 1, 2]),
    "reference": (TREE, [{"value": 1}, {"value": 1, "next": {"value": 2}}, {"value": 1, "next": {}}]),
    "whole": ({"properties": {"child": {"$ref": "#"}}, "type": "object"}, [{"child": {}}, {"child": 1}]),
    "boolean": (False, [1, None]),
    "anything": (True, [1, None]),
    "annotations": ({"title": "T", "description": "D", "format": "date", "default": 3, "x-own": 1}, ["x", 1]),
}


@pytest.mark.parametrize("name", CASES)
def test_as_the_reference_implementation(name):
    """A value is valid here where the reference implementation says so."""
    schema, values = CASES[name]
    reference = jsonschema.Draft202012Validator(schema)
    assert unknown_keyword(schema) is None
    for value in values:
        assert (violation(value, schema) is None) == reference.is_valid(value), value


SIMPLE = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer"},
        {"type": ["number", "null"]},
        {"const": 1},
        {"enum": [True, "a", 0]},
        {"minimum": 1},
        {"maxLength": 1},
        {"maxItems": 1},
        True,
        False,
    ]
)
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"items": inner}),
        st.fixed_dictionaries({"prefixItems": st.lists(inner, min_size=1, max_size=2), "items": inner}),
        st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from("ab"), inner), "additionalProperties": inner},
            optional={"required": st.lists(st.sampled_from("ab"), unique=True)},
        ),
        *(
            st.fixed_dictionaries({name: st.lists(inner, min_size=1, max_size=2)})
            for name in ("anyOf", "oneOf", "allOf")
        ),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from(["", "a", "ab"]), st.just(1.5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schema=SCHEMAS, value=VALUES)
def test_agrees_with_the_reference_implementation(schema, value):
    """Any schema of the known keywords judges any value as the reference implementation does."""
    assert (violation(value, schema) is None) == jsonschema.Draft202012Validator(schema).is_valid(value)


PLACES = {
    "member": (
        {"properties": {"a": {"type": "integer"}}},
        {"a": "secret"},
        "a is a string; it takes integer",
    ),
    "item": ({"items": {"properties": {"b": {"minimum": 3}}}}, [{}, {"b": 1}], "[1].b is less than 3"),
    "whole": ({"type": "object"}, [], "it is an array; it takes object"),
    "lacking": ({"required": ["a", "b"]}, {"a": 1}, "it lacks b"),
    "alternatives": (
        {"properties": {"a": {"anyOf": [{"type": "null"}, {"const": 1}]}}},
        {"a": 2},
        "a meets none",
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_place_of_a_fault(name):
    """What is wrong is told with its place, and without the value."""
    schema, value, told = PLACES[name]
    fault = violation(value, schema)
    assert fault.startswith(told)
    assert "secret" not in fault


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"items": {"contains": {}}}, "#/items/contains"),
        ({"properties": {"a": {"unevaluatedProperties": False}}}, "#/properties/a/unevaluatedProperties"),
        ({"anyOf": [{}, {"$ref": "https://example.com/schema"}]}, "#/anyOf/1/$ref"),
        ({"$ref": "#/$defs/nowhere"}, "#/$ref"),
    ],
)
def test_keyword_that_is_not_known(schema, place):
    """A keyword that cannot be checked is named with its place."""
    assert unknown_keyword(schema).startswith(place)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"contains": {"type": "string"}, "$ref": {}}},
        {"enum": [{"contains": 1}], "default": {"$ref": "x"}},
    ],
)
def test_names_that_are_no_keywords(schema):
    """A property, or a value, that is called like a keyword is none."""
    assert unknown_keyword(schema) is None


def test_decimal_steps():
    """A decimal fraction is a multiple of another as people count, whatever its binary form."""
    assert violation(0.3, {"multipleOf": 0.1}) is None


def test_reference_in_a_circle():
    """References that lead in a circle come to an end."""
    assert violation(1, {"$ref": "#"}) is not None


def test_value_nested_deeply():
    """A value nested more deeply than any answer is a fault, not a crash."""
    value = []
    for _ in range(5000):
        value = [value]
    assert violation(value, {"items": {"$ref": "#"}}) is not None
