"""Validation of JSON values against JSON Schemas."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_cache.calls.schema_validator import validator_of


def fault(value, schema):
    return validator_of(schema).fault(value)


TREE = {
    "$defs": {
        "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["value"]}
    },
    "$ref": "#/$defs/node",
}

CASES = {
    "type": ({"type": "string"}, ["a"], [1, None, True]),
    "types": ({"type": ["integer", "null"]}, [1, 1.0, None], [1.5, True, "1"]),
    "number": ({"type": "number"}, [1, 1.5], [True, "1"]),
    "const": ({"const": 1}, [1, 1.0], [True, "1"]),
    "enum": ({"enum": [0, "a", None, [1]]}, [0, "a", None, [1]], [False, [True]]),
    "bounds": ({"minimum": 1, "exclusiveMaximum": 3}, [1, 2.9, "x", True], [0, 3]),
    "other bounds": ({"exclusiveMinimum": 1, "maximum": 3}, [1.1, 3], [1, 4]),
    "multipleOf": ({"multipleOf": 0.5}, [1.5, 1, "x"], [0.35]),
    "lengths": ({"minLength": 2, "maxLength": 3}, ["ab", 1, "日本"], ["a", "abcd"]),
    "pattern": ({"pattern": "^a+$"}, ["aa", 1], ["ab"]),
    "items": (
        {"items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        [[1], "x"],
        [[], [1, "a"], [1, 2, 3]],
    ),
    "prefixItems": (
        {"prefixItems": [{"type": "string"}], "items": {"type": "integer"}},
        [[], ["a"], ["a", 1]],
        [[1], ["a", "b"]],
    ),
    "no more items": ({"prefixItems": [{"type": "string"}], "items": False}, [["a"]], [["a", 1]]),
    "uniqueItems": ({"uniqueItems": True}, [[1, 2], [1, True]], [[1, 1.0], [[1], [1]], [{"a": 1}, {"a": 1}]]),
    "properties": (
        {"properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
        [{"a": 1}, "x"],
        [{"a": "x"}, {}, {"a": 1, "b": 2}],
    ),
    "further properties": (
        {"properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
        [{"a": "x", "b": 1}],
        [{"b": "x"}],
    ),
    "patternProperties": (
        {"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False},
        [{"x1": 1}],
        [{"x1": "a"}, {"y": 1}],
    ),
    "propertyNames": ({"propertyNames": {"maxLength": 2}}, [{"ab": 1}], [{"abc": 1}]),
    "counts": ({"minProperties": 1, "maxProperties": 2}, [{"a": 1}], [{}, {"a": 1, "b": 2, "c": 3}]),
    "dependentRequired": ({"dependentRequired": {"a": ["b"]}}, [{"a": 1, "b": 2}, {"b": 1}], [{"a": 1}]),
    "anyOf": ({"anyOf": [{"type": "string"}, {"minimum": 3}]}, ["a", 3, None], [2]),
    "oneOf": ({"oneOf": [{"type": "integer"}, {"minimum": 3}]}, [1, 3.5, "a"], [3]),
    "allOf": ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, [3], [1, 3.5]),
    "not": ({"not": {"type": "string"}}, [1], ["a"]),
    "if": ({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 2}}, ["ab", 2], ["a", 1]),
    "reference": (TREE, [{"value": 1}, {"value": 1, "next": {"value": 2}}], [{"value": 1, "next": {}}]),
    "whole": ({"properties": {"child": {"$ref": "#"}}, "type": "object"}, [{"child": {}}], [{"child": 1}]),
    "boolean": ({"properties": {"a": False}}, [], [{"a": 1}, {"a": None}]),
    "anything": ({"properties": {"a": True}}, [{"a": 1}, {"a": None}], []),
    "annotations": (
        {"title": "T", "description": "D", "format": "date", "default": 3, "x-own": 1},
        ["x", 1],
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_keyword(name):
    """Each keyword accepts valid values and reports invalid ones."""
    schema, valid, invalid = CASES[name]
    assert [value for value in valid if fault(value, schema) is not None] == []
    assert [value for value in invalid if fault(value, schema) is None] == []


DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"

LIST = {
    "$id": "https://example.com/list",
    "$defs": {"item": {"$dynamicAnchor": "item"}},
    "type": "array",
    "items": {"$dynamicRef": "#item"},
}
DRAFT_CASES = {
    "contains": ({"contains": {"const": 1}, "maxContains": 2}, [[1], [1, 2, 1]], [[], [2], [1, 1, 1]]),
    "dependentSchemas": (
        {"dependentSchemas": {"a": {"required": ["b"]}}},
        [{}, {"b": 1}, {"a": 1, "b": 2}],
        [{"a": 1}],
    ),
    "unevaluatedItems": (
        {"allOf": [{"prefixItems": [{"type": "string"}]}], "unevaluatedItems": False},
        [[], ["a"]],
        [["a", 1]],
    ),
    "unevaluatedProperties": (
        {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
        [{}, {"a": 1}],
        [{"b": 1}],
    ),
    "$dynamicRef": (
        {
            "$id": "https://example.com/texts",
            "$ref": "list",
            "$defs": {"item": {"$dynamicAnchor": "item", "type": "string"}, "list": LIST},
        },
        [[], ["a"]],
        [[1]],
    ),
    "$recursiveRef": (
        {"$schema": DRAFT_2019, "type": "object", "additionalProperties": {"$recursiveRef": "#"}},
        [{}, {"a": {"b": {}}}],
        [{"a": {"b": 1}}],
    ),
    "dependencies": (
        {"$schema": DRAFT_7, "dependencies": {"a": ["b"], "c": {"required": ["d"]}}},
        [{}, {"a": 1, "b": 1}, {"c": 1, "d": 1}],
        [{"a": 1}, {"c": 1}],
    ),
}


@pytest.mark.parametrize("name", DRAFT_CASES)
def test_keyword_of_some_drafts(name):
    """A keyword that only some drafts define is checked in those drafts."""
    schema, valid, invalid = DRAFT_CASES[name]
    assert [value for value in valid if fault(value, schema) is not None] == []
    assert [value for value in invalid if fault(value, schema) is None] == []


@pytest.mark.parametrize(
    ("draft", "keyword", "value"),
    [
        (None, "dependencies", {"a": ["b"]}),
        (DRAFT_2020, "$recursiveRef", "#"),
        (DRAFT_2019, "$dynamicRef", "#"),
        (DRAFT_7, "unevaluatedItems", False),
        (DRAFT_7, "unevaluatedProperties", False),
        (DRAFT_7, "dependentSchemas", {}),
        (DRAFT_4, "contains", {}),
    ],
)
def test_keyword_of_another_draft(draft, keyword, value):
    """A keyword that the schema's draft would ignore is refused, so that no invalid response passes."""
    schema = {"items": {keyword: value}} if draft is None else {"$schema": draft, "items": {keyword: value}}
    with pytest.raises(ValueError, match="output_model") as caught:
        validator_of(schema)
    place = f"#/items/{keyword}"
    dialect = (draft or DRAFT_2020).rstrip("#")
    assert str(caught.value) == (
        f"output_model: {place} is not a keyword of {dialect}; name a draft that defines it in $schema"
    )


@pytest.mark.parametrize(
    ("draft", "schema", "value"),
    [
        (DRAFT_4, {"maximum": 3, "exclusiveMaximum": True}, 3),
        (DRAFT_7, {"items": [{"type": "integer"}], "additionalItems": False}, [1, 2]),
        (DRAFT_2019, {"items": [{"type": "integer"}], "additionalItems": False}, [1, 2]),
        (DRAFT_2020, {"prefixItems": [{"type": "integer"}], "items": False}, [1, 2]),
        (None, {"prefixItems": [{"type": "integer"}], "items": False}, [1, 2]),
    ],
)
def test_draft(draft, schema, value):
    """``$schema`` selects the draft; the default is 2020-12."""
    assert fault(value, schema if draft is None else {"$schema": draft, **schema}) is not None


def test_root_reference_with_a_draft():
    """A reference to the root of a schema with ``$schema`` keeps the decimal check of ``multipleOf``."""
    schema = {
        "$schema": DRAFT_2020,
        "properties": {"inner": {"$ref": "#"}, "price": {"multipleOf": 0.01}},
    }
    assert fault({"inner": {"price": 19.99}}, schema) is None
    assert fault({"inner": {"price": 19.999}}, schema) == '$.inner.price does not satisfy "multipleOf": 0.01'


def test_format_is_an_annotation():
    """``format`` is not checked."""
    assert fault("not a date", {"format": "date"}) is None


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
    """Any schema accepts exactly the values that the unmodified validator of its draft accepts."""
    schema = {"properties": {"value": schema}, "items": schema}
    value = {"value": value, "items": [value]}
    assert (fault(value, schema) is None) == jsonschema.Draft202012Validator(schema).is_valid(value)


FAULTS = {
    "property": (
        {"properties": {"a": {"type": "integer"}}},
        {"a": "CANARY"},
        '$.a does not satisfy "type": "integer"',
    ),
    "item": (
        {"items": {"properties": {"b": {"minimum": 3}}}},
        [{}, {"b": 1}],
        '$[1].b does not satisfy "minimum": 3',
    ),
    "root": ({"type": "object"}, ["CANARY"], '$ does not satisfy "type": "object"'),
    "several types": (
        {"type": ["integer", "null"]},
        "CANARY",
        '$ does not satisfy "type": ["integer", "null"]',
    ),
    "missing": ({"required": ["a", "b", "c"]}, {"a": "CANARY"}, '$ lacks the required "b", "c"'),
    "alternatives": (
        {"properties": {"a": {"anyOf": [{"type": "null"}, {"const": 1}]}}},
        {"a": "CANARY"},
        '$.a does not satisfy "anyOf": [{"type": "null"}, {"const": 1}]',
    ),
    "no alternative": (
        {"oneOf": [{"type": "null"}, {"const": 1}]},
        "CANARY",
        '$ does not satisfy "oneOf": no alternative matches',
    ),
    "two alternatives": (
        {"oneOf": [{"type": "string"}, {"minLength": 1}]},
        "CANARY",
        '$ does not satisfy "oneOf": more than one alternative matches',
    ),
    "nothing allowed": (
        {"properties": {"a": False}},
        {"a": "CANARY"},
        "$ holds a value that the schema does not allow",
    ),
    "pattern": ({"pattern": "^a+$"}, "CANARY", '$ does not satisfy "pattern": "^a+$"'),
    "long value": ({"enum": ["x" * 100]}, "CANARY", '$ does not satisfy "enum"'),
    "contains": ({"contains": {"const": 1}}, ["CANARY"], '$ does not satisfy "contains": {"const": 1}'),
    "minContains": (
        {"contains": {"const": 1}, "minContains": 2},
        ["CANARY", 1],
        '$ does not satisfy "minContains": 2',
    ),
    "additional property": (
        {"additionalProperties": False},
        {"CANARY": 1},
        '$ does not satisfy "additionalProperties": false',
    ),
    "unevaluated property": (
        {"unevaluatedProperties": False},
        {"CANARY": 1},
        '$ does not satisfy "unevaluatedProperties": false',
    ),
    "property name": (
        {"propertyNames": {"maxLength": 2}},
        {"CANARY": 1},
        '$ does not satisfy "propertyNames": {"maxLength": 2}',
    ),
    "name from the answer": (
        {"additionalProperties": {"type": "integer"}},
        {"CANARY": "x"},
        '$.* does not satisfy "type": "integer"',
    ),
    "unusual name": (
        {"properties": {"a b": {"type": "integer"}}},
        {"a b": "CANARY"},
        '$["a b"] does not satisfy "type": "integer"',
    ),
    "two faults": (
        {"properties": {"a": {"type": "integer"}}, "required": ["b"]},
        {"a": "CANARY"},
        '$.a does not satisfy "type": "integer"; $ lacks the required "b"',
    ),
    "many faults": (
        {"items": {"type": "null"}},
        ["CANARY"] * 7,
        "; ".join(f'$[{index}] does not satisfy "type": "null"' for index in range(5)) + "; and more",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_message(name):
    """A message names the path and the keyword, and quotes the schema only."""
    schema, value, message = FAULTS[name]
    assert fault(value, schema) == message


def marked(value):
    """A value in which every string and every name of a property is marked."""
    if isinstance(value, dict):
        return {f"CANARY{name}": marked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [marked(item) for item in value]
    return f"CANARY{value}" if isinstance(value, str) else value


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schema=SCHEMAS, value=VALUES)
def test_message_quotes_nothing(schema, value):
    """No message quotes a string or a property name of the value."""
    assert "CANARY" not in (fault(marked(value), {"items": schema, "additionalProperties": schema}) or "")


INVALID = {
    "type": ({"type": "strin"}, "#/type is invalid: 'strin' is not valid under any of the given schemas"),
    "bound": (
        {"properties": {"a/b": {"minimum": "x"}}},
        "#/properties/a~1b/minimum is invalid: 'x' is not of type 'number'",
    ),
    "pattern": ({"pattern": "("}, "#/pattern is invalid: '(' is not a 'regex'"),
    "patternProperties": (
        {"patternProperties": {"(": {}}},
        "#/patternProperties is invalid: '(' is not a 'regex'",
    ),
    "patternProperties of draft 4": (
        {"$schema": DRAFT_4, "patternProperties": {"(": {}}},
        "#/patternProperties/( is not a valid regular expression: missing ), unterminated subpattern at position 0",
    ),
    "draft": (
        {"$schema": "https://example.com/draft"},
        "#/$schema names an unknown draft: https://example.com/draft",
    ),
    "draft that is not a string": ({"$schema": 5}, "#/$schema must be a string"),
    "reference of draft 4": ({"$schema": DRAFT_4, "$ref": 5}, "#/$ref must be a string"),
    "reference to no schema": (
        {"title": "T", "$ref": "#/title"},
        "#/$ref leads to an invalid schema: 'T' is not of type 'object', 'boolean'",
    ),
    "reference to an invalid schema": (
        {"items": {"$ref": "#/x-own/a"}, "x-own": {"a": {"minimum": "x"}}},
        "#/items/$ref leads to an invalid schema: 'x' is not of type 'number'",
    ),
    "value that is not JSON": (
        {"enum": [{1}]},
        "the schema must be JSON: Object of type set is not JSON serializable",
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_schema(name):
    """An invalid schema is refused with its place."""
    schema, message = INVALID[name]
    with pytest.raises(ValueError, match="output_model") as caught:
        validator_of(schema)
    assert (type(caught.value), str(caught.value)) == (ValueError, f"output_model: {message}")


def test_long_message_about_a_schema():
    """A message about an invalid schema is cut."""
    with pytest.raises(ValueError, match="output_model") as caught:
        validator_of({"minimum": "x" * 1000})
    assert str(caught.value) == "output_model: #/minimum is invalid: '" + "x" * 262 + "…"


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"anyOf": [{}, {"$ref": "https://example.com/schema"}]}, "#/anyOf/1/$ref"),
        ({"$ref": "#/$defs/nowhere"}, "#/$ref"),
        ({"$dynamicRef": "#nowhere"}, "#/$dynamicRef"),
        ({"minimum": 3, "$ref": "#/minimum/0"}, "#/$ref"),
        ({"$ref": "other.json", "$id": "https://example.com/root"}, "#/$ref"),
        ({"x-own": {"$ref": "#/y"}, "$ref": "#/x-own"}, "#/x-own/$ref"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "#/items/$ref"),
    ],
)
def test_reference_that_cannot_be_resolved(schema, place):
    """A reference that leads out of the schema, or nowhere, is refused with its place."""
    with pytest.raises(ValueError, match="output_model") as caught:
        validator_of(schema)
    assert str(caught.value) == (
        f"output_model: {place} cannot be resolved within the schema; other documents are not fetched"
    )


def test_reference_causes_no_network_access(monkeypatch):
    """A remote reference is refused without opening a connection."""
    opened = []
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: opened.append(1))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: opened.append(1))
    with pytest.raises(ValueError, match="cannot be resolved"):
        validator_of({"$ref": "http://127.0.0.1:9/schema"})
    assert opened == []


def test_reference_by_id_and_anchor():
    """References by ``$id`` and ``$anchor`` are resolved within the schema."""
    schema = {
        "$id": "https://example.com/root",
        "properties": {"a": {"$ref": "number"}, "b": {"$ref": "#text"}},
        "$defs": {"n": {"$id": "number", "type": "number"}, "t": {"$anchor": "text", "type": "string"}},
    }
    assert fault({"a": 1, "b": "x"}, schema) is None
    assert fault({"a": "x"}, schema) == '$.a does not satisfy "type": "number"'
    assert fault({"b": 1}, schema) == '$.b does not satisfy "type": "string"'


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"contains": {"type": "string"}, "dependencies": {}, "$ref": {}}},
        {"enum": [{"dependencies": 1}], "default": {"$ref": "x"}},
    ],
)
def test_names_that_are_not_keywords(schema):
    """A property or a value with the name of a keyword is not treated as one."""
    assert fault({"dependencies": 1}, schema) is None


def test_decimal_steps():
    """A decimal fraction is a multiple of another in decimal, whatever its binary form."""
    assert fault(0.3, {"multipleOf": 0.1}) is None
    assert fault(19.99, {"multipleOf": 0.01}) is None
    assert fault(19.995, {"multipleOf": 0.01}) is not None
    assert fault(1e308, {"multipleOf": 5e-324}) is None


def test_reference_in_a_circle():
    """Circular references end with a fault."""
    assert fault(1, {"$ref": "#"}) == "$ is nested too deeply"
    assert fault({}, {"$ref": "#", "unevaluatedProperties": False}) == "$ is nested too deeply"


def test_value_nested_deeply():
    """A value nested too deeply is reported as a fault and does not crash."""
    value = []
    for _ in range(5000):
        value = [value]
    assert fault(value, {"items": {"$ref": "#"}}) == "$ is nested too deeply"


def test_value_nested_as_responses_are():
    """A value nested 100 levels deep is validated by a recursive schema."""
    value = {"value": 1}
    for _ in range(100):
        value = {"value": 1, "next": value}
    assert fault(value, TREE) is None


def test_schema_nested_deeply():
    """A schema nested too deeply, or one that contains itself, is refused."""
    deep, circular = {}, {}
    for _ in range(5000):
        deep = {"items": deep}
    circular["items"] = circular
    messages = []
    for schema in (deep, circular):
        with pytest.raises(ValueError, match="output_model") as caught:
            validator_of(schema)
        messages.append(str(caught.value))
    assert messages == [
        "output_model: the schema is nested too deeply",
        "output_model: the schema must be JSON: Circular reference detected",
    ]


def test_integers_of_more_than_64_bits():
    """A bound may be an integer of more than 64 bits."""
    assert fault(5, {"minimum": 2**70}) == f'$ does not satisfy "minimum": {2**70}'


def test_schema_is_compiled_once():
    """Equal schemas share one compiled validator, and a later change of a schema does not affect it."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    validator = validator_of(schema)
    assert validator_of(json.loads(json.dumps(schema))) is validator
    schema["properties"]["a"]["type"] = "string"
    assert validator.fault({"a": 1}) is None
    assert validator_of(schema) is not validator


def test_import_is_lazy():
    """Neither importing the package nor a pydantic model class imports ``jsonschema``."""
    program = """
import sys
import pydantic
from spark_cache.calls.structured import Output
class City(pydantic.BaseModel):
    name: str
Output(City)
assert "jsonschema" not in sys.modules
Output({"type": "object"})
assert "jsonschema" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
