"""The forms in which people write values, each with one parser and one way to print it back.

A parser takes whatever stands in a variable, a TOML file or a constructor and returns the value, or raises
``ValueError`` with a message that repeats what was written and says what is accepted.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "LARGEST",
    "LONGEST",
    "MOST_CHARACTERS",
    "boolean",
    "choice",
    "duration",
    "expand_path",
    "format_duration",
    "format_size",
    "home",
    "lifetime",
    "path",
    "patterns",
    "shown",
    "size",
    "text",
    "without_keys",
    "words",
]

LONGEST = 100 * 366 * 86400
"""The longest duration that is accepted, in seconds."""

LARGEST = 2**30
"""The largest size that is accepted, in MB."""

MOST_CHARACTERS = 200
"""The longest text that is accepted."""

_SHOWN = 60
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MEGABYTES = {"b": 1 / 2**20, "kb": 1 / 2**10, "mb": 1, "gb": 2**10, "tb": 2**20}
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?")
_DURATION = re.compile(
    r"(?:([\d.]+)w)?(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?(?:([\d.]+)ms)?", re.IGNORECASE
)
_SIZE = re.compile(r"([\d.]+)\s*([kmgt]?)i?b", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_KEY_FORM = re.compile(r"[A-Za-z0-9_-]{43}=")
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})

_DURATIONS = "seconds, or 90s, 30m, 24h, 7d, 1h30m"


def shown(raw: object) -> str:
    """What was written, on one line and cut short, for an error message; never a key that strayed there."""
    if isinstance(raw, dict):
        return "a table"
    form = repr(raw) if isinstance(raw, str | list | tuple) else str(raw)
    if isinstance(raw, bool):
        form = form.lower()
    form = without_keys(form)
    return form if len(form) <= _SHOWN else f"{form[: _SHOWN - 1]}…"


def without_keys(text: str) -> str:
    """The same text with anything that has the form of a Fernet key covered."""
    return _KEY_FORM.sub("(a key)", text)


def boolean(raw: object) -> bool:
    """True or false, or the words for them."""
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower() if isinstance(raw, str | int) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(
        f"{shown(raw)} is neither true nor false: write true or false, 1 or 0, yes or no, on or off"
    )


def duration(raw: object) -> float:
    """A span of time in seconds."""
    return _seconds(raw, accepted=_DURATIONS)


def lifetime(raw: object) -> float | None:
    """A span of time in seconds; None for ever."""
    if raw is None or (isinstance(raw, str) and raw.strip().lower() == "never"):
        return None
    return _seconds(raw, accepted=f"{_DURATIONS}, or never")


def size(raw: object) -> float | None:
    """A size in MB of 2^20 bytes; None for no limit."""
    if raw is None or (isinstance(raw, str) and raw.strip().lower() == "unlimited"):
        return None
    accepted = "MB of 2^20 bytes, or 500MB, 2GB, or unlimited"
    megabytes = _number(raw)
    if megabytes is None and isinstance(raw, str) and (found := _SIZE.fullmatch(raw.strip())):
        amount = _number(found[1])
        megabytes = None if amount is None else amount * _MEGABYTES[f"{found[2].lower()}b"]
    if megabytes is None:
        raise ValueError(f"{shown(raw)} is not a size: write {accepted}")
    if megabytes <= 0:
        raise ValueError(
            f"{shown(raw)} is not above 0: write {accepted}; enabled = false switches the cache off"
        )
    if not megabytes <= LARGEST:
        raise ValueError(f"{shown(raw)} is larger than 1024TB, the largest size accepted: write {accepted}")
    return _tidy(megabytes)


def choice(options: Iterable[str]) -> Callable[[object], str]:
    """A parser for one of a few words."""
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


def words(raw: object) -> tuple[str, ...]:
    """A list: commas in text, or an array."""
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError(
            f"{shown(raw)} is not a list of words: write words with commas between them, or an array of text"
        )
    return tuple(part.strip() for part in parts if part.strip())


def patterns(raw: object) -> tuple[str, ...]:
    """Regular expressions: an array, or one as text."""
    parts = (raw,) if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) and part for part in parts):
        raise ValueError(f"{shown(raw)} is not a list of patterns: write an array of text")
    for part in parts:
        try:
            re.compile(part)
        except re.error as error:
            raise ValueError(f"{shown(part)} is not a regular expression of Python: {error}") from None
    return tuple(parts)


def text(raw: object) -> str | None:
    """A short text on one line; a whole number is taken as its digits."""
    if raw is None:
        return None
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    if not isinstance(raw, str) or not raw.strip() or len(raw) > MOST_CHARACTERS or not raw.isprintable():
        raise ValueError(
            f"{shown(raw)} is not accepted: write 1 to {MOST_CHARACTERS} printable characters on one line"
        )
    return raw


def path(raw: object) -> Path | None:
    """A path given in code: text expands with the process environment; the working directory is the base."""
    if raw is None:
        return None
    return expand_path(raw, os.environ, Path.cwd)


def expand_path(raw: object, environ: Mapping[str, str], base: Callable[[], Path]) -> Path:
    """Make an absolute path.

    Args:
        raw: Text, in which ``~`` and ``$VARS`` expand, or a path, which is taken as it is.
        environ: Where the variables and the home directory are looked up.
        base: The directory that a relative path starts from, asked for only when it is needed.

    Returns:
        The absolute path; symbolic links are left as they are.
    """
    if isinstance(raw, os.PathLike):
        place = Path(raw)
    else:
        if not isinstance(raw, str) or not raw.strip() or "\0" in raw:
            raise ValueError(f"{shown(raw)} is not a path: write for example ./dev_cache or ~/.cache/app")
        place = Path(_expand_variables(raw.strip(), environ))
        if place.parts[:1] == ("~",):
            place = home(environ).joinpath(*place.parts[1:])
        elif place.parts[:1] and place.parts[0].startswith("~"):
            try:
                place = place.expanduser()
            except RuntimeError:
                raise ValueError(f"{shown(raw)} names the home of a user that there is not") from None
    return place if place.is_absolute() else base() / place


def home(environ: Mapping[str, str]) -> Path:
    """The home directory; the root where none is known, as container runtimes have it."""
    folder = environ.get("HOME") or os.path.expanduser("~")  # Path.home() raises where none is known
    return Path(folder) if folder != "~" else Path("/")


def format_duration(seconds: float | None) -> str:
    """How a lifetime reads best: ``24h`` for 86400, ``never`` for None."""
    if seconds is None:
        return "never"
    for unit, least in (("d", 2), ("h", 1), ("m", 1)):  # one day reads as 24h
        count, rest = divmod(seconds, _SECONDS[unit])
        if not rest and count >= least:
            return f"{int(count)}{unit}"
    return f"{seconds}s"


def format_size(megabytes: float | None) -> str:
    """How a size reads best: ``2GB`` for 2048, ``unlimited`` for None."""
    if megabytes is None:
        return "unlimited"
    gigabytes, rest = divmod(megabytes, 1024)
    return f"{int(gigabytes)}GB" if gigabytes and not rest else f"{megabytes}MB"


def _seconds(raw: object, *, accepted: str) -> float:
    seconds = raw.total_seconds() if isinstance(raw, timedelta) else _number(raw)
    if seconds is None and isinstance(raw, str):
        seconds = _spelled_duration(raw)
    if seconds is None:
        raise ValueError(f"{shown(raw)} is not a duration: write {accepted}")
    if seconds < 0:
        raise ValueError(f"{shown(raw)} is negative: write {accepted}")
    if not seconds <= LONGEST:
        raise ValueError(
            f"{shown(raw)} is longer than 100 years, the longest duration accepted: write {accepted}"
        )
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
    """The number that was written, or None; nothing that is no finite number passes, and no boolean does."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        return None if raw != raw else raw  # noqa: PLR0124 - only a NaN differs from itself
    if isinstance(raw, str) and _NUMBER.fullmatch(raw.strip()):
        return float(raw)
    return None


def _tidy(number: float) -> float:
    """An integral number as an int, so that it prints as people write it."""
    return int(number) if number == int(number) else number


def _expand_variables(raw: str, environ: Mapping[str, str]) -> str:
    def replace(found: re.Match[str]) -> str:
        name: Any = found[1] or found[2]
        value = environ.get(name)
        if not value:  # an empty one would turn $DATA/cache into /cache
            state = "not set" if value is None else "empty"
            raise ValueError(f"{shown(raw)} names the variable {name}, which is {state}")
        return value

    return _VARIABLE.sub(replace, raw)
