"""Find and read profiles, and determine the files that define each one."""

from __future__ import annotations

import os
import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.config.fields import dotted, suggestion
from spark_cache.config.toml_lines import key_lines
from spark_cache.config.values import shown
from spark_cache.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

    from spark_cache.config.context import ConfigContext
    from spark_cache.config.fields import KeyPath
    from spark_cache.config.origins import Kind

__all__ = ["ALIASES", "TABLES", "ProfileFile", "Profiles", "is_profile_name"]

TABLES = frozenset({"cache", "description", "extends", "guard", "rules"})
"""The top-level keys of a profile."""

ALIASES = {"dev": "development", "test": "testing", "stage": "staging", "prod": "production"}
"""Short names for the shipped profiles. A profile with that exact name takes precedence."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOML_LOCATION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class ProfileFile(NamedTuple):
    """A file that defines a profile or one layer of it.

    Attributes:
        name: The name of the profile.
        kind: The layer that the file belongs to.
        path: The path of the file.
        data: The content of the file.
        lines: The line of every key in the file.
        base: The directory at which relative paths in the file start.
    """

    name: str
    kind: Kind
    path: Path
    data: Mapping[str, Any]
    lines: Mapping[KeyPath, int]
    base: Path

    def problem(self, message: str, *key_path: str | int) -> Problem:
        """Return a problem with a key."""
        return Problem(message, str(self.path), self.line(*key_path), dotted(key_path) or None)

    def line(self, *key_path: str | int) -> int | None:
        """Return the line of a key, or of the closest enclosing key that has one."""
        while key_path and key_path not in self.lines:
            key_path = key_path[:-1]
        return self.lines.get(key_path)


def is_profile_name(name: str) -> bool:
    """Return whether a name is valid for a profile and its file."""
    return _NAME.fullmatch(name) is not None


class Profiles:
    """The profiles that can be found. Each file is read at most once.

    Args:
        context: The context with the folders to search.
        folder: The folder with the profiles of the project, if a variable names it. Otherwise it is searched for.

    Attributes:
        tried: Every file that was looked for, and the outcome.
        warnings: A warning for each file that was skipped although it looks like a profile.
    """

    def __init__(self, context: ConfigContext, folder: Path | None = None) -> None:
        self._context = context
        self._folder = folder
        self._layers: dict[str, list[ProfileFile | Problem]] = {}
        self.tried: dict[Path, str] = {}
        self.warnings: list[Problem] = []

    def find(self, name: str) -> str | None:
        """Return the full name of a profile: an exact match, a match in another case, or the meaning of an alias."""
        if not is_profile_name(name):
            return None
        lower = name.lower()
        candidates = dict.fromkeys((name, lower, ALIASES.get(lower, lower)))
        found = next((candidate for candidate in candidates if self.layers(candidate)), None)
        return found or next((other for other in self.names() if other.lower() == lower), None)

    def names(self) -> tuple[str, ...]:
        """Return the names of all profiles that can be found, sorted."""
        found = {name for folder in self.folders() for name in _names_in(folder)}
        return tuple(sorted(name for name in found if is_profile_name(name) and self.layers(name)))

    def folders(self) -> Iterator[Path | Traversable]:
        """Yield the folders that are searched for profiles, highest precedence first."""
        if self._folder is not None:
            yield self._folder
        else:
            yield from (folder / "profiles" for folder in self._context.project)
        yield self._context.user_profiles
        yield self._context.shipped

    def project_folder(self) -> Path:
        """Return the folder for a new project profile: the nearest existing one, or one at the project root."""
        if self._folder is not None:
            return self._folder
        folders = [parent / "profiles" for parent in self._context.project]
        return next((folder for folder in folders if os.path.isdir(folder)), folders[-1])

    def unknown_message(self, name: str) -> str:
        """Return the error message for an unknown profile."""
        return f"unknown profile {shown(name)}{suggestion(name, self.names())}"

    def layers(self, name: str) -> list[ProfileFile | Problem]:
        """Return the files that define a profile, highest layer first, with a problem for each unusable file."""
        if name not in self._layers:
            user, shipped = self._context.user_profiles, self._context.shipped
            found = (
                self._project_layer(name),
                self._read(name, "user profile", user / f"{name}.toml", self._context.project_root),
                self._read(name, "shipped profile", shipped / f"{name}.toml", self._context.project_root),
            )
            self._layers[name] = [layer for layer in found if layer is not None]
        return self._layers[name]

    def chain(self, name: str) -> tuple[list[ProfileFile], list[Problem]]:
        """Return every file of a profile and its bases, highest layer first, and all problems with them."""
        files: list[ProfileFile] = []
        problems: list[Problem] = []
        waiting = list(self.layers(name))
        while waiting:
            layer = waiting.pop(0)
            if isinstance(layer, Problem):
                problems.append(layer)
                continue
            if any(layer.path == file.path for file in files):
                cycle = " → ".join(file.name for file in (*files, layer))
                problems.append(
                    files[-1].problem(f"profiles extend each other in a cycle: {cycle}", "extends")
                )
                break
            files.append(layer)
            extends = layer.data.get("extends")
            if extends is None:
                continue
            if not isinstance(extends, str):
                break  # its source reports the problem
            base = self.find(extends)
            if base is None:
                problems.append(layer.problem(self.unknown_message(extends), "extends"))
                break
            if base == layer.name:
                if not waiting:
                    message = f"this profile extends itself, but no lower layer defines {base!r}"
                    problems.append(layer.problem(message, "extends"))
                continue
            waiting = list(self.layers(base))
        return files, problems

    def _project_layer(self, name: str) -> ProfileFile | Problem | None:
        if self._folder is not None:
            return self._read(name, "project profile", self._folder / f"{name}.toml", self._folder.parent)
        for parent in self._context.project:
            path = parent / "profiles" / f"{name}.toml"
            if parent / "profiles" == self._context.shipped:
                break  # in a checkout of this library, the shipped profiles are not project profiles
            layer = self._read(name, "project profile", path, parent)
            if isinstance(layer, ProfileFile) and "cache" not in layer.data:
                self.tried[path] = "skipped: no [cache] table"
                if layer.data and layer.data.keys() <= TABLES:
                    message = (
                        "this file is skipped because it has no [cache] table: add one, which may be empty"
                    )
                    self.warnings.append(Problem(message, str(path)))
            elif layer is not None:
                return layer
        return None

    def _read(
        self, name: str, kind: Kind, file: Path | Traversable, base: Path
    ) -> ProfileFile | Problem | None:
        """Read a profile. Return None if the file does not exist."""
        path = file if isinstance(file, Path) else Path(str(file))
        # Also false if this user may not search the folder.
        if not (os.path.lexists(file) if isinstance(file, Path) else file.is_file()):
            self.tried[path] = "absent"
            return None
        content = _content(file)
        if isinstance(content, Problem):
            self.tried[path] = "unusable"
            return content
        self.tried[path] = "read"
        data, lines = content
        return ProfileFile(name, kind, path, data, lines, base)


def _names_in(folder: Path | Traversable) -> list[str]:
    try:
        listed = [entry.name for entry in folder.iterdir()]
    except (OSError, ValueError):
        # The folder does not exist or belongs to another user, as the home of root does under sudo -E.
        return []
    return [name.removesuffix(".toml") for name in listed if name.endswith(".toml")]


def _content(path: Path | Traversable) -> tuple[Mapping[str, Any], Mapping[KeyPath, int]] | Problem:
    """Return the content of a file and the line of every key, or the problem that prevents reading it."""
    if not (os.path.isfile(path) if isinstance(path, Path) else path.is_file()):
        return Problem("is not a regular file", str(path))
    text, line = "", None
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        return _parse(text)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        message = "is not UTF-8 text, which TOML requires"
    except RecursionError:
        message = "is nested too deeply to be parsed"
    except tomllib.TOMLDecodeError as error:
        message = f"is not valid TOML: {_TOML_LOCATION.sub('', str(error))}"
        location = _TOML_LOCATION.search(str(error))
        line = int(location[1]) if location and location[1] else text.count("\n") + 1
    except ValueError:  # tomllib does not catch the error of int() for thousands of digits
        message = "contains a number that is too long to be parsed"
    return Problem(message, str(path), line)


@lru_cache(maxsize=64)
def _parse(text: str) -> tuple[Mapping[str, Any], Mapping[KeyPath, int]]:
    """Return values and lines. The text is the cache key, so results are never stale; profiles are read very often."""
    return tomllib.loads(text), key_lines(text)
