"""The configuration as a frozen value."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from spark_cache.config.fields import FIELDS, KEY_FIELDS, dotted, suggestion
from spark_cache.config.guard import Guard
from spark_cache.config.origins import Origin, redacted
from spark_cache.config.policy import Policy, apply_rules
from spark_cache.config.rules import Rule, RuleError, parse_rules
from spark_cache.config.secret import read_key_file
from spark_cache.errors import ConfigError, Problem
from spark_cache.types import Mode

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

__all__ = ["DEFAULTS", "CacheConfig", "Provenance"]

_MAX_CACHED_POLICIES = 1024


class Provenance(NamedTuple):
    """Information about a configuration in addition to its values.

    Attributes:
        origins: The origin of each value.
        guard: The conditions that the configuration must meet.
        arguments: The arguments of ``load_config``, for a reload. None if the configuration was not loaded.
        changes: The changes that ``with_`` has made since.
    """

    origins: Mapping[str, Origin]
    guard: Guard = Guard()
    arguments: Mapping[str, Any] | None = None
    changes: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Provenance({self.origins!r}, {self.guard!r})"  # arguments and changes may be secrets


class CacheConfig(BaseModel):
    """The configuration of a cache: frozen, hashable and comparable by value.

    ``CacheConfig()`` reads no variables and no profiles, and the cache is off. :func:`spark_cache.load_config` builds a
    configuration from the environment and the profiles. Arguments accept the same forms as profiles:
    ``ttl_seconds="24h"``, ``max_cache_size_mb="2GB"``, ``rules=[{"model": "gpt-4o*", "ttl": "1h"}]``.

    Attributes:
        profile: The profile that the settings come from.
        enabled: Whether responses are read from the cache and stored in it.
        cache_dir: The absolute path of the directory that holds the entries. None means the default directory.
        ttl_seconds: How long an entry may be served, in seconds. None means forever, 0 means never.
        max_cache_size_mb: The maximum size of the cache, in MB of 2^20 bytes. None means no limit.
        cleanup_interval_seconds: How often expired entries are removed, in seconds.
        mode: How calls use the cache.
        namespace: Part of every key.
        cache_version: Part of every key.
        endpoint: A name that replaces the provider's address in keys.
        encryption: Which entries are encrypted.
        encryption_keys: Fernet keys, newest first.
        encryption_key_file: A file of Fernet keys, newest first. It is read when the configuration is created.
        fsync: Whether a write waits until the data is on disk.
        hot_entries: Whether small plain entries that were just read stay in memory, a few MB of them, for the next read.
        store_requests: Whether an entry stores its request.
        store_truncated: Whether responses cut off at the token limit are stored.
        store_empty: Whether responses without any text, tool call or other content are stored.
        lock_timeout_seconds: How long a call waits for an identical call in progress, in seconds.
        store: Where entries are stored.
        ignore: Paths of fields in a request that are not part of the key.
        log_level: The level of the ``spark_cache`` logger. None means that the application decides.
        log_format: The format of log lines.
        allow_plaintext: Whether entries may be stored in plain text without a warning.
        commit_entries: Whether the ``.gitignore`` that the cache writes allows entries to be committed.
        recordings_expire: Whether entries that may be committed expire.
        redact: Regular expressions for secrets in addition to the built-in ones.
        redact_emails: Whether email addresses count as secrets.
        rules: Settings for matching models, highest precedence first.

    Raises:
        ConfigError: An argument is not accepted. The error lists all problems.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    profile: str | None = None
    enabled: bool = False
    cache_dir: Path | None = None
    ttl_seconds: float | None = 86400
    max_cache_size_mb: float | None = 1000
    cleanup_interval_seconds: float = 3600
    mode: Mode = Mode.READ_WRITE
    namespace: str | None = None
    cache_version: str | None = None
    endpoint: str | None = None
    encryption: Literal["off", "sensitive", "all"] = "sensitive"
    encryption_keys: tuple[SecretStr, ...] = ()
    encryption_key_file: Path | None = None
    fsync: bool = False
    hot_entries: bool = True
    store_requests: bool = False
    store_truncated: bool = False
    store_empty: bool = False
    lock_timeout_seconds: float = 60
    store: Literal["file", "memory"] = "file"
    ignore: tuple[str, ...] = ()
    log_level: str | None = None
    log_format: Literal["console", "json"] = "console"
    allow_plaintext: bool = True
    commit_entries: bool = False
    recordings_expire: bool = False
    redact: tuple[str, ...] = ()
    redact_emails: bool = False
    rules: tuple[Rule, ...] = ()

    _file_keys: tuple[str, ...] = PrivateAttr(default=())
    _provenance: Provenance | None = PrivateAttr(default=None)
    _policies: dict[tuple[str, str], Policy] = PrivateAttr(default_factory=dict)

    if not TYPE_CHECKING:  # type checkers generate the signature from the fields

        def __init__(self, /, **values: Any) -> None:
            problems: list[Problem] = []
            try:
                super().__init__(**values)
            except ValidationError as error:
                problems += _problems_of(error)
                invalid = {found["loc"][0] for found in error.errors(include_url=False, include_input=False)}
                # The keys are checked as well, so that the error lists all problems.
                super().__init__(**{name: value for name, value in values.items() if name not in invalid})
                problems += self._read_keys(invalid)
            else:
                problems += self._read_keys(set())
            if problems:
                raise ConfigError(problems)

    @field_validator("*", mode="wrap")
    @classmethod
    def _parse(cls, raw: object, _: object, info: ValidationInfo) -> Any:
        if info.field_name == "rules":
            rules, faults = parse_rules(raw)
            if faults:
                raise RuleError(faults)
            return tuple(rule for _, rule in rules)
        return FIELDS[str(info.field_name)].kind.parse(raw)

    def _read_keys(self, invalid: Container[str]) -> Iterator[Problem]:
        """Read the key file, if one is set, and yield a problem for each setting that lacks a usable key."""
        file = self.encryption_key_file
        if self.encryption_keys and file:
            message = "both encryption keys and a key file are set: keep only one of them"
            yield Problem(message, "constructor", key="encryption_key_file")
        elif file:
            try:
                self._file_keys = read_key_file(file, self.cache_dir)
            except ValueError as error:
                yield Problem(str(error), "constructor", key="encryption_key_file")
        if self.encryption_keys or file or any(name in invalid for name in KEY_FIELDS):
            return
        solution = "set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE"
        if self.encryption == "all":
            message = f"'all' requires an encryption key: {solution}"
            yield Problem(message, "constructor", key="encryption")
        for number, rule in enumerate(self.rules):
            if ("encryption", "all") in rule.settings:
                message = f'a rule with encryption = "all" requires an encryption key: {solution}'
                yield Problem(message, "constructor", key=f"rules[{number}]")

    @property
    def origins(self) -> Mapping[str, Origin]:
        """The origin of every field, and what it shadows."""
        return self.provenance.origins

    @property
    def provenance(self) -> Provenance:
        """Information in addition to the values. It does not take part in comparisons."""
        if self._provenance is None:
            origins = {}
            for name in type(self).model_fields:
                default = Origin("default", raw=DEFAULTS[name])
                given = name in self.model_fields_set
                origins[name] = (
                    Origin("constructor", name, raw=getattr(self, name)).over(default) if given else default
                )
            self._provenance = Provenance(origins)
        return self._provenance

    def loaded(self, provenance: Provenance) -> Self:
        """Return the same configuration with its provenance, for the loader."""
        copy = self.model_copy()
        copy._provenance = provenance  # noqa: SLF001 - an instance of this class
        return copy

    def policy(self, provider: str, model_id: str) -> Policy:
        """Return the settings for calls to one model, with the rules applied.

        Args:
            provider: The name of the provider.
            model_id: The name of the model.
        """
        name = (provider, model_id) if self.rules else ("", "")
        # Pydantic's own lookup of private attributes takes longer than the rest of this method.
        policies: dict[tuple[str, str], Policy] = (self.__pydantic_private__ or {})["_policies"]
        policy = policies.get(name)
        if policy is None:
            if len(policies) >= _MAX_CACHED_POLICIES:
                policies.clear()
            policy = policies[name] = apply_rules(
                self._base_policy(),
                [rule for rule in self.rules if rule.matches(provider, model_id)],
                never_expires=self.commit_entries and not self.recordings_expire,
            )
        return policy

    def _base_policy(self) -> Policy:
        return Policy(
            enabled=self.enabled,
            ttl_seconds=self.ttl_seconds,
            mode=self.mode,
            namespace=self.namespace,
            cache_version=self.cache_version,
            endpoint=self.endpoint,
            encryption=self.encryption,
            sensitive=False,
            store_requests=self.store_requests,
            store_truncated=self.store_truncated,
            store_empty=self.store_empty,
            ignore=self.ignore,
        )

    def fernet_keys(self) -> tuple[str, ...]:
        """Return the encryption keys in plain text, newest first, from the given keys or the key file."""
        return self._file_keys or tuple(key.get_secret_value() for key in self.encryption_keys)

    def with_(self, **changes: Any) -> Self:
        """Return a copy with other values, which take precedence over the existing rules.

        Args:
            changes: Fields and values, in the forms that the constructor accepts.

        Raises:
            ConfigError: A value is not accepted, or the result violates the guard of the profile.
        """
        given = dict(changes)
        if not given.keys().isdisjoint(KEY_FIELDS):
            given = {"encryption_keys": (), "encryption_key_file": None} | given
        values = {name: getattr(self, name) for name in type(self).model_fields}
        values["rules"] = [kept for rule in self.rules if (kept := rule.without(given)) is not None]
        copy = type(self)(**(values | given))
        before = self.provenance
        origins = {
            name: Origin("constructor", name, raw=redacted(name, given[name])).over(origin)
            if name in given
            else origin
            for name, origin in before.origins.items()
        }
        if problems := before.guard.problems(copy, origins):
            raise ConfigError(problems)
        return copy.loaded(before._replace(origins=origins, changes={**(before.changes or {}), **given}))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy. With ``update``, the copy is made by :meth:`with_`, so that every value is checked.

        Args:
            update: Fields and values that differ in the copy.
            deep: Whether the copy is deep. Ignored with ``update``.
        """
        return self.with_(**update) if update else super().model_copy(deep=deep)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:
            # Pydantic's own error repeats the value, which may be an encryption key.
            raise ValidationError.from_exception_data(
                type(self).__name__,
                [{"type": "frozen_instance", "loc": (name,), "input": None}],
                hide_input=True,
            )
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[Any, Any]:
        if self.fernet_keys():
            raise TypeError(
                "a configuration with encryption keys cannot be pickled: load it again in the other process"
            )
        return super().__getstate__()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CacheConfig):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return (*self.__dict__.values(), self._file_keys)


DEFAULTS = {name: info.default for name, info in CacheConfig.model_fields.items()}
"""The default of every field."""


def _problems_of(error: ValidationError) -> Iterator[Problem]:
    """Yield the problems that pydantic found. Its own messages may repeat the value, which may be a secret."""
    for found in error.errors(include_url=False, include_input=False):
        name, cause = str(found["loc"][0]), found.get("ctx", {}).get("error")
        if isinstance(cause, RuleError):
            for key_path, message in cause.faults:
                yield Problem(message, "constructor", key=dotted(key_path))
        elif isinstance(cause, ValueError):
            yield Problem(str(cause), "constructor", key=name)
        else:
            message = f"unknown field{suggestion(name, (*FIELDS, 'rules'))}"
            yield Problem(message, "constructor", key=name)
