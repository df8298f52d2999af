"""Expand the paths that settings contain."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.config.values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["UnusablePath", "expand_path", "home", "is_location_variable", "is_quoted", "path"]

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_QUOTES = frozenset("'\"")
_LOCATIONS = frozenset({"HOME", "TMPDIR", "USER"})


class UnusablePath(NamedTuple):
    """A path that cannot be expanded. It is an error only if no higher layer sets another path."""

    reason: str


def path(raw: object) -> Path | None:
    """Parse a path given in code: text is expanded, and a relative path starts at the working directory."""
    if raw is None:
        return None
    if isinstance(raw, UnusablePath):
        raise ValueError(raw.reason)  # noqa: TRY004 - the reason why the value is not accepted
    return expand_path(raw, os.environ, Path.cwd)


def expand_path(
    raw: object,
    environ: Mapping[str, str],
    base: Callable[[], Path],
    is_allowed: Callable[[str], bool] | None = None,
) -> Path:
    """Return an absolute path. Symbolic links are not resolved.

    Args:
        raw: Text, in which ``~`` and ``$VARS`` are expanded, or a path object, which is not expanded.
        environ: The variables, including the one for the home directory.
        base: Returns the directory that a relative path starts at; called only for a relative path.
        is_allowed: Whether the path may refer to a variable. None allows every variable.

    Raises:
        ValueError: The value is not a path, or it refers to an unknown variable or user.
    """
    if isinstance(raw, os.PathLike):
        expanded = Path(raw)
    else:
        if not isinstance(raw, str) or not raw.strip() or "\0" in raw:
            raise ValueError(f"{shown(raw)} is not a path: use a path such as ./dev_cache or ~/.cache/app")
        if is_quoted(raw.strip()):
            raise ValueError(f"{shown(raw)} has quotes, which are part of the value: remove them")
        expanded = Path(_expand_variables(raw.strip(), environ, is_allowed))
        if expanded.parts[:1] == ("~",):
            expanded = home(environ).joinpath(*expanded.parts[1:])
        elif expanded.parts[:1] and expanded.parts[0].startswith("~"):
            try:
                expanded = expanded.expanduser()
            except RuntimeError:
                message = f"{shown(raw)} refers to the home directory of an unknown user"
                raise ValueError(message) from None
    return expanded if expanded.is_absolute() else base() / expanded


def is_quoted(text: str) -> bool:
    """Return whether a value begins or ends with a quote, which ``docker run --env-file`` keeps as part of the value."""
    return text[:1] in _QUOTES or text[-1:] in _QUOTES


def is_location_variable(name: str) -> bool:
    """Return whether a variable names a place on the machine. Paths in profiles and ``.env`` may refer to no others."""
    return name in _LOCATIONS or name.startswith("XDG_")


def home(environ: Mapping[str, str]) -> Path:
    """Return the home directory, or ``/`` if none is known, as container runtimes do."""
    folder = environ.get("HOME") or os.path.expanduser("~")  # Path.home() raises if none is known
    return Path(folder) if folder != "~" else Path("/")


def _expand_variables(raw: str, environ: Mapping[str, str], is_allowed: Callable[[str], bool] | None) -> str:
    def replace(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if is_allowed is not None and not is_allowed(name):
            raise ValueError(
                f"{shown(raw)} refers to the variable {name}: "
                "profiles and .env files can only use ~, $HOME, $USER, $TMPDIR and $XDG_…"
            )
        value = environ.get(name)
        if not value:  # an empty value would turn $DATA/cache into /cache
            state = "not set" if value is None else "empty"
            raise ValueError(f"{shown(raw)} refers to the variable {name}, which is {state}")
        return value

    return _VARIABLE.sub(replace, raw)
