"""The JSON Schema of a profile, for editors and for validation outside Python."""

from __future__ import annotations

from typing import Any

from spark_cache.config.fields import FIELDS, FieldSpec
from spark_cache.config.format import json_value
from spark_cache.config.guard import CONDITIONS, ConditionSpec
from spark_cache.config.model import CacheConfig
from spark_cache.config.rules import RULE_FIELDS

__all__ = ["profile_schema"]

_PATTERN = {"type": "string", "minLength": 1}


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
    kind = spec.kind
    return {**kind.schema, "description": spec.description, "examples": list(kind.examples)}
