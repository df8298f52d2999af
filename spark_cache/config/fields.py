"""The table of settings: how each value is parsed, which variables set it, and what it means.

:class:`spark_cache.CacheConfig` defines types and defaults. Everything else about a field is defined here.
The sources, the reference of variables and the profile schema are generated from this table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spark_cache.config.kinds import (
    BOOLEAN,
    DURATION,
    KEYS,
    PATH,
    PATTERNS,
    REQUEST_PATHS,
    SIZE,
    TEXT,
    TTL,
    Kind,
    choice,
    log_level,
)
from spark_cache.types import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    "closest",
    "dotted",
    "suggestion",
]

LEVELS = ("off", "sensitive", "all")
"""The encryption levels, weakest first."""

PROFILE_VARIABLES = ("SPARK_PROFILE", "ENVIRONMENT")
"""The variables that name the profile, highest precedence first."""

PROFILES_DIR = "SPARK_PROFILES_DIR"
"""The variable that names the directory of the project's profiles."""

KEY_FIELDS = frozenset({"encryption_keys", "encryption_key_file"})
"""The two fields that set encryption keys. A layer that sets one of them replaces both."""


KeyPath = tuple[str | int, ...]
"""The path of a key in a document: names, and positions in arrays."""

_MIN_SIMILARITY = 0.6


class FieldSpec(NamedTuple):
    """One setting.

    Attributes:
        name: The field of ``CacheConfig``, and the key in TOML.
        kind: The kind of its values.
        description: What the setting does, in one or two sentences.
        variables: The environment variables that set it, preferred one first.
        short: Its short form in TOML.
        in_profiles: Whether a profile may set it.
    """

    name: str
    kind: Kind
    description: str
    variables: tuple[str, ...] = ()
    short: str | None = None
    in_profiles: bool = True

    @property
    def is_secret(self) -> bool:
        """Whether the value must never be shown."""
        return self.kind is KEYS


_SPECS = (
    FieldSpec(
        "profile", TEXT, "The profile that the settings come from.", PROFILE_VARIABLES, in_profiles=False
    ),
    FieldSpec(
        "enabled",
        BOOLEAN,
        "Whether responses are read from the cache and stored in it.",
        ("SPARK_ENABLE_CACHE",),
    ),
    FieldSpec(
        "cache_dir",
        PATH,
        "The directory that holds the entries. ~ and $VARS are expanded.",
        ("SPARK_CACHE_DIR",),
    ),
    FieldSpec(
        "ttl_seconds",
        TTL,
        "How long an entry may be served. With 0, responses are neither read nor stored.",
        ("SPARK_CACHE_TTL",),
        short="ttl",
    ),
    FieldSpec(
        "max_cache_size_mb",
        SIZE,
        "The maximum size of the cache, in MB of 2^20 bytes. Old entries are removed to make room.",
        ("SPARK_CACHE_MAX_SIZE", "SPARK_CACHE_MAX_SIZE_MB"),
        short="max_size",
    ),
    FieldSpec(
        "cleanup_interval_seconds",
        DURATION,
        "How often expired entries are removed while the cache is in use.",
        ("SPARK_CACHE_CLEANUP_INTERVAL",),
    ),
    FieldSpec("mode", choice(Mode, Mode), "How calls use the cache.", ("SPARK_CACHE_MODE",)),
    FieldSpec(
        "namespace",
        TEXT,
        "Part of every key: requests in different namespaces never share an entry.",
        ("SPARK_CACHE_NAMESPACE",),
    ),
    FieldSpec(
        "cache_version",
        TEXT,
        "Part of every key: a new version starts with an empty cache.",
        ("SPARK_CACHE_VERSION",),
    ),
    FieldSpec(
        "endpoint",
        TEXT,
        "A name that replaces the provider's address in keys, so that a recording works with any address.",
        ("SPARK_CACHE_ENDPOINT",),
    ),
    FieldSpec(
        "encryption",
        choice(LEVELS),
        "Which entries are encrypted: none, those of sensitive requests, or all.",
        ("SPARK_CACHE_ENCRYPTION",),
    ),
    FieldSpec(
        "encryption_keys",
        KEYS,
        "Comma-separated Fernet keys, newest first. Not allowed in a profile.",
        ("SPARK_CACHE_ENCRYPTION_KEY",),
        in_profiles=False,
    ),
    FieldSpec(
        "encryption_key_file",
        PATH,
        "A file of Fernet keys, one per line, newest first. Only its owner may have access to it.",
        ("SPARK_CACHE_ENCRYPTION_KEY_FILE",),
    ),
    FieldSpec("fsync", BOOLEAN, "Whether a write waits until the data is on disk.", ("SPARK_CACHE_FSYNC",)),
    FieldSpec(
        "hot_entries",
        BOOLEAN,
        "Whether small plain entries that were just read stay in memory, a few MB of them, for the next read.",
        ("SPARK_CACHE_HOT_ENTRIES",),
    ),
    FieldSpec(
        "store_requests",
        BOOLEAN,
        "Whether an entry stores the request in addition to the response.",
        ("SPARK_CACHE_STORE_REQUESTS",),
    ),
    FieldSpec(
        "store_truncated",
        BOOLEAN,
        "Whether responses that were cut off at the token limit are stored.",
        ("SPARK_CACHE_STORE_TRUNCATED",),
    ),
    FieldSpec(
        "store_empty",
        BOOLEAN,
        "Whether responses without any text, tool call or other content are stored.",
    ),
    FieldSpec(
        "lock_timeout_seconds",
        DURATION,
        "How long a call waits for an identical call in progress before it calls the provider itself.",
        ("SPARK_CACHE_LOCK_TIMEOUT",),
    ),
    FieldSpec("store", choice(("file", "memory")), "Where entries are stored.", ("SPARK_CACHE_STORE",)),
    FieldSpec(
        "ignore",
        REQUEST_PATHS,
        "Fields of a request that are not part of the key, such as body.metadata or headers.helicone-session-id.",
        ("SPARK_CACHE_IGNORE",),
    ),
    FieldSpec(
        "log_level",
        log_level(),
        "The level of the spark_cache logger. If not set, the application decides.",
        ("SPARK_CACHE_LOG_LEVEL",),
    ),
    FieldSpec(
        "log_format",
        choice(("console", "json")),
        "The format of log lines when the library sets up logging.",
        ("SPARK_CACHE_LOG_FORMAT",),
    ),
    FieldSpec("allow_plaintext", BOOLEAN, "Whether entries may be stored in plain text without a warning."),
    FieldSpec(
        "commit_entries",
        BOOLEAN,
        "Whether the .gitignore that the cache writes allows entries to be committed.",
    ),
    FieldSpec(
        "recordings_expire",
        BOOLEAN,
        "Whether entries that may be committed expire. Otherwise they are valid until they are re-recorded.",
    ),
    FieldSpec(
        "redact",
        PATTERNS,
        "Regular expressions for secrets in addition to the built-in ones. A group named secret marks the part to hide.",
    ),
    FieldSpec("redact_emails", BOOLEAN, "Whether email addresses count as secrets."),
)

FIELDS = {spec.name: spec for spec in _SPECS}
"""Every field except ``rules``, in the order in which reports list them."""

VARIABLES = {
    variable: spec for spec in _SPECS for variable in spec.variables if variable not in PROFILE_VARIABLES
}
"""Each variable that sets a field, and that field."""

_SHORT = {spec.short: spec.name for spec in _SPECS if spec.short}


def canonical_name(key: object) -> str:
    """Return the field name for a short form in TOML; return any other key unchanged."""
    return _SHORT.get(str(key), str(key))


def dotted(key_path: KeyPath) -> str:
    """Format the path of a key: ``rules[0].ttl``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in key_path)
    return "".join(parts).removeprefix(".")


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the closest known name, or all known names if none is close.

    The order of the words in a name is ignored, because ``SPARK_CACHE_ENABLED`` is often written for
    ``SPARK_ENABLE_CACHE``.
    """
    names = sorted(known)
    if not names:
        return ""
    field = canonical_name(word)
    if field in names:
        return f"; did you mean {field}?"
    similarity, nearest = closest(word, names)
    return (
        f"; did you mean {nearest}?" if similarity >= _MIN_SIMILARITY else f"; available: {', '.join(names)}"
    )


def closest(word: str, known: Iterable[str]) -> tuple[float, str]:
    """Return the known name that is closest to a word, after its similarity between 0 and 1."""
    return max((_similarity(word, name), name) for name in known)


def _similarity(one: str, other: str) -> float:
    from difflib import SequenceMatcher  # noqa: PLC0415 - needed only for messages

    pairs = ((one, other), (_sorted_words(one), _sorted_words(other)))
    return max(SequenceMatcher(None, *pair).ratio() for pair in pairs)


def _sorted_words(word: str) -> str:
    return "_".join(sorted(word.split("_")))
