"""The kinds of values: how each is parsed, shown, described in the reference and checked by the JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.config import paths, secret, values
from spark_cache.types import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "BOOLEAN",
    "DURATION",
    "KEYS",
    "MODES",
    "PATH",
    "PATTERNS",
    "REQUEST_PATHS",
    "SIZE",
    "TEXT",
    "TTL",
    "Kind",
    "choice",
    "log_level",
]

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LOG_LEVEL_ALIASES = {"warn": "WARNING", "fatal": "CRITICAL"}


class Kind(NamedTuple):
    """A kind of value.

    Attributes:
        parse: Parses text, a TOML value or a constructor argument. Raises ``ValueError`` if it is not accepted.
        accepts: What the reference says about accepted values.
        schema: The JSON Schema of the values in TOML.
        examples: Example values.
        format: Formats a parsed value other than None.
        unset: The text for None.
    """

    parse: Callable[[object], Any]
    accepts: str
    schema: Mapping[str, Any]
    examples: tuple[object, ...]
    format: Callable[[Any], str] = str
    unset: str = "not set"

    def text(self, value: Any) -> str:
        """Format a parsed value. Misplaced encryption keys are redacted."""
        return self.unset if value is None else values.without_keys(self.format(value))


def _plain(value: Any) -> str:
    return str(value).lower()


_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_DURATION_TEXT = (
    rf"^\s*(?:{_NUMBER}|(?=[\d.])(?:{_NUMBER}[wW])?(?:{_NUMBER}[dD])?(?:{_NUMBER}[hH])?"
    rf"(?:{_NUMBER}[mM])?(?:{_NUMBER}[sS])?(?:{_NUMBER}[mM][sS])?)\s*$"
)
_SIZE_TEXT = rf"^\s*{_NUMBER}(?:\s*[kKmMgGtT]?[iI]?[bB])?\s*$"
_DURATIONS = [
    {"type": "number", "minimum": 0, "maximum": values.LONGEST},
    {"type": "string", "pattern": _DURATION_TEXT},
]
_SIZES = [
    {"type": "number", "exclusiveMinimum": 0, "maximum": values.LARGEST},
    {"type": "string", "pattern": _SIZE_TEXT},
]
_TEXT = {"type": "string", "minLength": 1, "maxLength": values.MOST_CHARACTERS}
_PATTERN = {"type": "string", "minLength": 1, "format": "regex"}

_mode = values.choice(map(str, Mode))

BOOLEAN = Kind(
    values.boolean, "true or false, 1 or 0, yes or no, on or off", {"type": "boolean"}, (True,), _plain
)
DURATION = Kind(
    values.duration, "seconds, or 90s, 30m, 24h, 7d", {"anyOf": _DURATIONS}, ("1h",), values.format_duration
)
TTL = Kind(
    values.ttl,
    f"{DURATION.accepts}, or never",
    {"anyOf": [*_DURATIONS, {"const": "never"}]},
    ("24h", 3600, "never"),
    values.format_duration,
    unset="never",
)
SIZE = Kind(
    values.size,
    "MB of 2^20 bytes, or 500MB, 2GB, or unlimited",
    {"anyOf": [*_SIZES, {"const": "unlimited"}]},
    ("500MB", 1000, "unlimited"),
    values.format_size,
    unset="unlimited",
)
TEXT = Kind(values.text, "text", {"anyOf": [_TEXT, {"type": "integer"}]}, ("my-app",))
PATH = Kind(paths.path, "path", {"type": "string", "minLength": 1}, ("./path", "~/path"))
PATTERNS = Kind(
    values.patterns,
    "patterns",
    {"type": "array", "items": _PATTERN},
    (["KD-[0-9]{6}"],),
    lambda found: ", ".join(found) or "none",
)
REQUEST_PATHS = Kind(
    values.request_paths,
    "comma-separated paths, or none",
    {"type": "array", "items": {"type": "string", "pattern": r"^(body|headers|query)(\.[^.]+)+$"}},
    (["body.metadata", "headers.helicone-session-id"],),
    lambda found: ", ".join(found) or "none",
)
MODES = Kind(
    lambda raw: tuple(Mode(_mode(word)) for word in values.words(raw)),
    "modes",
    {"type": "array", "items": {"enum": [str(mode) for mode in Mode]}},
    (["replay"],),
)
KEYS = Kind(
    secret.fernet_keys, "comma-separated Fernet keys", {}, (), lambda keys: secret.key_ids(keys) or "not set"
)


def choice(options: Iterable[str], make: Callable[[str], Any] = str) -> Kind:
    """Return the kind of a value that is one of some words, in any case.

    Args:
        options: The words.
        make: Makes the parsed value from the word.
    """
    listed = tuple(map(str, options))
    parse = values.choice(listed)
    return Kind(lambda raw: make(parse(raw)), " | ".join(listed), {"enum": list(listed)}, listed)


def log_level() -> Kind:
    """Return the kind of a log level, which also has the other names that ``logging`` knows."""
    levels = choice(_LOG_LEVELS)

    def parse(raw: object) -> str | None:
        word = raw.strip().lower() if isinstance(raw, str) else ""
        return None if raw is None else levels.parse(_LOG_LEVEL_ALIASES.get(word, raw))

    return levels._replace(parse=parse)
