"""How a configuration is shown: values as people read them, and as JSON; of keys only their ids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_cache.config import values
from spark_cache.config.fields import FIELDS
from spark_cache.config.secret import key_ids

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_cache.config.fields import FieldSpec
    from spark_cache.config.origins import Origin
    from spark_cache.config.rules import Rule
    from spark_cache.errors import Problem

__all__ = [
    "formatted",
    "given",
    "in_words",
    "json_origin",
    "json_problem",
    "json_rule",
    "json_value",
    "layer",
    "legend",
    "rule_text",
    "short",
    "where",
]

_UNSET = "not set"
_FORMATS = {
    "lifetime": values.format_duration,
    "duration": values.format_duration,
    "size": values.format_size,
}


def formatted(name: str, value: Any) -> str:
    """A field's value as people write it: ``24h``, ``500MB``, ``true``."""
    if name == "rules":
        return "; ".join(rule_text(rule) for rule in value) or "none"
    if name in FIELDS:
        return _field_text(FIELDS[name], value)
    # A guard, as it is written.
    return _UNSET if value is None else ", ".join(value) if isinstance(value, list) else str(value).lower()


def _field_text(spec: FieldSpec, value: Any) -> str:
    if spec.is_secret:
        return key_ids(value) or _UNSET
    if spec.kind in _FORMATS:
        return _FORMATS[spec.kind](value)
    if spec.kind == "patterns":
        return ", ".join(map(values.without_keys, value)) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return _UNSET if value is None else values.without_keys(str(value))


def given(name: str, origin: Origin) -> str:
    """The value at one place, as it is written there."""
    if origin.kind == "default" and not isinstance(origin.raw, str):
        return formatted(name, origin.raw)
    return origin.value or _UNSET


def rule_text(rule: Rule) -> str:
    """A rule on one line."""
    settings = ", ".join(
        f"{name} = {str(value).lower() if name == 'sensitive' else formatted(name, value)}"
        for name, value in rule.settings
    )
    return f"{rule.provider or '*'}/{rule.model or '*'}: {settings}"


def where(origin: Origin) -> str:
    """The place of an origin: ``FILE:LINE``, or the variable, or the argument."""
    if origin.path is not None or origin.name is None:
        return origin.place
    return f"{origin.name} in the environment" if origin.kind == "environment" else origin.name


def layer(origin: Origin) -> str:
    """The layer of an origin, with the profile where it is one: ``shipped profile testing``."""
    return f"{origin.kind} {origin.profile}" if origin.profile else origin.kind


def in_words(origin: Origin) -> str:
    """An origin as a reader says it: ``cache.ttl in the shipped profile testing``."""
    if origin.kind == "default":
        return "built-in default"
    places = {
        "command line": "on the command line",
        "constructor": "in code",
        "environment": "in the environment",
        ".env": "in .env",
    }
    return f"{origin.name} {places.get(origin.kind) or f'in the {layer(origin)}'}"


def short(origin: Origin) -> str:
    """A place that fits half a terminal, ``shipped testing.toml:6``; :func:`legend` tells the file."""
    if origin.path is None:
        return where(origin)
    named = origin.kind if origin.profile is None else f"{origin.kind.split()[0]} {origin.path.name}"
    return named if origin.line is None else f"{named}:{origin.line}"


def legend(origins: Iterable[Origin]) -> list[str]:
    """The file that each short place stands for, one a line."""
    files = {short(replace(origin, line=None)): origin.path for origin in origins if origin.path is not None}
    return [f"{name} is {path}" for name, path in files.items()]


def json_value(name: str, value: Any) -> Any:
    """A field's value in JSON: numbers of seconds and MB, null for never, unlimited and not set."""
    if name == "rules":
        return [json_rule(rule) for rule in value]
    if name not in FIELDS:  # a guard, as it is written
        return value
    if FIELDS[name].is_secret:
        return (key_ids(value) or "").removeprefix("key id ").split(", key id ") if value else []
    if FIELDS[name].kind == "patterns":
        return [values.without_keys(pattern) for pattern in value]
    return (
        value if value is None or isinstance(value, bool | int | float) else values.without_keys(str(value))
    )


def json_rule(rule: Rule) -> dict[str, Any]:
    """A rule in JSON."""
    patterns = {"provider": rule.provider, "model": rule.model}
    settings = {
        name: value if name == "sensitive" else json_value(name, value) for name, value in rule.settings
    }
    return {name: pattern for name, pattern in patterns.items() if pattern is not None} | settings


def json_origin(origin: Origin, *, shadows: bool = True) -> dict[str, Any]:
    """An origin in JSON."""
    form: dict[str, Any] = {
        "kind": origin.kind,
        "name": origin.name,
        "file": None if origin.path is None else str(origin.path),
        "line": origin.line,
        "profile": origin.profile,
        "value": origin.value,
        "note": origin.note,
    }
    if shadows:
        form["shadows"] = [json_origin(below, shadows=False) for below in origin.shadows]
    return form


def json_problem(problem: Problem) -> dict[str, Any]:
    """A problem in JSON."""
    return {"source": problem.source, "line": problem.line, "key": problem.key, "message": problem.message}
