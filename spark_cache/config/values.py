"""Parse and format setting values, with one parser per kind of value.

A parser accepts the raw value from a variable, a TOML file or a constructor. It returns the parsed value, or raises
``ValueError`` with a message that repeats the raw value and states what is accepted.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "LARGEST",
    "LONGEST",
    "MOST_CHARACTERS",
    "boolean",
    "choice",
    "duration",
    "format_duration",
    "format_size",
    "patterns",
    "request_paths",
    "shown",
    "size",
    "text",
    "ttl",
    "without_keys",
    "words",
]

LONGEST = 100 * 366 * 86400
"""The longest accepted duration, in seconds."""

LARGEST = 2**30
"""The largest accepted size, in MB of 2^20 bytes."""

MOST_CHARACTERS = 200
"""The maximum length of a text value."""

_SHOWN = 60
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MEGABYTES = {"b": 1 / 2**20, "kb": 1 / 2**10, "mb": 1, "gb": 2**10, "tb": 2**20}
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?")
_DURATION = re.compile(
    r"(?:([\d.]+)w)?(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?(?:([\d.]+)ms)?", re.IGNORECASE
)
_SIZE = re.compile(r"([\d.]+)\s*([kmgt]?)i?b", re.IGNORECASE)
_KEY_FORM = re.compile(r"[A-Za-z0-9_-]{43}=")
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})

_DURATIONS = "a number of seconds, or a value such as 90s, 30m, 24h, 7d or 1h30m"
_TTLS = "a number of seconds, a value such as 90s, 30m, 24h, 7d or 1h30m, or never"
_SIZES = "a number of MB (2^20 bytes), a value such as 500MB or 2GB, or unlimited"


def shown(raw: object) -> str:
    """Return a raw value for an error message: on one line, shortened, with misplaced encryption keys redacted."""
    if isinstance(raw, dict):
        return "a table"
    form = repr(raw) if isinstance(raw, str | list | tuple) else str(raw)
    if isinstance(raw, bool):
        form = form.lower()
    form = without_keys(form)
    return form if len(form) <= _SHOWN else f"{form[: _SHOWN - 1]}…"


def without_keys(text: str) -> str:
    """Return ``text`` with everything that looks like a Fernet key redacted."""
    return _KEY_FORM.sub("(a key)", text)


def boolean(raw: object) -> bool:
    """Parse a boolean, or a word or digit for one."""
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower() if isinstance(raw, str | int) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"{shown(raw)} is not a boolean: use true or false, 1 or 0, yes or no, on or off")


def duration(raw: object) -> float:
    """Parse a duration, in seconds."""
    return _seconds(raw, accepted=_DURATIONS)


def ttl(raw: object) -> float | None:
    """Parse a TTL, in seconds; None means that entries never expire."""
    if raw is None or (isinstance(raw, str) and raw.strip().lower() == "never"):
        return None
    return _seconds(raw, accepted=_TTLS)


def size(raw: object) -> float | None:
    """Parse a size, in MB of 2^20 bytes; None means that there is no limit."""
    if raw is None or (isinstance(raw, str) and raw.strip().lower() == "unlimited"):
        return None
    megabytes = _number(raw)
    if megabytes is None and isinstance(raw, str) and (found := _SIZE.fullmatch(raw.strip())):
        amount = _number(found[1])
        megabytes = None if amount is None else amount * _MEGABYTES[f"{found[2].lower()}b"]
    if megabytes is None:
        raise ValueError(f"{shown(raw)} is not a size: use {_SIZES}")
    if megabytes <= 0:
        raise ValueError(
            f"{shown(raw)} is not greater than 0: use {_SIZES}. To turn the cache off, set enabled = false"
        )
    if not megabytes <= LARGEST:
        raise ValueError(f"{shown(raw)} is larger than the maximum of 1024TB: use {_SIZES}")
    return _tidy(megabytes)


def choice(options: Iterable[str]) -> Callable[[object], str]:
    """Return a parser that accepts one of ``options``, in any case."""
    accepted = tuple(options)

    def parse(raw: object) -> str:
        word = raw.strip() if isinstance(raw, str) else None
        found = next(
            (option for option in accepted if word is not None and option.lower() == word.lower()), None
        )
        if found is None:
            raise ValueError(f"{shown(raw)} is not one of {', '.join(accepted)}")
        return found

    return parse


_REQUEST_PARTS = ("body", "headers", "query")
_CONVERSATION = frozenset({"content", "contents", "input", "inputText", "messages", "texts"})
"""The fields of a body that hold what the model is asked."""


def words(raw: object) -> tuple[str, ...]:
    """Parse a list of words: comma-separated text, or an array."""
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError(
            f"{shown(raw)} is not a list of words: use comma-separated words or an array of strings"
        )
    return tuple(part.strip() for part in parts if part.strip())


def patterns(raw: object) -> tuple[str, ...]:
    """Parse regular expressions: an array, or a single one as text."""
    parts = (raw,) if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) and part for part in parts):
        raise ValueError(f"{shown(raw)} is not a list of patterns: use an array of strings")
    for part in parts:
        try:
            re.compile(part)
        except re.error as error:
            raise ValueError(f"{shown(part)} is not a valid Python regular expression: {error}") from None
    return tuple(parts)


def request_paths(raw: object) -> tuple[str, ...]:
    """Parse paths of fields in a request: comma-separated text, an array, or ``none``. Names of headers become lower case."""
    found = () if isinstance(raw, str) and raw.strip().lower() == "none" else words(raw)
    for path in found:
        part, _, name = path.partition(".")
        if part not in _REQUEST_PARTS or not all(name.split(".")):
            raise ValueError(
                f"{shown(path)} is not a path in a request: use body., headers. or query. and a name, such as body.metadata"
            )
        if part == "body" and name.split(".")[0] in _CONVERSATION:
            raise ValueError(f"{shown(path)} is the conversation, which always is a part of the key")
    return tuple(path.lower() if path.startswith("headers.") else path for path in found)


def text(raw: object) -> str | None:
    """Parse a short text on one line; an integer is converted to its digits."""
    if raw is None:
        return None
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    if not isinstance(raw, str) or not raw.strip() or len(raw) > MOST_CHARACTERS or not raw.isprintable():
        raise ValueError(
            f"{shown(raw)} is not valid text: use 1 to {MOST_CHARACTERS} printable characters on one line"
        )
    return raw


def format_duration(seconds: float | None) -> str:
    """Format a duration or TTL: ``24h`` for 86400, ``never`` for None."""
    if seconds is None:
        return "never"
    for unit, least in (("d", 2), ("h", 1), ("m", 1)):  # one day is shown as 24h
        count, rest = divmod(seconds, _SECONDS[unit])
        if not rest and count >= least:
            return f"{int(count)}{unit}"
    return f"{seconds}s"


def format_size(megabytes: float | None) -> str:
    """Format a size in MB: ``2GB`` for 2048, ``unlimited`` for None."""
    if megabytes is None:
        return "unlimited"
    gigabytes, rest = divmod(megabytes, 1024)
    return f"{int(gigabytes)}GB" if gigabytes and not rest else f"{megabytes}MB"


def _seconds(raw: object, *, accepted: str) -> float:
    seconds = raw.total_seconds() if isinstance(raw, timedelta) else _number(raw)
    if seconds is None and isinstance(raw, str):
        seconds = _spelled_duration(raw)
    if seconds is None:
        raise ValueError(f"{shown(raw)} is not a duration: use {accepted}")
    if seconds < 0:
        raise ValueError(f"{shown(raw)} is negative: use {accepted}")
    if not seconds <= LONGEST:
        raise ValueError(f"{shown(raw)} is longer than the maximum of 100 years: use {accepted}")
    return _tidy(seconds)


def _spelled_duration(raw: str) -> float | None:
    found = _DURATION.fullmatch(raw.strip())
    if found is None or not any(found.groups()):
        return None
    total = 0.0
    for amount, unit in zip(found.groups(), ("w", "d", "h", "m", "s", "ms"), strict=True):
        if amount is None:
            continue
        number = _number(amount)
        if number is None:
            return None
        total += number * _SECONDS[unit]
    return total


def _number(raw: object) -> float | None:
    """Return the number that ``raw`` holds, or None if it holds none; booleans and NaN do not count as numbers."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        return None if raw != raw else raw  # noqa: PLR0124 - only a NaN differs from itself
    if isinstance(raw, str) and _NUMBER.fullmatch(raw.strip()):
        return float(raw)
    return None


def _tidy(number: float) -> float:
    """Return an integral number as an int, so that it prints without a decimal point."""
    return int(number) if number == int(number) else number
