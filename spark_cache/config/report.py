"""How a configuration is shown: values as people read them, and as JSON; of keys only their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.config import values
from spark_cache.config.fields import FIELDS
from spark_cache.config.secret import key_ids

if TYPE_CHECKING:
    from spark_cache.config.origins import Origin
    from spark_cache.config.rules import Rule
    from spark_cache.errors import Problem

__all__ = [
    "formatted",
    "given",
    "json_origin",
    "json_problem",
    "json_rule",
    "json_value",
    "rule_text",
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
    spec = FIELDS[name]
    if spec.is_secret:
        return key_ids(value) or _UNSET
    if spec.kind in _FORMATS:
        return _FORMATS[spec.kind](value)
    if isinstance(value, bool):
        return str(value).lower()
    return _UNSET if value is None else str(value)


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
    """An origin in words: its place, and the name it has there."""
    words = origin.place
    if origin.path is None and origin.name is not None:
        words = f"{origin.name} in the {origin.kind}" if origin.kind == "environment" else origin.name
    return words if origin.note is None else f"{words} ({origin.note})"


def json_value(name: str, value: Any) -> Any:
    """A field's value in JSON: numbers of seconds and MB, null for never, unlimited and not set."""
    if name == "rules":
        return [json_rule(rule) for rule in value]
    if FIELDS[name].is_secret:
        return (key_ids(value) or "").removeprefix("key id ").split(", key id ") if value else []
    return value if value is None or isinstance(value, bool | int | float) else str(value)


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
