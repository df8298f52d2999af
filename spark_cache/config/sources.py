"""The layers that settings come from, as sources in the sense of pydantic-settings.

Each source, called, gives the values it sets by field; beside that it keeps where each stands. They can serve
in the ``settings_customise_sources`` of another settings class as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from spark_cache.config.fields import (
    FIELDS,
    PROFILE_VARIABLES,
    PROFILES_DIR,
    VARIABLES,
    canonical_name,
    dotted,
    nearest,
)
from spark_cache.config.guard import CONDITIONS, Condition
from spark_cache.config.origins import Kind, Origin, redacted
from spark_cache.config.profiles import TABLES
from spark_cache.config.rules import Rule, parse_rules
from spark_cache.config.values import expand_path
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
    "shown_name",
    "unread_variables",
]

_LONGEST_NAME = 40
"""The longest name of a variable that is shown: half a key has not run into it."""

_PREFIX = "SPARK_CACHE_"
_KNOWN = (*VARIABLES, *PROFILE_VARIABLES, PROFILES_DIR)


@dataclass(frozen=True, slots=True)
class Setting:
    """A value as one layer writes it.

    Attributes:
        raw: The value, unread.
        origin: Where it stands.
        base: Where a relative path starts; None means the working directory.
        beside: Variables that a path may name beside those of the process.
    """

    raw: Any = field(repr=False)  # a secret is not veiled here
    origin: Origin
    base: Path | None = None
    beside: Mapping[str, str] = field(default_factory=dict, repr=False)

    def path(self, around: ConfigContext) -> Path:
        """The value as an absolute path; ``ValueError`` says what is accepted."""
        known = {**self.beside, **around.environ} if self.beside else around.environ
        return expand_path(self.raw, known, lambda: self.base or around.cwd)


class Source(PydanticBaseSettingsSource):
    """One layer.

    Attributes:
        label: What to call it.
        settings: What it sets, by field.
        rules: Its rules, each with its place.
        conditions: What it demands.
        problems: What is wrong with it, beside values that cannot be read.
    """

    def __init__(self, label: str, settings_cls: type[BaseSettings] = BaseSettings) -> None:
        super().__init__(settings_cls)
        self.label = label
        self.settings: dict[str, Setting] = {}
        self.rules: list[tuple[Rule, Origin]] = []
        self.conditions: list[Condition] = []
        self.problems: list[Problem] = []

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base's signature
        """The value of one field, or None; never JSON that would have to be decoded."""
        setting = self.settings.get(field_name)
        return (None if setting is None else setting.raw), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Every value that this layer sets, by field."""
        return {name: setting.raw for name, setting in self.settings.items()}

    def _set(self, field: str, setting: Setting) -> None:
        """Note a value; a second spelling of the same field is a problem."""
        first, origin = self.settings.setdefault(field, setting), setting.origin
        if first is not setting:
            message = f"the same field is also given as {first.origin.name}: keep one"
            self.problems.append(Problem(message, origin.source, origin.line, origin.name))


class ConstructorSource(Source):
    """What the code gives; an argument of None counts as not given."""

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
                hint = nearest(name, (*(field for field in FIELDS if field != "profile"), "rules"))
                self.problems.append(Problem(f"there is no such field{hint}", "constructor", key=name))

    def _rules(self, raw: object) -> None:
        rules, faults = parse_rules(raw)
        self.rules = [(rule, Origin("constructor", f"rules[{number}]")) for number, rule in rules]
        self.problems += [Problem(text, "constructor", key=dotted(place)) for place, text in faults]


class VariableSource(Source):
    """Environment variables, of the process or of a ``.env`` file; an empty one counts as unset."""

    def __init__(self, variables: Mapping[str, str], file: DotenvFile | None = None) -> None:
        kind: Kind = "environment" if file is None else ".env"
        super().__init__(kind)
        for variable, spec in VARIABLES.items():
            raw = variables.get(variable)
            if raw and raw.strip():
                origin = Origin(
                    kind,
                    variable,
                    None if file is None else file.path,
                    None if file is None else file.lines[variable],
                    raw=redacted(spec.name, raw),
                )
                self._set(spec.name, Setting(raw, origin, beside={} if file is None else variables))


class ProfileSource(Source):
    """One file of a profile."""

    def __init__(self, file: ProfileFile) -> None:
        super().__init__(str(file.path))
        self.file = file
        for key, value in file.data.items():
            if key not in TABLES:
                hint = nearest(key, TABLES)
                misplaced = canonical_name(key) in FIELDS
                message = "belongs under [cache]" if misplaced else f"a profile has no such key{hint}"
                self.problems.append(file.problem(message, key))
            elif key in ("cache", "guard") and not isinstance(value, dict):
                self.problems.append(file.problem(f"must be a table: write [{key}]", key))
            elif key == "rules" and not isinstance(value, list):
                self.problems.append(file.problem("must be a list of tables: write [[rules]]", key))
            elif key in ("description", "extends") and not isinstance(value, str):
                self.problems.append(file.problem("must be text", key))
            elif key == "cache":
                self._cache(value)
            elif key == "guard":
                self._guard(value)
            elif key == "rules":
                self._rules(value)

    def _origin(self, *place: str | int, raw: object = None) -> Origin:
        file = self.file
        return Origin(file.kind, dotted(place), file.path, file.line(*place), file.name, raw)

    def _cache(self, table: Mapping[str, Any]) -> None:
        file = self.file
        for key, value in table.items():
            name = canonical_name(key)
            spec = FIELDS.get(name)
            if name == "encryption_keys" or key in ("encryption_key", "SPARK_CACHE_ENCRYPTION_KEY"):
                message = (
                    "keys do not belong in a profile: set SPARK_CACHE_ENCRYPTION_KEY in the environment, "
                    "or name a file with encryption_key_file"
                )
                self.problems.append(file.problem(message, "cache", key))
            elif spec is None or not spec.in_profiles:
                known = [field for field, spec in FIELDS.items() if spec.in_profiles]
                self.problems.append(
                    file.problem(
                        f"[cache] has no such key{nearest(key, (*known, 'ttl', 'max_size'))}", "cache", key
                    )
                )
            else:
                self._set(name, Setting(value, self._origin("cache", key, raw=value), file.base))

    def _guard(self, table: Mapping[str, Any]) -> None:
        for name, value in table.items():
            spec = CONDITIONS.get(name)
            if spec is None:
                message = f"[guard] has no such condition{nearest(name, CONDITIONS)}"
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
        self.problems += [self.file.problem(text, *place) for place, text in faults]


def unread_variables(variables: Mapping[str, str]) -> list[tuple[str, str]]:
    """Variables that look like ours and that nobody reads, each with what to say of it."""
    return [
        (name, f"nothing reads the variable {shown_name(name)}{nearest(name[:_LONGEST_NAME], _KNOWN)}")
        for name in variables
        if name.startswith(_PREFIX) and name not in VARIABLES
    ]


def shown_name(name: str) -> str:
    """A variable's name for a message: of a long one only what marks it as ours, as a key may have run into it."""
    return name if len(name) <= _LONGEST_NAME else f"{_PREFIX}…"
