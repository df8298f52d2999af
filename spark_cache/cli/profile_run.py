"""The implementation of ``spark-cache profile``, separate from the declarations to keep ``--help`` fast."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any

import click
import tomli_w

from spark_cache.cli.output import print_json, table
from spark_cache.cli.text import harmless
from spark_cache.config.check import unreadable_values
from spark_cache.config.context import ConfigContext
from spark_cache.config.format import json_origin, json_problem, json_rule, rule_text
from spark_cache.config.origins import Origin
from spark_cache.config.profiles import ProfileFile, is_profile_name
from spark_cache.config.resolve import Resolution, resolve
from spark_cache.config.sources import ProfileSource
from spark_cache.config.values import without_keys
from spark_cache.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["run_list", "run_new", "run_show"]


def run_list(*, as_json: bool) -> None:
    """Print every profile that can be found.

    Args:
        as_json: Whether to print JSON.
    """
    resolution = resolve(None, {}, ConfigContext.of())
    listed = [_listed(name, resolution) for name in resolution.profiles.names()]
    if as_json:
        print_json(listed)
        return
    table(
        ("", "profile", "layers", "description"),
        [
            ("*" if row["in_effect"] else "", row["name"], ", ".join(row["layers"]), row["description"] or "")
            for row in listed
        ],
    )
    click.echo()
    for layer, folder in _folders(resolution).items():
        click.echo(f"{layer} profiles are in {folder}")


def run_show(name: str, *, as_json: bool) -> bool:
    """Print the settings of a profile, layer by layer. Return whether it has no problems.

    Args:
        name: The profile.
        as_json: Whether to print JSON.
    """
    context = ConfigContext.of()
    resolution = resolve(Origin("command line", "NAME", raw=name), {}, context)
    if resolution.choice.problems:
        raise ConfigError(resolution.choice.problems)
    layers = [source for source in resolution.sources if isinstance(source, ProfileSource)]
    _, problems = resolution.profiles.chain(str(resolution.choice.name))
    for layer in layers:
        problems += (*layer.problems, *unreadable_values(layer))
    if as_json:
        print_json(_json_profile(resolution, layers, problems))
    else:
        _print_profile(resolution, layers, problems)
    return not problems


def _print_profile(resolution: Resolution, layers: list[ProfileSource], problems: list[Problem]) -> None:
    click.echo(f"profile {resolution.choice.name}")
    for layer in layers:
        description = harmless(str(layer.file.data.get("description", "")))
        click.echo(f"{layer.file.kind} {layer.file.path}" + (f": {description}" if description else ""))
    rows: list[tuple[str, str, str]] = []
    seen: set[str] = set()
    for layer in layers:
        for field, setting in layer.settings.items():
            mark = " (shadowed)" if field in seen else ""
            rows.append((field, f"{setting.origin.value}{mark}", setting.origin.place))
        seen.update(layer.settings)
    rows += [("rule", rule_text(rule), origin.place) for layer in layers for rule, origin in layer.rules]
    rows += [
        (f"guard.{condition.name}", str(condition.origin.value), condition.origin.place)
        for condition in resolution.conditions
    ]
    click.echo()
    table(("setting", "value", "from"), rows)
    for problem in problems:
        click.echo(f"problem: {problem}")


def run_new(
    name: str,
    extends: str | None,
    assignments: tuple[str, ...],
    description: str | None,
    *,
    for_user: bool,
    as_json: bool,
) -> None:
    """Create a profile.

    Args:
        name: The name of the profile.
        extends: The profile that it extends, or None.
        assignments: The settings, as ``KEY=VALUE``.
        description: The description, or None.
        for_user: Whether to create a user profile instead of a project profile.
        as_json: Whether to print JSON.
    """
    if not is_profile_name(name):
        raise click.UsageError(f"{name!r} is not a valid profile name: use letters, digits, '.', '_' and '-'")
    data: dict[str, Any] = {"cache": {}}
    for assignment in assignments:
        _assign(data, assignment)
    header = {"description": description, "extends": extends}
    data = {key: text for key, text in header.items() if text is not None} | data
    context = ConfigContext.of()
    resolution = resolve(None, {}, context)
    folder = context.user_profiles if for_user else resolution.profiles.project_folder()
    path = folder / f"{name}.toml"
    _validate(name, path, data, resolution, context)
    _write(path, tomli_w.dumps(data))
    if as_json:
        print_json({"name": name, "file": str(path)})
    else:
        click.echo(f"wrote {path}")


def _write(path: Path, text: str) -> None:
    if os.path.lexists(path):
        raise click.UsageError(f"{path} already exists and is not overwritten: edit it, or remove it first")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError([Problem(f"cannot be written: {error.strerror}", str(path))]) from None


def _listed(name: str, resolution: Resolution) -> dict[str, Any]:
    layers = resolution.profiles.layers(name)
    descriptions = [layer.data.get("description") for layer in layers if isinstance(layer, ProfileFile)]
    return {
        "name": name,
        "in_effect": name == resolution.choice.name,
        "description": next((harmless(text) for text in descriptions if isinstance(text, str)), None),
        "layers": ["unusable" if isinstance(layer, Problem) else _layer_name(layer) for layer in layers],
        "files": [str(layer.source if isinstance(layer, Problem) else layer.path) for layer in layers],
    }


def _folders(resolution: Resolution) -> dict[str, Path]:
    """Return the folders that contain profiles, by layer."""
    names = resolution.profiles.names()
    layers = [layer for name in names for layer in resolution.profiles.layers(name)]
    return {_layer_name(layer): layer.path.parent for layer in layers if isinstance(layer, ProfileFile)}


def _layer_name(layer: ProfileFile) -> str:
    return layer.kind.split()[0]


def _assign(data: dict[str, Any], assignment: str) -> None:
    """Add ``key=value`` to its table. The value is parsed as TOML if possible, and is text otherwise."""
    key, equals, written = assignment.partition("=")
    table_name, dot, inner = key.strip().rpartition(".")
    if not equals or not inner or table_name not in ("", "cache", "guard"):
        raise click.UsageError(
            f"--set {without_keys(assignment)}: use KEY=VALUE, such as ttl=1h or guard.max_ttl=1h"
        )
    value: Any = written
    try:
        parsed = tomllib.loads(f"value = {written}")
    except tomllib.TOMLDecodeError:
        parsed = {}
    if list(parsed) == ["value"] and isinstance(parsed["value"], bool | int | float | str | list):
        value = parsed["value"]
    data.setdefault(table_name if dot else "cache", {})[inner] = value


def _validate(
    name: str, path: Path, data: dict[str, Any], resolution: Resolution, context: ConfigContext
) -> None:
    """Raise the problems that loading the profile would raise."""
    source = ProfileSource(ProfileFile(name, "project profile", path, data, {}, path.parent), context)
    problems = [*source.problems, *unreadable_values(source)]
    extends = data.get("extends")
    if extends is not None and resolution.profiles.find(extends) is None:
        problems.append(Problem(resolution.profiles.unknown_message(extends), str(path), key="extends"))
    if problems:
        raise ConfigError(problems)


def _json_profile(
    resolution: Resolution, layers: list[ProfileSource], problems: list[Problem]
) -> dict[str, Any]:
    return {
        "name": resolution.choice.name,
        "files": [
            {
                "kind": layer.file.kind,
                "file": str(layer.file.path),
                "profile": layer.file.name,
                "description": layer.file.data.get("description"),
                "cache": {
                    field: json_origin(setting.origin, shadows=False)
                    for field, setting in layer.settings.items()
                },
                "rules": [json_rule(rule) | {"place": origin.place} for rule, origin in layer.rules],
            }
            for layer in layers
        ],
        "guard": {
            condition.name: json_origin(condition.origin, shadows=False)
            for condition in resolution.conditions
        },
        "problems": [json_problem(problem) for problem in problems],
    }
