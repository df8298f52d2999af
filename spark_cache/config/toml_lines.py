"""Find the line of every key in a TOML document.

``tomllib`` returns values without line numbers. This module reads the same text again in one pass, in time linear in
its length. It validates nothing, so ``tomllib`` must have accepted the text before.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cache.config.fields import KeyPath

__all__ = ["key_lines"]

_TOKEN = re.compile(
    r"""
      [ \t\r]+ | \#[^\n]*                                   # skipped
    | (?P<long>
          \"{3} (?: \\. | (?!\"{3}) [^\\] )*+ \"{3,5}
        | '{3} (?: (?!'{3}) . )*+ '{3,5}
      )
    | (?P<text> "(?:\\.|[^"\\\n])*+" | '[^'\n]*' )
    | (?P<mark> [\[\]{}=,.\n] )
    | (?P<bare> [^\s\[\]{}=,.\#"']+ )
    """,
    re.VERBOSE | re.DOTALL,
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line, counted from 1, on which each key, table and array element of a TOML document begins."""
    return _Reader(text).read()


class _Reader:
    """A reader of tokens. ``_next`` is the next token, ``_line`` the line it is on."""

    def __init__(self, text: str) -> None:
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(text)
        self._lines: dict[KeyPath, int] = {}
        self._counts: dict[KeyPath, int] = {}
        self._line = 1
        self._next = ""
        self._advance()

    def read(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._next:
            if self._next == "\n":
                self._advance()
            elif self._next == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _advance(self) -> str:
        """Return the next token and move past it. Its newlines are counted only now."""
        taken = self._next
        self._line += taken.count("\n")
        for match in self._tokens:
            if match.lastgroup is not None:
                self._next = match[0]
                return taken
        self._next = ""
        return taken

    def _header(self) -> KeyPath:
        line = self._line
        self._advance()
        is_array = self._next == "["
        if is_array:
            self._advance()
        parts = self._key("]")
        self._advance()
        if is_array:
            self._advance()
        table: KeyPath = ()
        for depth, part in enumerate(parts, 1):
            table = (*table, part)
            if table in self._counts and not (is_array and depth == len(parts)):
                table = (*table, self._counts[table] - 1)
        if is_array:
            self._lines.setdefault(table, line)
            position = self._counts.get(table, 0)
            self._counts[table] = position + 1
            table = (*table, position)
        self._lines.setdefault(table, line)
        return table

    def _key(self, end: str) -> list[str]:
        parts = []
        while self._next != end:
            word = self._advance()
            if word != ".":
                parts.append(_unquoted(word))
        return parts

    def _pair(self, table: KeyPath) -> None:
        line = self._line
        for part in self._key("="):
            table = (*table, part)
            self._lines.setdefault(table, line)
        self._advance()
        self._value(table)

    def _value(self, key_path: KeyPath) -> None:
        if self._next == "[":
            self._array(key_path)
        elif self._next == "{":
            self._inline_table(key_path)
        else:
            while self._next not in ("\n", ",", "]", "}", ""):
                self._advance()

    def _array(self, key_path: KeyPath) -> None:
        position = 0
        self._advance()
        while self._next != "]":
            if self._next in ("\n", ","):
                self._advance()
                continue
            self._lines[*key_path, position] = self._line
            self._value((*key_path, position))
            position += 1
        self._advance()

    def _inline_table(self, key_path: KeyPath) -> None:
        self._advance()
        while self._next != "}":
            if self._next in ("\n", ","):
                self._advance()
                continue
            self._pair(key_path)
        self._advance()


def _unquoted(word: str) -> str:
    if word[0] not in "\"'":
        return word
    if "\\" not in word:
        return word[1:-1]
    key: str = tomllib.loads(f"key = {word}")["key"]
    return key
