"""Format a configuration as text and as JSON. Encryption keys are shown by their IDs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.config import values
from spark_cache.config.fields import FIELDS
from spark_cache.config.kinds import BOOLEAN, PATTERNS, TEXT
from spark_cache.config.secret import key_ids

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_cache.config.origins import Origin
    from spark_cache.config.rules import Rule
    from spark_cache.errors import Problem

__all__ = [
    "describe",
    "formatted",
    "json_origin",
    "json_problem",
    "json_rule",
    "json_value",
    "layer_name",
    "legend",
    "location",
    "rule_text",
    "short_location",
    "written_value",
]


def formatted(name: str, value: Any) -> str:
    """Format the value of a field: ``24h``, ``500MB``, ``true``.

    Args:
        name: The field, ``rules`` or ``guard.NAME``.
        value: The parsed value; for a guard, the raw one.
    """
    if name == "rules":
        return "; ".join(rule_text(rule) for rule in value) or "none"
    if name in FIELDS:
        return FIELDS[name].kind.text(value)
    # A guard keeps the value as written.
    return ", ".join(value) if isinstance(value, list) else BOOLEAN.text(value)


def written_value(name: str, origin: Origin) -> str:
    """Format the value of a field as written at its origin, and the path that it was expanded to."""
    if origin.kind == "default":
        return formatted(name, origin.raw)
    written = origin.value or TEXT.unset
    return f"{written} → {origin.expanded}" if origin.expanded not in (None, written) else written


def rule_text(rule: Rule) -> str:
    """Format a rule on one line."""
    settings = ", ".join(
        f"{name} = {str(value).lower() if name == 'sensitive' else formatted(name, value)}"
        for name, value in rule.settings
    )
    return f"{rule.provider or '*'}/{rule.model or '*'}: {settings}"


def location(origin: Origin) -> str:
    """Format the location of an origin: ``FILE:LINE``, the variable or the argument."""
    if origin.kind == "derived":
        return describe(origin)
    if origin.path is not None or origin.name is None:
        return origin.place
    return f"{origin.name} in the environment" if origin.kind == "environment" else origin.name


def layer_name(origin: Origin) -> str:
    """Format the layer of an origin, including the profile name: ``shipped profile testing``."""
    return f"{origin.kind} {origin.profile}" if origin.profile else origin.kind


def describe(origin: Origin) -> str:
    """Describe an origin: ``cache.ttl in the shipped profile testing``."""
    if origin.kind == "default":
        return "built-in default"
    if origin.kind == "derived":
        return f"derived from {origin.name}"
    phrases = {
        "command line": "on the command line",
        "constructor": "in code",
        "environment": "in the environment",
        ".env": "in .env",
    }
    return f"{origin.name} {phrases.get(origin.kind) or f'in the {layer_name(origin)}'}"


def short_location(origin: Origin) -> str:
    """Format a location that fits half a terminal: ``shipped testing.toml:6``. :func:`legend` lists the full path."""
    if origin.path is None:
        return location(origin)
    named = origin.kind if origin.profile is None else f"{origin.kind.split()[0]} {origin.path.name}"
    return named if origin.line is None else f"{named}:{origin.line}"


def legend(origins: Iterable[Origin]) -> list[str]:
    """Return one line per file that :func:`short_location` abbreviates."""
    files = {
        short_location(origin._replace(line=None)): origin.path
        for origin in origins
        if origin.path is not None
    }
    return [f"{name} is {path}" for name, path in files.items()]


def json_value(name: str, value: Any) -> Any:
    """Return the value of a field for JSON: numbers of seconds and MB, null for never, unlimited and not set.

    Args:
        name: The field, ``rules`` or ``guard.NAME``.
        value: The parsed value; for a guard, the raw one.
    """
    if name == "rules":
        return [json_rule(rule) for rule in value]
    if name not in FIELDS:  # a guard keeps the value as written
        return value
    if FIELDS[name].is_secret:
        return (key_ids(value) or "").removeprefix("key id ").split(", key id ") if value else []
    if FIELDS[name].kind is PATTERNS:
        return [values.without_keys(pattern) for pattern in value]
    return (
        value if value is None or isinstance(value, bool | int | float) else values.without_keys(str(value))
    )


def json_rule(rule: Rule) -> dict[str, Any]:
    """Return a rule for JSON."""
    patterns = {"provider": rule.provider, "model": rule.model}
    settings = {
        name: value if name == "sensitive" else json_value(name, value) for name, value in rule.settings
    }
    return {name: pattern for name, pattern in patterns.items() if pattern is not None} | settings


def json_origin(origin: Origin, *, shadows: bool = True) -> dict[str, Any]:
    """Return an origin for JSON.

    Args:
        origin: The origin.
        shadows: Whether to include the origins that it shadows.
    """
    form: dict[str, Any] = {
        "kind": origin.kind,
        "name": origin.name,
        "file": None if origin.path is None else str(origin.path),
        "line": origin.line,
        "profile": origin.profile,
        "value": origin.value,
        "expanded": origin.expanded,
        "items": [json_origin(item, shadows=False) for item in origin.items],
        "note": origin.note,
    }
    if shadows:
        form["shadows"] = [json_origin(below, shadows=False) for below in origin.shadows]
    return form


def json_problem(problem: Problem) -> dict[str, Any]:
    """Return a problem for JSON."""
    return {"source": problem.source, "line": problem.line, "key": problem.key, "message": problem.message}
