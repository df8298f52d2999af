"""Secrets that only the name tells that they stand under: ``password``, ``api_key``, ``Cookie``."""

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
_TELLING = ("key", "secret", "passw", "pwd", "token", "cookie", "credential", "authorization", "passphrase")

_FEW = 3
"""A secret has more different characters than that."""

_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|redacted|changeme|change_me|dummy|your[-_ ]|[-_]here\b|x{5,}|\*{3}|\.\.\.|…|<.*>|\$\{|\{\{|%\("
)


def is_placeholder(text: str) -> bool:
    """Whether a text stands in a secret's place, as documentation has it."""
    return _PLACEHOLDER.search(text) is not None or len(set(text)) < _FEW


def may_name_secrets(text: str) -> bool:
    """Whether there is any word in a text that the name of a secret has; a quick look before :func:`assigned`."""
    lower = text.lower()
    return any(word in lower for word in _TELLING)


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether what stands under a name is a secret."""
    plain = _HUMP.sub("-", name).replace("_", "-").replace(".", "-").replace(" ", "-").lower()
    return _NAME.fullmatch(plain) is not None


def assigned(text: str) -> list[tuple[int, int, str]]:
    """Where a text gives a secret to a name, as ``.env`` files, code and JSON do: the span of the secret, and the name.

    A value without quotes counts only where it is no word and no expression of a programming language.
    """
    if not may_name_secrets(text):
        return []
    found = []
    for match in _IN_TEXT.finditer(text):
        name = match["name"]
        group = "quoted" if match["quoted"] is not None else "bare"
        if is_secret_name(name) and _is_telling(match[group]):
            found.append((*match.span(group), name))
    return found


def _is_telling(value: str) -> bool:
    """Whether a value looks chosen rather than described: it has a digit, and is no path, address or placeholder."""
    return any(char.isdigit() for char in value) and "://" not in value and not is_placeholder(value)
