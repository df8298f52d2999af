"""The JSON Schema of a profile, for editors and for validation outside Python."""

from __future__ import annotations

from typing import Any

from spark_cache.config.fields import FIELDS, LEVELS, FieldSpec
from spark_cache.config.format import json_value
from spark_cache.config.guard import CONDITIONS, ConditionSpec
from spark_cache.config.model import CacheConfig
from spark_cache.config.rules import RULE_FIELDS
from spark_cache.config.values import LARGEST, LONGEST, MOST_CHARACTERS
from spark_cache.types import Mode

__all__ = ["profile_schema"]

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_DURATION_TEXT = (
    rf"^\s*(?:{_NUMBER}|(?=[\d.])(?:{_NUMBER}[wW])?(?:{_NUMBER}[dD])?(?:{_NUMBER}[hH])?"
    rf"(?:{_NUMBER}[mM])?(?:{_NUMBER}[sS])?(?:{_NUMBER}[mM][sS])?)\s*$"
)
_SIZE_TEXT = rf"^\s*{_NUMBER}(?:\s*[kKmMgGtT]?[iI]?[bB])?\s*$"
_DURATION = [
    {"type": "number", "minimum": 0, "maximum": LONGEST},
    {"type": "string", "pattern": _DURATION_TEXT},
]
_TEXT = {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS}
_PATTERN = {"type": "string", "minLength": 1}

_FORMS: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "duration": {"anyOf": _DURATION},
    "ttl": {"anyOf": [*_DURATION, {"const": "never"}]},
    "size": {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": LARGEST},
            {"type": "string", "pattern": _SIZE_TEXT},
            {"const": "unlimited"},
        ]
    },
    "path": {"type": "string", "minLength": 1},
    "text": {"anyOf": [_TEXT, {"type": "integer"}]},
    "patterns": {"type": "array", "items": {"type": "string", "minLength": 1, "format": "regex"}},
    "modes": {"type": "array", "items": {"enum": [str(mode) for mode in Mode]}},
}


def profile_schema() -> dict[str, Any]:
    """Return the schema of a profile file, with a description, examples and the default of every key."""
    defaults = CacheConfig()
    cache = {
        key: _described(spec) | {"default": json_value(spec.name, getattr(defaults, spec.name))}
        for spec in FIELDS.values()
        if spec.in_profiles
        for key in (spec.name, spec.short)
        if key
    }
    rule = {
        key: _described(spec)
        for spec in FIELDS.values()
        if spec.name in RULE_FIELDS
        for key in (spec.name, spec.short)
        if key
    }
    both = [{"required": [spec.name, spec.short]} for spec in FIELDS.values() if spec.short]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A spark-cache profile",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "description": {"type": "string", "description": "What the profile is for."},
            "extends": {
                "type": "string",
                "description": "The profile whose settings this one overrides.",
                "examples": ["production"],
            },
            "cache": {
                "type": "object",
                "description": "The settings.",
                "additionalProperties": False,
                "properties": cache,
                "not": {"anyOf": both},
            },
            "rules": {
                "type": "array",
                "description": "Settings for matching models. For each field, the first matching rule that sets it applies.",
                "items": _rule_schema(rule),
            },
            "guard": {
                "type": "object",
                "description": "Conditions that the resolved configuration must meet, whichever layers its values come from.",
                "additionalProperties": False,
                "properties": {name: _described(spec) for name, spec in CONDITIONS.items()},
            },
        },
    }


def _rule_schema(settings: dict[str, Any]) -> dict[str, Any]:
    patterns = {
        "provider": _PATTERN
        | {"description": "A glob pattern for the provider name.", "examples": ["openai"]},
        "model": _PATTERN | {"description": "A glob pattern for the model name.", "examples": ["gpt-4o*"]},
        "sensitive": {
            "type": "boolean",
            "description": "Whether every request to these models is sensitive.",
            "examples": [True],
        },
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": patterns | settings,
        "allOf": [
            {"anyOf": [{"required": ["provider"]}, {"required": ["model"]}]},
            {"anyOf": [{"required": [key]} for key in ("sensitive", *settings)]},
        ],
        "not": {"required": ["ttl", "ttl_seconds"]},
    }


def _described(spec: FieldSpec | ConditionSpec) -> dict[str, Any]:
    if spec.kind == "choice":
        options = LEVELS[1:] if isinstance(spec, ConditionSpec) else spec.examples
        form: dict[str, Any] = {"enum": list(options)}
    else:
        form = dict(_FORMS[spec.kind])
    return form | {"description": spec.description, "examples": list(spec.examples)}
