"""Profiles: where they are looked for, how one is read, and which files make one up."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from spark_cache.config.fields import dotted, nearest
from spark_cache.config.toml_lines import key_lines
from spark_cache.config.values import shown
from spark_cache.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from spark_cache.config.context import ConfigContext
    from spark_cache.config.fields import KeyPath
    from spark_cache.config.origins import Kind

__all__ = ["ALIASES", "TABLES", "ProfileFile", "Profiles", "is_profile_name"]

TABLES = frozenset({"cache", "description", "extends", "guard", "rules"})
"""What a profile may hold."""

ALIASES = {"dev": "development", "test": "testing", "stage": "staging", "prod": "production"}
"""Short names for the shipped profiles; a profile that is really called so comes first."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """One file that defines a profile, or a layer of one.

    Attributes:
        name: The profile's name.
        kind: The layer it belongs to.
        path: The file.
        data: Its content.
        lines: The line of every key in it.
        base: Where a relative path in it starts.
    """

    name: str
    kind: Kind
    path: Path
    data: Mapping[str, Any]
    lines: Mapping[KeyPath, int]
    base: Path

    def problem(self, message: str, *place: str | int) -> Problem:
        """Something wrong with the key at ``place``."""
        return Problem(message, str(self.path), self.line(*place), dotted(place) or None)

    def line(self, *place: str | int) -> int | None:
        """The line of the key at ``place``, or of the nearest key around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


def is_profile_name(name: str) -> bool:
    """Whether a profile may be called so: it becomes a file name."""
    return _NAME.fullmatch(name) is not None


class Profiles:
    """Finds and reads profiles, each file at most once.

    Args:
        around: The directories to look in.
        folder: The project's profiles, where a variable names them; else they are looked for.

    Attributes:
        tried: Every file that was looked for, and what became of it.
        doubtful: Files that were passed over though they look as if they were meant.
    """

    def __init__(self, around: ConfigContext, folder: Path | None = None) -> None:
        self._around = around
        self._folder = folder
        self._layers: dict[str, list[ProfileFile | Problem]] = {}
        self.tried: dict[Path, str] = {}
        self.doubtful: list[Problem] = []

    def find(self, name: str) -> str | None:
        """The profile that ``name`` means: the one called so, in any case of its letters, or its alias's."""
        if not is_profile_name(name):
            return None
        lower = name.lower()
        candidates = dict.fromkeys((name, lower, ALIASES.get(lower, lower)))
        return next((candidate for candidate in candidates if self.layers(candidate)), None)

    def names(self) -> tuple[str, ...]:
        """Every profile that can be found, sorted."""
        found = {path.stem for folder in self.folders() for path in folder.glob("*.toml")}
        return tuple(sorted(name for name in found if is_profile_name(name) and self.layers(name)))

    def folders(self) -> Iterator[Path]:
        """The folders that profiles are looked for in, highest first."""
        if self._folder is not None:
            yield self._folder
        else:
            yield from (folder / "profiles" for folder in self._around.project)
        yield self._around.user_profiles
        yield self._around.shipped

    def project_folder(self) -> Path:
        """Where a new profile of the project belongs: the nearest folder there is, else one at the project root."""
        if self._folder is not None:
            return self._folder
        folders = [parent / "profiles" for parent in self._around.project]
        return next((folder for folder in folders if os.path.isdir(folder)), folders[-1])

    def unknown(self, name: str) -> str:
        """What to say of a name that means no profile."""
        return f"there is no profile {shown(name)}{nearest(name, self.names())}"

    def layers(self, name: str) -> list[ProfileFile | Problem]:
        """The files of that name, highest first; a problem stands for one that cannot be used."""
        if name not in self._layers:
            user, shipped = self._around.user_profiles, self._around.shipped
            found = (
                self._project_layer(name),
                self._read(name, "user profile", user / f"{name}.toml", self._around.project_root),
                self._read(name, "shipped profile", shipped / f"{name}.toml", self._around.project_root),
            )
            self._layers[name] = [layer for layer in found if layer is not None]
        return self._layers[name]

    def chain(self, name: str) -> tuple[list[ProfileFile], list[Problem]]:
        """Every file that takes part in a profile, highest first, and what is wrong with them."""
        files: list[ProfileFile] = []
        problems: list[Problem] = []
        waiting = list(self.layers(name))
        while waiting:
            layer = waiting.pop(0)
            if isinstance(layer, Problem):
                problems.append(layer)
                continue
            if any(layer.path == file.path for file in files):
                circle = " → ".join(file.name for file in (*files, layer))
                problems.append(
                    files[-1].problem(f"profiles extend each other in a circle: {circle}", "extends")
                )
                break
            files.append(layer)
            extends = layer.data.get("extends")
            if extends is None:
                continue
            if not isinstance(extends, str):
                break  # its source says what is wrong with it
            base = self.find(extends)
            if base is None:
                problems.append(layer.problem(self.unknown(extends), "extends"))
                break
            if base == layer.name:
                if not waiting:
                    problems.append(layer.problem(f"there is no profile {base!r} below this one", "extends"))
                continue
            waiting = list(self.layers(base))
        return files, problems

    def _project_layer(self, name: str) -> ProfileFile | Problem | None:
        if self._folder is not None:
            return self._read(name, "project profile", self._folder / f"{name}.toml", self._folder.parent)
        for parent in self._around.project:
            path = parent / "profiles" / f"{name}.toml"
            if path == self._around.shipped / f"{name}.toml":
                break  # in a checkout of this library the shipped profiles are no project's
            layer = self._read(name, "project profile", path, parent)
            if isinstance(layer, ProfileFile) and "cache" not in layer.data:
                self.tried[path] = "passed over: no [cache] table"
                if layer.data and layer.data.keys() <= TABLES:
                    message = "is passed over, as it has no [cache] table: add one, which may be empty"
                    self.doubtful.append(Problem(message, str(path)))
            elif layer is not None:
                return layer
        return None

    def _read(self, name: str, kind: Kind, path: Path, base: Path) -> ProfileFile | Problem | None:
        """Read a profile; None where there is no such file."""
        if not os.path.lexists(path):  # false as well where this user may not search the folder
            self.tried[path] = "absent"
            return None
        content = _content(path)
        if isinstance(content, Problem):
            self.tried[path] = "unusable"
            return content
        self.tried[path] = "read"
        data, lines = content
        return ProfileFile(name, kind, path, data, lines, base)


def _content(path: Path) -> tuple[Mapping[str, Any], Mapping[KeyPath, int]] | Problem:
    """What a file holds, with the line of every key; or why that cannot be told."""
    if not os.path.isfile(path):
        return Problem("is not a regular file", str(path))
    text, line = "", None
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        return _parse(text)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        message = "is not UTF-8 text, as TOML must be"
    except RecursionError:
        message = "is nested too deeply to be read"
    except tomllib.TOMLDecodeError as error:
        message = f"is not valid TOML: {_TOML_PLACE.sub('', str(error))}"
        place = _TOML_PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
    except ValueError:  # tomllib passes on what int() says of thousands of digits
        message = "holds a number too long to be read"
    return Problem(message, str(path), line)


@lru_cache(maxsize=64)
def _parse(text: str) -> tuple[Mapping[str, Any], Mapping[KeyPath, int]]:
    """Values and lines, remembered by the text itself and so never stale: a model may load very often."""
    return tomllib.loads(text), key_lines(text)
