"""The reference of the environment variables, made from the table of the fields."""

from __future__ import annotations

from dataclasses import dataclass

from spark_cache.config.fields import PROFILE_VARIABLES, PROFILES_DIR, VARIABLES, FieldSpec
from spark_cache.config.format import formatted
from spark_cache.config.model import CacheConfig

__all__ = ["Variable", "dotenv_example", "variables"]

_KINDS = {
    "boolean": "true or false, 1 or 0, yes or no, on or off",
    "duration": "seconds, or 90s, 30m, 24h, 7d",
    "lifetime": "seconds, or 90s, 30m, 24h, 7d, or never",
    "size": "MB of 2^20 bytes, or 500MB, 2GB, or unlimited",
    "path": "path",
    "text": "text",
    "keys": "Fernet keys, comma-separated",
}
_DEFAULT_DIR = "~/.cache/spark/llm-responses"
_EXAMPLE_VALUES = {
    "SPARK_PROFILE": "development",
    "ENVIRONMENT": "development",
    "SPARK_CACHE_DIR": "./dev_cache",
}


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable.

    Attributes:
        name: The variable.
        field: The field it sets; None where it sets none.
        type: What it takes.
        default: What holds without it.
        description: What it decides.
    """

    name: str
    field: str | None
    type: str
    default: str
    description: str


def variables() -> tuple[Variable, ...]:
    """Every variable that is read, in the order of the reference."""
    defaults = CacheConfig()
    chosen = [
        Variable(PROFILE_VARIABLES[0], "profile", "name of a profile", "not set", "The profile."),
        Variable(
            PROFILE_VARIABLES[1],
            "profile",
            "name of a profile",
            "not set",
            "The profile, where SPARK_PROFILE does not name one; the application's own variable.",
        ),
    ]
    set_fields = [
        Variable(name, spec.name, _type(spec), _default(defaults, spec), _description(name, spec))
        for name, spec in VARIABLES.items()
    ]
    folder = Variable(
        PROFILES_DIR,
        None,
        "path",
        "the nearest profiles/ up to the project root",
        "The directory of the project's profiles.",
    )
    return (*chosen, *set_fields, folder)


def dotenv_example() -> str:
    """The text of ``.env.example``: every variable, commented out, with its meaning."""
    head = (
        "# Settings of spark-cache. Copy this file to .env and uncomment what you need.\n"
        "# A variable of the process wins over .env, and .env over the profiles; an empty one counts as unset.\n"
    )
    parts = [
        f"# {variable.description}\n# {variable.type}; default: {variable.default}\n# {variable.name}={_example(variable)}\n"
        for variable in variables()
    ]
    return "\n".join((head, *parts))


def _type(spec: FieldSpec) -> str:
    return " | ".join(str(option) for option in spec.examples) if spec.kind == "choice" else _KINDS[spec.kind]


def _default(defaults: CacheConfig, spec: FieldSpec) -> str:
    return _DEFAULT_DIR if spec.name == "cache_dir" else formatted(spec.name, getattr(defaults, spec.name))


def _description(name: str, spec: FieldSpec) -> str:
    return (
        spec.description
        if name == spec.variables[0]
        else f"Another name of {spec.variables[0]}: set one of the two."
    )


def _example(variable: Variable) -> str:
    if variable.name in _EXAMPLE_VALUES:
        return _EXAMPLE_VALUES[variable.name]
    known = variable.default not in ("not set", _DEFAULT_DIR) and variable.field is not None
    return variable.default if known else ""
