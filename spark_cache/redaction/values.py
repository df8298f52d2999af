"""What a value must look like to be a secret, once its name has raised the suspicion."""

from __future__ import annotations

import re

__all__ = [
    "is_connection",
    "is_given",
    "is_number",
    "is_opaque",
    "is_placeholder",
    "is_random",
    "is_random_id",
]

_LEAST_DISTINCT = 3
"""The least number of different characters in a secret."""

_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|redacted|changeme|change_me|dummy|your[-_ ]|[-_]here\b"
    r"|x{5,}|\*{3}|\.\.\.|…|<.*>|\$\{|\{\{|%\("
    # The whole value is a variable, the name of a type or the name of the secret itself.
    r"|\A(?:\$[A-Z_]+|\{\w+\}|str(?:ing)?|text|int(?:eger)?|number|bool(?:ean)?|object|array|none|null|true|false"
    r"|required|optional|password|passwd|passphrase|pwd|secret|token|bearer|basic|oauth2?|api[-_]?key)\Z"
)

_EXAMPLE_HOST = re.compile(r"(?i)\bexample\.(?:com|net|org)\b|\.example\b")
"""A host for documentation, which may be part of a value that is none, such as a cookie with its domain."""

_UUID = re.compile(r"(?i)(?<![0-9a-f])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-f])")

_LEAST_RANDOM = 16
"""The least number of letters and digits in a random string."""

_MOST_RANDOM = 256
"""The number of characters that settle whether a string is random."""

_ONE_WORD = re.compile(r"[A-Za-z0-9_.~+/=:%!@^|-]*")
_NO_LETTER_OR_DIGIT = re.compile(r"[^A-Za-z0-9]+")
_CHANGE = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
"""A change between small letters, capitals and digits. That a word begins with a capital is no such change."""

_LEAST_CHANGES = 0.18
"""The least share of such changes in a random string. Hexadecimal strings have 0.47, names and versions less than 0.15."""

_HASH = re.compile(r"(?:sha-?\d{1,3}|md5)[-:=]")
"""The beginning of a value that says that it is a hash, such as the ``integrity`` of a file."""

_CREDENTIALS = re.compile(
    r"(?i)://[^\s/@]{1,500}@|(?:^|[;&?,\s])[\w ]{0,40}(?:key|passw(?:or)?d|pwd|secret|sig|signature|token)\s?="
)


def is_placeholder(text: str) -> bool:
    """Return whether a string is a placeholder for a secret, as used in documentation.

    Args:
        text: The string.
    """
    return _PLACEHOLDER.search(text) is not None or len(set(text)) < _LEAST_DISTINCT


def is_given(value: str) -> bool:
    """Return whether a value is anything but blank or a placeholder, such as ``hunter``.

    Args:
        value: The value.
    """
    return bool(value.strip()) and not is_placeholder(_EXAMPLE_HOST.sub("", value))


def is_opaque(value: str) -> bool:
    """Return whether a value is one word with a digit and not a URL, such as ``hunter2`` or ``482913``.

    Args:
        value: The value.
    """
    if len(value) < 4 or any(char.isspace() for char in value):  # noqa: PLR2004 - the length of a PIN
        return False
    return any(char.isdigit() for char in value) and "://" not in value and not is_placeholder(value)


def is_number(value: str) -> bool:
    """Return whether a value has the form of a PIN, such as ``4821``. A digit of its own is a setting.

    Args:
        value: The value.
    """
    return 4 <= len(value) <= 12 and value.isdecimal()  # noqa: PLR2004 - the lengths of PINs and one-time passwords


def is_random(value: str) -> bool:
    """Return whether a value looks generated. Names, versions, dates, paths, UUIDs and hashes that say so do not.

    Args:
        value: The value.
    """
    if len(value) < _LEAST_RANDOM or "://" in value or _ONE_WORD.fullmatch(value) is None:
        return False
    start = _UUID.sub("", value[:_MOST_RANDOM])
    length = len(_NO_LETTER_OR_DIGIT.sub("", start))
    if length < _LEAST_RANDOM or _HASH.match(start) or is_placeholder(value):
        return False
    return sum(1 for _ in _CHANGE.finditer(start)) >= _LEAST_CHANGES * length


def is_random_id(value: str) -> bool:
    """Return whether a value looks generated or is a UUID.

    Args:
        value: The value.
    """
    return is_random(value) or _UUID.fullmatch(value) is not None


def is_connection(value: str) -> bool:
    """Return whether a value is a URL with a user or a list of settings with a secret, such as ``Server=a;Pwd=b``.

    Args:
        value: The value.
    """
    return _CREDENTIALS.search(value) is not None
