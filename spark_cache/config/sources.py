"""The layers of the configuration, as sources for pydantic-settings.

Each source returns its values together with their origins, so that the merge also yields the record of where each value
comes from and what it shadows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from spark_cache.config.fields import (
    FIELDS,
    KEY_FIELDS,
    PROFILE_VARIABLES,
    PROFILES_DIR,
    VARIABLES,
    canonical_name,
    closest,
    dotted,
    suggestion,
)
from spark_cache.config.guard import CONDITIONS, Condition
from spark_cache.config.kinds import PATH, REQUEST_PATHS
from spark_cache.config.origins import Origin, redacted
from spark_cache.config.paths import UnusablePath, is_quoted
from spark_cache.config.profiles import TABLES
from spark_cache.config.rules import Rule, parse_rules
from spark_cache.config.values import shown, words
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
    "DefaultSource",
    "PlacedRule",
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
_IN_PROFILES = [name for name, spec in FIELDS.items() if spec.in_profiles]
_IN_CODE = (*(name for name in FIELDS if name != "profile"), "rules")


class Setting(NamedTuple):
    """The value of a field in one layer. It is not parsed yet, but a path is expanded."""

    value: Any
    origin: Origin

    def __repr__(self) -> str:
        return f"Setting({self.origin!r})"  # the value may be a secret


class PlacedRule(NamedTuple):
    """A rule and its origin.

    Attributes:
        written: The whole rule, as its layer defines it.
        kept: The rule without the fields that higher layers set. None if nothing is left.
        origin: The origin of the rule.
    """

    written: Rule
    kept: Rule | None
    origin: Origin


class Source(PydanticBaseSettingsSource):
    """One layer of the configuration.

    Attributes:
        settings: The values that the layer sets, by field.
        rules: The rules of the layer, with their origins.
        conditions: The guard conditions of the layer, by name.
        problems: The problems of the layer, except for values that cannot be parsed.
    """

    def __init__(self, context: ConfigContext) -> None:
        super().__init__(BaseSettings)
        self._context = context
        self.settings: dict[str, Setting] = {}
        self.rules: list[tuple[Rule, Origin]] = []
        self.conditions: dict[str, Condition] = {}
        self.problems: list[Problem] = []

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the signature of the base class
        """Return the value of one field or None, its name, and False because the value is never JSON."""
        setting = self.settings.get(field_name)
        return (None if setting is None else setting.value), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return what this layer adds to the higher ones, which are in ``current_state``.

        pydantic-settings merges nested dictionaries. Everything of which all layers are kept is therefore numbered from
        the highest layer down.
        """
        above: dict[str, Any] = {"values": {}, "origins": {}, "rules": {}} | self.current_state
        values = {name: setting.value for name, setting in self.settings.items()}
        if not KEY_FIELDS.isdisjoint(above["values"]):
            values = {name: value for name, value in values.items() if name not in KEY_FIELDS}
        rules = [PlacedRule(rule, rule.without(above["values"]), origin) for rule, origin in self.rules]
        return {
            "values": values,
            "origins": {
                name: {len(above["origins"].get(name, ())): setting.origin}
                for name, setting in self.settings.items()
            },
            "rules": {len(above["rules"]): rules},
            "conditions": self.conditions,
        }

    def _set(self, field: str, raw: Any, origin: Origin, base: Path | None = None) -> None:
        """Add a value. A second spelling of the same field is a problem."""
        if field in self.settings:
            message = (
                f"the same field is also set as {self.settings[field].origin.name}: keep only one of them"
            )
            self.problems.append(origin.problem(message))
            return
        value = raw
        if FIELDS[field].kind is PATH:
            try:
                # No secret of the environment reaches a path that a file contains.
                path = self._context.expand(raw, base, from_file=origin.path is not None)
            except ValueError as error:
                value = UnusablePath(str(error))
            else:
                value, origin = path, origin._replace(expanded=str(path))
        self.settings[field] = Setting(value, origin)


class ConstructorSource(Source):
    """The values that code passes. None counts as not given."""

    def __init__(self, given: Mapping[str, Any], context: ConfigContext) -> None:
        super().__init__(context)
        for name, raw in given.items():
            if raw is None:
                continue
            if name == "rules":
                rules, faults = parse_rules(raw)
                self.rules = [(rule, Origin("constructor", f"rules[{number}]")) for number, rule in rules]
                self.problems += [Problem(text, "constructor", key=dotted(path)) for path, text in faults]
            elif name in _IN_CODE:
                self._set(name, raw, Origin("constructor", name, raw=redacted(name, raw)))
            else:
                message = f"unknown field{suggestion(name, _IN_CODE)}"
                self.problems.append(Problem(message, "constructor", key=name))


class VariableSource(Source):
    """The variables of the process or of a ``.env`` file. Empty variables count as unset."""

    def __init__(
        self, variables: Mapping[str, str], context: ConfigContext, file: DotenvFile | None = None
    ) -> None:
        super().__init__(context)
        for variable, spec in VARIABLES.items():
            # docker run --env-file keeps the carriage returns and quotes of the file.
            raw = variables.get(variable, "").strip()
            if not raw:
                continue
            origin = variable_origin(variable, redacted(spec.name, raw), file)
            if spec.kind is REQUEST_PATHS:
                origin = origin._replace(items=tuple(origin._replace(raw=item) for item in words(raw)))
            if file is None and len(raw) > 1 and is_quoted(raw):
                self.problems.append(
                    origin.problem(f"{shown(raw)} has quotes, which are part of the value: remove them")
                )
            else:
                self._set(spec.name, raw, origin)


class ProfileSource(Source):
    """A profile file."""

    def __init__(self, file: ProfileFile, context: ConfigContext) -> None:
        super().__init__(context)
        self.file = file
        for key, value in file.data.items():
            if key not in TABLES:
                misplaced = canonical_name(key) in FIELDS
                self._problem(
                    "move this key to [cache]"
                    if misplaced
                    else f"unknown top-level key{suggestion(key, TABLES)}",
                    key,
                )
            elif key in ("cache", "guard") and not isinstance(value, dict):
                self._problem(f"must be a table: write [{key}]", key)
            elif key == "rules" and not isinstance(value, list):
                self._problem("must be a list of tables: write [[rules]]", key)
            elif key in ("description", "extends") and not isinstance(value, str):
                self._problem("must be a string", key)
            elif key == "cache":
                self._cache(value)
            elif key == "guard":
                self._guard(value)
            elif key == "rules":
                rules, faults = parse_rules(value)
                self.rules = [(rule, self._origin("rules", number)) for number, rule in rules]
                for key_path, message in faults:
                    self._problem(message, *key_path)

    def _problem(self, message: str, *key_path: str | int) -> None:
        self.problems.append(self.file.problem(message, *key_path))

    def _origin(self, *key_path: str | int, raw: object = None) -> Origin:
        file = self.file
        items = enumerate(raw) if isinstance(raw, list) else ()
        return Origin(
            file.kind,
            dotted(key_path),
            file.path,
            file.line(*key_path),
            file.name,
            raw,
            items=tuple(self._origin(*key_path, number, raw=item) for number, item in items),
        )

    def _cache(self, table: Mapping[str, Any]) -> None:
        for key, value in table.items():
            name = canonical_name(key)
            if name in ("encryption_keys", "encryption_key", "SPARK_CACHE_ENCRYPTION_KEY"):
                self._problem(
                    "a profile must not contain encryption keys: set SPARK_CACHE_ENCRYPTION_KEY in the environment, "
                    "or set encryption_key_file to the path of a key file",
                    "cache",
                    key,
                )
            elif name in _IN_PROFILES:
                self._set(name, value, self._origin("cache", key, raw=value), self.file.base)
            else:
                hint = suggestion(key, (*_IN_PROFILES, "ttl", "max_size"))
                self._problem(f"unknown key in [cache]{hint}", "cache", key)

    def _guard(self, table: Mapping[str, Any]) -> None:
        for name, value in table.items():
            if name not in CONDITIONS:
                self._problem(f"unknown condition in [guard]{suggestion(name, CONDITIONS)}", "guard", name)
                continue
            try:
                parsed = CONDITIONS[name].kind.parse(value)
            except ValueError as error:
                self._problem(str(error), "guard", name)
            else:
                self.conditions[name] = Condition(name, parsed, self._origin("guard", name, raw=value))


class DefaultSource(Source):
    """The built-in defaults, and the default cache directory, which is derived from the environment."""

    def __init__(self, defaults: Mapping[str, Any], context: ConfigContext) -> None:
        super().__init__(context)
        for name, value in defaults.items():
            self.settings[name] = Setting(value, Origin("default", raw=value))
        self.settings["cache_dir"] = Setting(context.default_cache_dir, context.default_cache_dir_origin)


def variable_origin(variable: str, raw: object, file: DotenvFile | None) -> Origin:
    """Return the origin of the value of a variable.

    Args:
        variable: The variable.
        raw: Its value, with secrets wrapped.
        file: The ``.env`` file that sets it. None is the process environment.
    """
    if file is None:
        return Origin("environment", variable, raw=raw)
    return Origin(".env", variable, file.path, file.lines[variable], raw=raw)


def unread_variables(variables: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return every unknown variable that looks like one of this library, and a warning for each.

    Those are the variables with the prefix ``SPARK_CACHE_``, and misspelt ones such as ``SPARK_ENABLE_CAHCE``. Apache
    Spark has variables of its own, such as ``SPARK_HOME``.
    """
    return [
        (name, f"unknown variable {shown_name(name)} is ignored{suggestion(name[:_LONGEST_NAME], _KNOWN)}")
        for name in variables
        if name not in _KNOWN
        and (
            name.startswith(_PREFIX)
            or name == _PREFIX[:-1]
            or (name.startswith("SPARK_") and _is_misspelt(name))
        )
    ]


@lru_cache(maxsize=256)
def _is_misspelt(name: str) -> bool:
    return closest(name, _KNOWN)[0] >= _CLOSE


def is_ours(name: str) -> bool:
    """Return whether a variable is a setting of this library, or carries its prefix."""
    return name in _KNOWN or name.startswith(_PREFIX)


def shown_name(name: str) -> str:
    """Return a variable name for a message. Only the prefix of a long name is shown, as it may contain a key."""
    return name if len(name) <= _LONGEST_NAME else f"{_PREFIX}…"
