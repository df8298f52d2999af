"""The reference of environment variables, generated from the table of settings."""

from __future__ import annotations

from dataclasses import dataclass

from spark_cache.config.fields import PROFILE_VARIABLES, PROFILES_DIR, VARIABLES, FieldSpec
from spark_cache.config.format import formatted
from spark_cache.config.model import CacheConfig

__all__ = ["Variable", "dotenv_example", "variables"]

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
        field: The field that it sets, or None.
        type: The values that it accepts.
        default: The value that applies if it is not set.
        description: What it does.
    """

    name: str
    field: str | None
    type: str
    default: str
    description: str


def variables() -> tuple[Variable, ...]:
    """Return every variable that is read, in the order of the reference."""
    defaults = CacheConfig()
    profile_variables = [
        Variable(PROFILE_VARIABLES[0], "profile", "profile name", "not set", "The profile."),
        Variable(
            PROFILE_VARIABLES[1],
            "profile",
            "profile name",
            "not set",
            "The environment of the application. Selects the profile if SPARK_PROFILE is not set.",
        ),
    ]
    field_variables = [
        Variable(name, spec.name, spec.kind.accepts, _default(defaults, spec), _description(name, spec))
        for name, spec in VARIABLES.items()
    ]
    folder = Variable(
        PROFILES_DIR,
        None,
        "path",
        "the nearest profiles/ directory up to the project root",
        "The directory that holds the profiles of the project.",
    )
    return (*profile_variables, *field_variables, folder)


def dotenv_example() -> str:
    """Return the text of ``.env.example``: every variable with its description, commented out."""
    head = (
        "# Settings for spark-cache. Copy this file to .env and uncomment what you need.\n"
        "# Process variables take precedence over .env, and .env over profiles. Empty variables count as unset.\n"
    )
    parts = [
        f"# {variable.description}\n# {variable.type}; default: {variable.default}\n# {variable.name}={_example(variable)}\n"
        for variable in variables()
    ]
    return "\n".join((head, *parts))


def _default(defaults: CacheConfig, spec: FieldSpec) -> str:
    return _DEFAULT_DIR if spec.name == "cache_dir" else formatted(spec.name, getattr(defaults, spec.name))


def _description(name: str, spec: FieldSpec) -> str:
    return (
        spec.description
        if name == spec.variables[0]
        else f"An alias for {spec.variables[0]}. Set only one of them."
    )


def _example(variable: Variable) -> str:
    if variable.name in _EXAMPLE_VALUES:
        return _EXAMPLE_VALUES[variable.name]
    has_default = variable.default not in ("not set", _DEFAULT_DIR) and variable.field is not None
    return variable.default if has_default else ""
