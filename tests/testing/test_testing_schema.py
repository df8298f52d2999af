"""Values built from JSON schemas."""

from __future__ import annotations

from enum import Enum
from typing import Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field

from spark_cache.testing.standin.schema import UnmetSchemaError, example


class Colour(Enum):
    """Named values."""

    RED = "red"
    BLUE = "blue"


class Wheel(BaseModel):
    """Bounds on numbers and strings."""

    size: int = Field(gt=10, le=20, multiple_of=3)
    label: str = Field(min_length=12, max_length=14)


class Car(BaseModel):
    """References, lists, literals, unions and tuples."""

    colour: Colour
    wheels: list[Wheel] = Field(min_length=4)
    kind: Literal["car"]
    price: float = Field(ge=0.25, lt=0.5)
    nick: str | None
    corner: tuple[int, str]


class Tree(BaseModel):
    """A recursive model."""

    name: str
    children: list[Tree]
    parent: Tree | None


SCHEMAS = {
    "nothing": {},
    "anything": True,
    "text": {"type": "string"},
    "short text": {"type": "string", "maxLength": 3},
    "date": {"type": "string", "format": "date"},
    "type from properties": {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
    "first type that is not null": {"type": ["null", "boolean"]},
    "null": {"type": "null"},
    "const": {"const": {"a": 1}},
    "enum": {"enum": [3, 4]},
    "negative": {"type": "integer", "maximum": -3},
    "above an open bound": {"type": "integer", "exclusiveMinimum": 7},
    "below an open bound": {"type": "integer", "exclusiveMaximum": 1},
    "between open bounds": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "step": {"type": "number", "minimum": 0.1, "multipleOf": 0.25},
    "no element": {"type": "array", "items": False, "maxItems": 0},
    "three elements": {"type": "array", "items": {"type": "integer"}, "minItems": 3},
    "alternatives": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    "an undeclared property": {"type": "object", "required": ["free"]},
    "parts": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"$ref": "#/$defs/b"},
        ],
        "$defs": {"b": {"properties": {"b": {"type": "boolean"}}, "required": ["b"]}},
    },
    "escaped reference": {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "boolean"}}},
    "a model": Car.model_json_schema(),
    "a recursive model": Tree.model_json_schema(),
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_an_example_fits_its_schema(schema):
    """A value built from a schema is valid under the schema."""
    jsonschema.validate(example(schema), schema)


def test_optional_properties_are_filled_in():
    """Optional properties are included."""
    assert example({"type": "object", "properties": {"a": {"type": "boolean"}}}) == {"a": True}


def test_a_default_is_used():
    """The default of a schema is its value."""
    assert example({"type": "string", "default": "metric"}) == "metric"


IMPOSSIBLE = {
    "endless": {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]},
    "endless elements": {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
    "dangling reference": {"$ref": "#/$defs/nowhere"},
    "empty range": {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
    "no alternative": {"anyOf": [{"$ref": "#"}]},
    "unknown type": {"type": "colour"},
    "no schema": "string",
}


@pytest.mark.parametrize("schema", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_schema_is_an_error(schema):
    """A schema that no finite value fits raises an error."""
    with pytest.raises(UnmetSchemaError):
        example(schema)
