"""Read a ``.env`` file. References such as ``${NAME}`` are not expanded, so no other secret reaches a setting."""

from __future__ import annotations

import re
from functools import lru_cache
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple

from dotenv.parser import Binding, parse_stream

from spark_cache.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["DotenvFile", "read_dotenv"]

_NAME = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)")


class DotenvFile(NamedTuple):
    """The content of a ``.env`` file.

    Attributes:
        path: The path of the file.
        variables: Every variable and its value.
        lines: The line of each variable, counted from 1.
        problems: Malformed lines that concern a setting of this library.
        unreadable: The reason why the file cannot be read.
        ignored: Other malformed lines, which another reader of the file may understand.
    """

    path: Path
    variables: Mapping[str, str]
    lines: Mapping[str, int]
    problems: tuple[Problem, ...] = ()
    unreadable: Problem | None = None
    ignored: tuple[Problem, ...] = ()

    def __repr__(self) -> str:
        return f"DotenvFile({str(self.path)!r})"  # the variables may be secrets


def read_dotenv(path: Path, is_ours: Callable[[str], bool]) -> DotenvFile:
    """Read a ``.env`` file.

    Args:
        path: The path of the file.
        is_ours: Whether a variable is a setting of this library.

    Returns:
        The content. If several lines set a variable, the last one counts.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "the file is not UTF-8 text"
        return DotenvFile(path, {}, {}, unreadable=Problem(f"cannot be read: {cause}", str(path)))
    variables: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    ignored: list[Problem] = []
    for binding in _bindings(text):
        written = binding.original.string
        # A binding includes the blank lines above it.
        line = binding.original.line + written[: len(written) - len(written.lstrip())].count("\n")
        if binding.error:
            name = _NAME.match(written)
            listed = problems if name is not None and is_ours(name[1]) else ignored
            message = "malformed line: use NAME=value, and quote values that contain spaces"
            listed.append(Problem(message, str(path), line))
        elif binding.key is not None and binding.value is not None:
            variables[binding.key] = binding.value
            lines[binding.key] = line
    return DotenvFile(path, variables, lines, tuple(problems), ignored=tuple(ignored))


@lru_cache(maxsize=8)
def _bindings(text: str) -> tuple[Binding, ...]:
    """Return the parsed lines. The text is the cache key, so results are never stale; ``.env`` is read very often."""
    return tuple(parse_stream(StringIO(text)))
