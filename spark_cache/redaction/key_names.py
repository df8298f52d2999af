"""Secrets that only the name of their field identifies: ``password``, ``api_key``, ``Cookie``."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["assigned", "is_placeholder", "is_secret_name", "may_name_secrets"]

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_WORDS = (
    r"authorization|(?:set-?)?cookie|passw(?:or)?d|passphrase|pwd|secret|credentials?"
    r"|api-?key|(?:secret|shared|account)-(?:access-)?key|access-key(?:-id)?|private-key|signing-key|encryption-key"
    r"|client-secret|(?:access|refresh|auth|bearer|id|session|security|csrf|xsrf|secret|api|personal)-token"
)
_NAME = re.compile(rf"(?:.*-)?(?:{_WORDS})", re.DOTALL)

_IN_TEXT = re.compile(
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
_HINTS = ("key", "secret", "passw", "pwd", "token", "cookie", "credential", "authorization", "passphrase")

_LEAST_DISTINCT = 3
"""The least number of different characters in a secret."""

_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|redacted|changeme|change_me|dummy|your[-_ ]|[-_]here\b|x{5,}|\*{3}|\.\.\.|…|<.*>|\$\{|\{\{|%\("
)


def is_placeholder(text: str) -> bool:
    """Return whether a string is a placeholder for a secret, as used in documentation.

    Args:
        text: The string.
    """
    return _PLACEHOLDER.search(text) is not None or len(set(text)) < _LEAST_DISTINCT


def may_name_secrets(text: str) -> bool:
    """Return whether a text contains any word that occurs in names of secrets.

    This is a fast check that precedes :func:`assigned`.

    Args:
        text: The text.
    """
    lower = text.lower()
    return any(word in lower for word in _HINTS)


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Return whether a field with this name contains a secret.

    Args:
        name: The name of the field.
    """
    plain = _HUMP.sub("-", name).replace("_", "-").replace(".", "-").replace(" ", "-").lower()
    return _NAME.fullmatch(plain) is not None


def assigned(text: str) -> list[tuple[int, int, str]]:
    """Find secrets that a text assigns to a name, as ``.env`` files, code and JSON do.

    A value without quotes counts only if it is neither a word nor an expression of a programming language.

    Args:
        text: The text.

    Returns:
        The start, the end and the name of each secret.
    """
    if not may_name_secrets(text):
        return []
    secrets = []
    for match in _IN_TEXT.finditer(text):
        name = match["name"]
        group = "quoted" if match["quoted"] is not None else "bare"
        if is_secret_name(name) and _looks_secret(match[group]):
            secrets.append((*match.span(group), name))
    return secrets


def _looks_secret(value: str) -> bool:
    """Return whether a value looks like a secret: it contains a digit and is not a URL or a placeholder."""
    return any(char.isdigit() for char in value) and "://" not in value and not is_placeholder(value)
