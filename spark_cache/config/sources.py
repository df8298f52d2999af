"""The layers of the configuration, as sources for pydantic-settings.

Calling a source returns the values that it sets, by field. Each source also keeps the origin of every value. Other
settings classes can return the sources from ``settings_customise_sources``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from spark_cache.config.fields import (
    FIELDS,
    PROFILE_VARIABLES,
    PROFILES_DIR,
    VARIABLES,
    canonical_name,
    dotted,
    suggestion,
)
from spark_cache.config.guard import CONDITIONS, Condition
from spark_cache.config.origins import Kind, Origin, redacted
from spark_cache.config.profiles import TABLES
from spark_cache.config.rules import Rule, parse_rules
from spark_cache.config.values import expand_path, is_location_variable, is_quoted, shown
from spark_cache.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic.fields import FieldInfo

    from spark_cache.config.context import ConfigContext
    from spark_cache.config.dotenv import DotenvFile
    from spark_cache.config.profiles import ProfileFile

__all__ = [
    "ConstructorSource",
    "ProfileSource",
    "Setting",
    "Source",
    "VariableSource",
    "is_ours",
    "shown_name",
    "unread_variables",
]

_LONGEST_NAME = 40
"""The longest variable name that is shown. A longer one may contain part of an encryption key."""

_PREFIX = "SPARK_CACHE_"
_KNOWN = (*VARIABLES, *PROFILE_VARIABLES, PROFILES_DIR)
_CLOSE = 0.85


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of a field in one layer.

    Attributes:
        raw: The raw value.
        origin: The origin of the value.
        base: The directory at which a relative path starts. None means the working directory.
        from_file: Whether a file sets the value. Its paths can refer to few variables, so that no secret of the
            environment reaches a path.
    """

    raw: Any = field(repr=False)  # secrets are not redacted here
    origin: Origin
    base: Path | None = None
    from_file: bool = False

    def path(self, context: ConfigContext) -> Path:
        """Return the value as an absolute path.

        Args:
            context: The context that the layers are read from.

        Raises:
            ValueError: The value is not a valid path.
        """
        is_allowed = is_location_variable if self.from_file else None
        return expand_path(self.raw, context.environ, lambda: context.start(self.base), is_allowed)


class Source(PydanticBaseSettingsSource):
    """One layer of the configuration.

    Attributes:
        label: The name of the layer in messages.
        settings: The values that the layer sets, by field.
        rules: The rules of the layer, with their origins.
        conditions: The guard conditions of the layer.
        problems: The problems of the layer, except for values that cannot be parsed.
    """

    def __init__(self, label: str, settings_cls: type[BaseSettings] = BaseSettings) -> None:
        super().__init__(settings_cls)
        self.label = label
        self.settings: dict[str, Setting] = {}
        self.rules: list[tuple[Rule, Origin]] = []
        self.conditions: list[Condition] = []
        self.problems: list[Problem] = []

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the signature of the base class
        """Return the raw value of one field or None, its name, and False because the value is never JSON.

        Args:
            field: The field of the settings class.
            field_name: The name of the field.
        """
        setting = self.settings.get(field_name)
        return (None if setting is None else setting.raw), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return every value that this layer sets, by field."""
        return {name: setting.raw for name, setting in self.settings.items()}

    def _set(self, field: str, setting: Setting) -> None:
        """Add a value. A second spelling of the same field is a problem."""
        first, origin = self.settings.setdefault(field, setting), setting.origin
        if first is not setting:
            message = f"the same field is also set as {first.origin.name}: keep only one of them"
            self.problems.append(Problem(message, origin.source, origin.line, origin.name))


class ConstructorSource(Source):
    """The values that code passes. None counts as not given."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__("constructor")
        for name, raw in given.items():
            if raw is None:
                continue
            if name == "rules":
                self._rules(raw)
            elif name in FIELDS and name != "profile":
                self._set(name, Setting(raw, Origin("constructor", name, raw=redacted(name, raw))))
            else:
                hint = suggestion(name, (*(field for field in FIELDS if field != "profile"), "rules"))
                self.problems.append(Problem(f"unknown field{hint}", "constructor", key=name))

    def _rules(self, raw: object) -> None:
        rules, faults = parse_rules(raw)
        self.rules = [(rule, Origin("constructor", f"rules[{number}]")) for number, rule in rules]
        self.problems += [Problem(text, "constructor", key=dotted(key_path)) for key_path, text in faults]


class VariableSource(Source):
    """The variables of the process or of a ``.env`` file. Empty variables count as unset."""

    def __init__(self, variables: Mapping[str, str], file: DotenvFile | None = None) -> None:
        kind: Kind = "environment" if file is None else ".env"
        super().__init__(kind)
        for variable, spec in VARIABLES.items():
            # docker run --env-file keeps the carriage returns and quotes of the file.
            raw = variables.get(variable, "").strip()
            if file is None and len(raw) > 1 and is_quoted(raw):
                message = f"{shown(raw)} has quotes, which are part of the value: remove them"
                self.problems.append(Problem(message, kind, key=variable))
            elif raw:
                origin = Origin(
                    kind,
                    variable,
                    None if file is None else file.path,
                    None if file is None else file.lines[variable],
                    raw=redacted(spec.name, raw),
                )
                self._set(spec.name, Setting(raw, origin, from_file=file is not None))


class ProfileSource(Source):
    """A profile file."""

    def __init__(self, file: ProfileFile) -> None:
        super().__init__(str(file.path))
        self.file = file
        for key, value in file.data.items():
            if key not in TABLES:
                hint = suggestion(key, TABLES)
                misplaced = canonical_name(key) in FIELDS
                message = "move this key to [cache]" if misplaced else f"unknown top-level key{hint}"
                self.problems.append(file.problem(message, key))
            elif key in ("cache", "guard") and not isinstance(value, dict):
                self.problems.append(file.problem(f"must be a table: write [{key}]", key))
            elif key == "rules" and not isinstance(value, list):
                self.problems.append(file.problem("must be a list of tables: write [[rules]]", key))
            elif key in ("description", "extends") and not isinstance(value, str):
                self.problems.append(file.problem("must be a string", key))
            elif key == "cache":
                self._cache(value)
            elif key == "guard":
                self._guard(value)
            elif key == "rules":
                self._rules(value)

    def _origin(self, *key_path: str | int, raw: object = None) -> Origin:
        file = self.file
        return Origin(file.kind, dotted(key_path), file.path, file.line(*key_path), file.name, raw)

    def _cache(self, table: Mapping[str, Any]) -> None:
        file = self.file
        for key, value in table.items():
            name = canonical_name(key)
            spec = FIELDS.get(name)
            if name == "encryption_keys" or key in ("encryption_key", "SPARK_CACHE_ENCRYPTION_KEY"):
                message = (
                    "a profile must not contain encryption keys: set SPARK_CACHE_ENCRYPTION_KEY in the environment, "
                    "or set encryption_key_file to the path of a key file"
                )
                self.problems.append(file.problem(message, "cache", key))
            elif spec is None or not spec.in_profiles:
                known = [field for field, spec in FIELDS.items() if spec.in_profiles]
                self.problems.append(
                    file.problem(
                        f"unknown key in [cache]{suggestion(key, (*known, 'ttl', 'max_size'))}", "cache", key
                    )
                )
            else:
                self._set(
                    name, Setting(value, self._origin("cache", key, raw=value), file.base, from_file=True)
                )

    def _guard(self, table: Mapping[str, Any]) -> None:
        for name, value in table.items():
            spec = CONDITIONS.get(name)
            if spec is None:
                message = f"unknown condition in [guard]{suggestion(name, CONDITIONS)}"
                self.problems.append(self.file.problem(message, "guard", name))
                continue
            try:
                parsed = spec.parse(value)
            except ValueError as error:
                self.problems.append(self.file.problem(str(error), "guard", name))
            else:
                self.conditions.append(Condition(name, parsed, self._origin("guard", name, raw=value)))

    def _rules(self, items: list[Any]) -> None:
        rules, faults = parse_rules(items)
        self.rules = [(rule, self._origin("rules", number)) for number, rule in rules]
        self.problems += [self.file.problem(text, *key_path) for key_path, text in faults]


def unread_variables(variables: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return every unknown variable that looks like one of this library, and a warning for each.

    Those are the variables with the prefix ``SPARK_CACHE_``, and misspelt ones such as ``SPARK_ENABLE_CAHCE``. Apache
    Spark has variables of its own, such as ``SPARK_HOME``.

    Args:
        variables: The variables of the process or of a ``.env`` file.
    """
    return [
        (name, f"unknown variable {shown_name(name)} is ignored{suggestion(name[:_LONGEST_NAME], _KNOWN)}")
        for name in variables
        if name not in _KNOWN
        and (
            name.startswith(_PREFIX)
            or name == _PREFIX[:-1]
            or (name.startswith("SPARK_") and get_close_matches(name, _KNOWN, n=1, cutoff=_CLOSE))
        )
    ]


def is_ours(name: str) -> bool:
    """Return whether a variable is a setting of this library, or carries its prefix.

    Args:
        name: The name of the variable.
    """
    return name in _KNOWN or name.startswith(_PREFIX)


def shown_name(name: str) -> str:
    """Return a variable name for a message. Only the prefix of a long name is shown, as it may contain a key.

    Args:
        name: The name.
    """
    return name if len(name) <= _LONGEST_NAME else f"{_PREFIX}…"
