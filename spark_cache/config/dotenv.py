"""The ``.env`` file: found, read, and its variables filled in."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from typing import TYPE_CHECKING, cast

from dotenv.parser import Binding, parse_stream
from dotenv.variables import parse_variables

from spark_cache.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["DotenvFile", "read_dotenv"]

_OURS = ("SPARK_", "ENVIRONMENT")


@dataclass(frozen=True, slots=True)
class DotenvFile:
    """What a ``.env`` file says.

    Attributes:
        path: The file.
        variables: Every variable in it and its value, references filled in.
        lines: The line of each variable, counted from 1.
        problems: Malformed lines that name a setting of ours, or that the file cannot be read.
        ignored: Other malformed lines: what else reads the file may understand them.
    """

    path: Path
    variables: Mapping[str, str] = field(repr=False)  # secrets are kept in such files
    lines: Mapping[str, int]
    problems: tuple[Problem, ...] = ()
    ignored: tuple[Problem, ...] = ()


def read_dotenv(path: Path, environ: Mapping[str, str]) -> DotenvFile:
    """Read a ``.env`` file.

    Args:
        path: The file.
        environ: The process environment, which wins where a ``${NAME}`` refers to it.

    Returns:
        What it says; the last line that sets a variable counts.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return DotenvFile(path, {}, {}, problems=(Problem(f"cannot be read: {cause}", str(path)),))
    variables: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    ignored: list[Problem] = []
    known: ChainMap[str, str | None] = ChainMap(
        cast("dict[str, str | None]", environ), cast("dict[str, str | None]", variables)
    )
    for binding in _bindings(text):
        written = binding.original.string
        # A binding begins with the blank lines above it.
        line = binding.original.line + written[: len(written) - len(written.lstrip())].count("\n")
        if binding.error:
            statement = written.strip().removeprefix("export ").lstrip()
            listed = problems if statement.startswith(_OURS) else ignored
            message = "this line is malformed: write NAME=value, with quotes around a value of several words"
            listed.append(Problem(message, str(path), line))
        elif binding.key is not None and binding.value is not None:
            variables[binding.key] = "".join(atom.resolve(known) for atom in parse_variables(binding.value))
            lines[binding.key] = line
    return DotenvFile(path, variables, lines, tuple(problems), tuple(ignored))


@lru_cache(maxsize=8)
def _bindings(text: str) -> tuple[Binding, ...]:
    """The statements, remembered by the text itself and so never stale: a model may load very often."""
    return tuple(parse_stream(StringIO(text)))
