"""Secrets that a text assigns to a name: lines of ``.env`` files, code, JSON, and the parameters of URLs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.redaction.names import Place, secret_test
from spark_cache.redaction.values import is_random

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Assigned", "assigned", "in_urls", "may_assign_secrets"]

_ASSIGNED = re.compile(
    r"""(?xi)
    (?<![A-Za-z0-9_.-])
    (?P<name>[A-Za-z0-9_]++(?:[.-][A-Za-z0-9_]++){0,6}+)
    (?:\\*["'])?
    \s{0,3}(?:=>|:=|=|:)\s{0,3}
    (?:
        \\*["'](?P<quoted>[^\s"'\\]{6,400})\\*["']
      | (?P<bare>(?=[^0-9\s]{0,200}[0-9])(?=[^A-Za-z\s]{0,200}[A-Za-z])[A-Za-z0-9_+/~-]{12,400}={0,2})(?![A-Za-z0-9.(\[])
    )
    """
)
_HINTS = ("key", "secret", "pass", "pwd", "token", "cookie", "cred", "auth", "jwt", "bearer", "hmac")

_PARAMETER = re.compile(
    r"""(?x)
    [?&\#;](?:amp;)?(?P<name>[A-Za-z][A-Za-z0-9_.-]{0,63})=(?P<value>[^\s?&\#"'<>;,()\[\]{}\\]{4,4096})
    """
)
_USER = re.compile(r"://(?P<value>[A-Za-z0-9_~.-]{16,255})@")


class Assigned(NamedTuple):
    """A secret in a text.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        name: The name that it is assigned to.
    """

    start: int
    end: int
    name: str


def may_assign_secrets(text: str) -> bool:
    """Return whether a text contains any word that occurs in names of secrets.

    This is a fast check that precedes :func:`assigned`.

    Args:
        text: The text.
    """
    lower = text.lower()
    return any(word in lower for word in _HINTS)


def assigned(text: str, place: Place) -> Iterator[Assigned]:
    """Find secrets that a text assigns to a name.

    A value without quotes counts only if it is neither a word nor an expression of a programming language.

    Args:
        text: The text.
        place: The place whose names and values are secrets.
    """
    for match in _ASSIGNED.finditer(text):
        name = match["name"]
        is_secret = secret_test(name, place)
        group = "bare" if match["quoted"] is None else "quoted"
        if is_secret is not None and is_secret(match[group]):
            yield Assigned(*match.span(group), name)


def in_urls(text: str, place: Place) -> Iterator[Assigned]:
    """Find secrets in the URLs of a text: parameters, and users without a password.

    Args:
        text: The text.
        place: The place whose names and values are secrets. In a query itself, the first parameter needs no question mark.
    """
    shift = 1 if place == "parameter" else 0
    for match in _PARAMETER.finditer(f"?{text}" if shift else text):
        is_secret = secret_test(match["name"], place)
        if is_secret is not None and is_secret(match["value"]):
            start, end = match.span("value")
            yield Assigned(start - shift, end - shift, match["name"])
    for match in _USER.finditer(text):
        if is_random(match["value"]):
            yield Assigned(*match.span("value"), "user")
