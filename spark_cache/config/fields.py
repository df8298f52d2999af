"""Every setting there is: how its values are read, which variables name it, what it means.

The types and the defaults stand in :class:`spark_cache.CacheConfig`; everything else about a field stands here.
The sources, the reference of the variables and the schema of a profile are made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from spark_cache.config import secret, values
from spark_cache.types import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "FIELDS",
    "KEY_FIELDS",
    "LEVELS",
    "PROFILES_DIR",
    "PROFILE_VARIABLES",
    "VARIABLES",
    "FieldSpec",
    "KeyPath",
    "canonical_name",
    "dotted",
    "nearest",
]

LEVELS = ("off", "sensitive", "all")
"""The levels of encryption, weakest first."""

PROFILE_VARIABLES = ("SPARK_PROFILE", "ENVIRONMENT")
"""What names the profile, first things first."""

PROFILES_DIR = "SPARK_PROFILES_DIR"
"""What names the directory of the project's profiles."""

KEY_FIELDS = ("encryption_keys", "encryption_key_file")
"""Two ways to give the keys: a layer that gives one replaces both."""


KeyPath = tuple[str | int, ...]
"""The way to a key in a document: names, and the positions in arrays."""

_ALIKE = 0.6

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _mode(raw: object) -> Mode:
    return Mode(values.choice(Mode)(raw))


def _log_level(raw: object) -> str | None:
    return None if raw is None else values.choice(_LOG_LEVELS)(raw)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One setting.

    Attributes:
        name: The field of ``CacheConfig``, and the key in TOML.
        kind: The form of its values, as a reference names it.
        parse: Text, TOML value or constructor argument to value; ``ValueError`` says what is accepted.
        description: What it decides, in one or two sentences.
        examples: What people write.
        variables: The environment variables that set it, the preferred one first.
        short: Its short form in TOML.
        in_profiles: Whether a profile may set it.
    """

    name: str
    kind: str
    parse: Callable[[object], Any]
    description: str
    examples: tuple[object, ...]
    variables: tuple[str, ...] = ()
    short: str | None = None
    in_profiles: bool = True

    @property
    def is_secret(self) -> bool:
        """Whether its value must never be shown."""
        return self.name == "encryption_keys"

    @property
    def is_path(self) -> bool:
        """Whether a relative value starts at a place that its layer decides."""
        return self.kind == "path"


_SPECS = (
    FieldSpec(
        "profile",
        "name",
        values.text,
        "The profile that the settings were taken from.",
        ("testing",),
        variables=PROFILE_VARIABLES,
        in_profiles=False,
    ),
    FieldSpec(
        "enabled",
        "boolean",
        values.boolean,
        "Whether answers are read from the cache and stored in it.",
        (True,),
        variables=("SPARK_ENABLE_CACHE",),
    ),
    FieldSpec(
        "cache_dir",
        "path",
        values.path,
        "The directory of the entries. ~ and $VARS expand.",
        ("./dev_cache", "~/.cache/app"),
        variables=("SPARK_CACHE_DIR",),
    ),
    FieldSpec(
        "ttl_seconds",
        "lifetime",
        values.lifetime,
        "How long an answer may be served. 0 means neither read nor stored.",
        ("24h", 3600, "never"),
        variables=("SPARK_CACHE_TTL",),
        short="ttl",
    ),
    FieldSpec(
        "max_cache_size_mb",
        "size",
        values.size,
        "How large the cache may grow, in MB of 2^20 bytes, before old entries are removed.",
        ("500MB", 1000, "unlimited"),
        variables=("SPARK_CACHE_MAX_SIZE", "SPARK_CACHE_MAX_SIZE_MB"),
        short="max_size",
    ),
    FieldSpec(
        "cleanup_interval_seconds",
        "duration",
        values.duration,
        "How often expired entries are removed while the cache is in use.",
        ("1h",),
        variables=("SPARK_CACHE_CLEANUP_INTERVAL",),
    ),
    FieldSpec(
        "mode",
        "choice",
        _mode,
        "What a call may do with the cache.",
        tuple(str(mode) for mode in Mode),
        variables=("SPARK_CACHE_MODE",),
    ),
    FieldSpec(
        "namespace",
        "text",
        values.text,
        "Part of every key: requests in different namespaces never share an answer.",
        ("team-a",),
        variables=("SPARK_CACHE_NAMESPACE",),
    ),
    FieldSpec(
        "cache_version",
        "text",
        values.text,
        "Part of every key: a new version starts with an empty cache.",
        ("2",),
        variables=("SPARK_CACHE_VERSION",),
    ),
    FieldSpec(
        "endpoint",
        "text",
        values.text,
        "A name for the provider's address in keys, so that a recording serves behind any address.",
        ("recorded",),
        variables=("SPARK_CACHE_ENDPOINT",),
    ),
    FieldSpec(
        "encryption",
        "choice",
        values.choice(LEVELS),
        "Which entries are encrypted: none, those of sensitive requests, or all.",
        LEVELS,
        variables=("SPARK_CACHE_ENCRYPTION",),
    ),
    FieldSpec(
        "encryption_keys",
        "keys",
        secret.fernet_keys,
        "Fernet keys with commas between them, newest first. Never written in a profile.",
        (),
        variables=("SPARK_CACHE_ENCRYPTION_KEY",),
        in_profiles=False,
    ),
    FieldSpec(
        "encryption_key_file",
        "path",
        values.path,
        "A file of Fernet keys, one a line, newest first, that only its owner may read.",
        ("~/.config/app/cache.keys",),
        variables=("SPARK_CACHE_ENCRYPTION_KEY_FILE",),
    ),
    FieldSpec(
        "fsync",
        "boolean",
        values.boolean,
        "Whether a write waits until the disk has it.",
        (True,),
        variables=("SPARK_CACHE_FSYNC",),
    ),
    FieldSpec(
        "store_requests",
        "boolean",
        values.boolean,
        "Whether an entry holds its request beside the answer.",
        (True,),
        variables=("SPARK_CACHE_STORE_REQUESTS",),
    ),
    FieldSpec(
        "store_truncated",
        "boolean",
        values.boolean,
        "Whether answers that were cut at the token limit are stored.",
        (True,),
        variables=("SPARK_CACHE_STORE_TRUNCATED",),
    ),
    FieldSpec(
        "lock_timeout_seconds",
        "duration",
        values.duration,
        "How long a call waits for another that asks the same, before it asks the provider itself.",
        ("60s",),
        variables=("SPARK_CACHE_LOCK_TIMEOUT",),
    ),
    FieldSpec(
        "store",
        "choice",
        values.choice(("file", "memory")),
        "Where entries are kept.",
        ("file", "memory"),
        variables=("SPARK_CACHE_STORE",),
    ),
    FieldSpec(
        "log_level",
        "choice",
        _log_level,
        "The level of the logger spark_cache; unset leaves it to the application.",
        _LOG_LEVELS,
        variables=("SPARK_CACHE_LOG_LEVEL",),
    ),
    FieldSpec(
        "log_format",
        "choice",
        values.choice(("console", "json")),
        "The form of the log lines, where the library is asked to set up logging.",
        ("console", "json"),
        variables=("SPARK_CACHE_LOG_FORMAT",),
    ),
    FieldSpec(
        "allow_plaintext",
        "boolean",
        values.boolean,
        "Whether entries may be stored in plain text without a warning.",
        (False,),
    ),
    FieldSpec(
        "commit_entries",
        "boolean",
        values.boolean,
        "Whether the .gitignore that the cache writes lets its entries be committed.",
        (True,),
    ),
    FieldSpec(
        "recordings_expire",
        "boolean",
        values.boolean,
        "Whether entries that may be committed grow old; else they answer until they are recorded anew.",
        (True,),
    ),
    FieldSpec(
        "redact",
        "patterns",
        values.patterns,
        "Regular expressions of secrets beside the well-known ones; a group called secret is the part to hide.",
        (["KD-[0-9]{6}"],),
    ),
    FieldSpec(
        "redact_emails",
        "boolean",
        values.boolean,
        "Whether e-mail addresses count as secrets.",
        (True,),
    ),
)

FIELDS = {spec.name: spec for spec in _SPECS}
"""Every field but ``rules``, in the order in which reports list them."""

VARIABLES = {
    variable: spec for spec in _SPECS for variable in spec.variables if variable not in PROFILE_VARIABLES
}
"""The variables that set a field, and the field."""

_SHORT = {spec.short: spec.name for spec in _SPECS if spec.short}


def canonical_name(key: object) -> str:
    """The field that a key in TOML stands for, where it is a short form; else the key."""
    return _SHORT.get(str(key), str(key))


def dotted(place: KeyPath) -> str:
    """A key as people write it: ``rules[0].ttl``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message: the known name that was probably meant, or else what is known.

    Words in another order count as alike: people write ``SPARK_CACHE_ENABLED`` for ``SPARK_ENABLE_CACHE``.
    """
    names = sorted(known)
    long = canonical_name(word)
    if long in names:
        return f"; did you mean {long}?"
    likeness, close = max((_likeness(word, name), name) for name in names)
    return f"; did you mean {close}?" if likeness >= _ALIKE else f"; there are {', '.join(names)}"


def _likeness(one: str, other: str) -> float:
    pairs = ((one, other), (_in_order(one), _in_order(other)))
    return max(SequenceMatcher(None, *pair).ratio() for pair in pairs)


def _in_order(word: str) -> str:
    return "_".join(sorted(word.split("_")))
