"""The configuration itself: a frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr, SecretStr, SkipValidation, ValidationError

from spark_cache.config.fields import FIELDS, KEY_FIELDS, dotted, nearest
from spark_cache.config.guard import Guard
from spark_cache.config.origins import Origin, redacted
from spark_cache.config.policy import Policy, policy_of
from spark_cache.config.rules import Rule, parse_rules
from spark_cache.config.secret import read_key_file
from spark_cache.errors import ConfigError, Problem
from spark_cache.types import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CacheConfig", "Provenance"]

_REMEMBERED = 1024

Number = Annotated[float, SkipValidation]
"""A number that stays as it was parsed: an integral one is an int, and prints as one."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a loaded configuration knows about itself beside its values.

    Attributes:
        origins: Where each value came from.
        guard: What it must meet.
        arguments: What ``load_config`` was given, to load again; None where it was not loaded.
        changes: What was changed since.
    """

    origins: Mapping[str, Origin]
    guard: Guard = field(default_factory=Guard)
    arguments: Mapping[str, Any] | None = field(default=None, repr=False)
    changes: Mapping[str, Any] = field(default_factory=dict, repr=False)


class CacheConfig(BaseModel):
    """How a cache behaves: frozen, hashable, comparable by value.

    ``CacheConfig()`` reads nothing and is off; :func:`spark_cache.load_config` makes one from the environment and
    the profiles. Arguments take the forms that people write: ``ttl_seconds="24h"``, ``max_cache_size_mb="2GB"``,
    ``rules=[{"model": "gpt-4o*", "ttl": "1h"}]``.

    Attributes:
        profile: The profile that the settings were taken from.
        enabled: Whether answers are read from the cache and stored in it.
        cache_dir: The directory of the entries, absolute; None means the default directory.
        ttl_seconds: How long an answer may be served, in seconds; None is for ever, 0 is never.
        max_cache_size_mb: How large the cache may grow, in MB of 2^20 bytes; None is without limit.
        cleanup_interval_seconds: How often expired entries are removed, in seconds.
        mode: What a call may do with the cache.
        namespace: Part of every key.
        cache_version: Part of every key.
        endpoint: A name that stands for the provider's address in keys.
        encryption: Which entries are encrypted.
        encryption_keys: Fernet keys, newest first.
        encryption_key_file: A file of Fernet keys, newest first; read when the configuration is made.
        fsync: Whether a write waits until the disk has it.
        store_requests: Whether an entry holds its request.
        store_truncated: Whether answers cut at the token limit are stored.
        lock_timeout_seconds: How long a call waits for another that asks the same, in seconds.
        store: Where entries are kept.
        log_level: The level of the logger ``spark_cache``; None leaves it to the application.
        log_format: The form of the log lines.
        allow_plaintext: Whether entries may be stored in plain text without a warning.
        commit_entries: Whether the ``.gitignore`` that the cache writes lets its entries be committed.
        recordings_expire: Whether entries that may be committed grow old.
        redact: Regular expressions of secrets beside the well-known ones.
        redact_emails: Whether e-mail addresses count as secrets.
        rules: What holds for the models that match, first things first.

    Raises:
        ConfigError: Something is wrong; all problems at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    profile: str | None = None
    enabled: bool = False
    cache_dir: Path | None = None
    ttl_seconds: Number | None = 86400
    max_cache_size_mb: Number | None = 1000
    cleanup_interval_seconds: Number = 3600
    mode: Mode = Mode.READ_WRITE
    namespace: str | None = None
    cache_version: str | None = None
    endpoint: str | None = None
    encryption: Literal["off", "sensitive", "all"] = "sensitive"
    encryption_keys: tuple[SecretStr, ...] = ()
    encryption_key_file: Path | None = None
    fsync: bool = False
    store_requests: bool = False
    store_truncated: bool = False
    lock_timeout_seconds: Number = 60
    store: Literal["file", "memory"] = "file"
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

    if not TYPE_CHECKING:  # the signature that type checkers see is made from the fields

        def __init__(self, /, **values: Any) -> None:
            parsed, problems = _parse(values)
            file_keys = _file_keys_of(parsed, problems)
            if problems:
                raise ConfigError(problems)
            super().__init__(**parsed)
            self._file_keys = file_keys

    @property
    def origins(self) -> Mapping[str, Origin]:
        """For every field, where its value came from and what it shadows."""
        return self.provenance.origins

    @property
    def provenance(self) -> Provenance:
        """What is known of the configuration beside its values; no part of its identity."""
        if self._provenance is None:
            origins = {}
            for name in type(self).model_fields:
                default = Origin("default", raw=_DEFAULTS[name])
                given = name in self.model_fields_set
                origins[name] = (
                    Origin("constructor", name, raw=getattr(self, name)).over(default) if given else default
                )
            self._provenance = Provenance(origins)
        return self._provenance

    def loaded(self, provenance: Provenance) -> Self:
        """The same configuration, knowing where it came from; for the loader."""
        copy = self.model_copy()
        copy._provenance = provenance  # noqa: SLF001 - a copy of this very class
        return copy

    def policy(self, provider: str, model_id: str) -> Policy:
        """What one call to ``model_id`` of ``provider`` needs to know, after the rules."""
        name = (provider, model_id) if self.rules else ("", "")
        # Past pydantic's own look-up of private attributes, which takes longer than the rest of this.
        policies: dict[tuple[str, str], Policy] = (self.__pydantic_private__ or {})["_policies"]
        policy = policies.get(name)
        if policy is None:
            if len(policies) >= _REMEMBERED:
                policies.clear()
            policy = policies[name] = policy_of(
                self._base_policy(),
                [rule for rule in self.rules if rule.matches(provider, model_id)],
                recorded_for_good=self.commit_entries and not self.recordings_expire,
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
        )

    def fernet_keys(self) -> tuple[str, ...]:
        """The texts of the encryption keys, newest first, from the keys given or their file; a secret."""
        return self._file_keys or tuple(key.get_secret_value() for key in self.encryption_keys)

    def with_(self, **changes: Any) -> Self:
        """A copy with other values, which win over the rules there were.

        Args:
            changes: Fields and values, in the forms that the constructor takes.

        Raises:
            ConfigError: A value is not accepted, or the profile's guard forbids the result.
        """
        given = dict(changes)
        if not given.keys().isdisjoint(KEY_FIELDS):
            given = {"encryption_keys": (), "encryption_key_file": None} | given
        values = {name: getattr(self, name) for name in type(self).model_fields}
        values["rules"] = tuple(kept for rule in self.rules if (kept := rule.without(given)) is not None)
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
        return copy.loaded(replace(before, origins=origins, changes={**before.changes, **given}))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; with ``update`` what :meth:`with_` makes of it, so that nothing goes unchecked."""
        return self.with_(**update) if update else super().model_copy(deep=deep)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:
            # pydantic's own refusal repeats the value, which may be a key.
            raise ValidationError.from_exception_data(
                type(self).__name__,
                [{"type": "frozen_instance", "loc": (name,), "input": None}],
                hide_input=True,
            )
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[Any, Any]:
        if self.fernet_keys():
            raise TypeError(
                "a configuration with encryption keys is not pickled: load it anew in the other process"
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


_DEFAULTS = {name: info.default for name, info in CacheConfig.model_fields.items()}


def _parse(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Read every argument, and collect what is wrong."""
    parsed: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, raw in given.items():
        if name == "rules":
            rules, faults = parse_rules(raw)
            parsed[name] = tuple(rule for _, rule in rules)
            problems += [Problem(text, "constructor", key=dotted(place)) for place, text in faults]
            continue
        spec = FIELDS.get(name)
        if spec is None:
            hint = nearest(name, (*FIELDS, "rules"))
            problems.append(Problem(f"there is no such field{hint}", "constructor", key=name))
            continue
        try:
            parsed[name] = spec.parse(raw)
        except ValueError as error:
            problems.append(Problem(str(error), "constructor", key=name))
    return parsed, problems


def _file_keys_of(parsed: Mapping[str, Any], problems: list[Problem]) -> tuple[str, ...]:
    """Read the key file where there is one, and check what the encryption needs."""
    named = {problem.key for problem in problems}
    keys, file = parsed.get("encryption_keys"), parsed.get("encryption_key_file")
    file_keys: tuple[str, ...] = ()
    if keys and file:
        message = "both keys and a key file are given: keep one"
        problems.append(Problem(message, "constructor", key="encryption_key_file"))
    elif file:
        try:
            file_keys = read_key_file(file, parsed.get("cache_dir"))
        except ValueError as error:
            problems.append(Problem(str(error), "constructor", key="encryption_key_file"))
            return ()
    if keys or file or not named.isdisjoint(KEY_FIELDS):
        return file_keys
    way_out = "set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE"
    if parsed.get("encryption") == "all":
        problems.append(Problem(f"'all' needs a key: {way_out}", "constructor", key="encryption"))
    for number, rule in enumerate(parsed.get("rules", ())):
        if ("encryption", "all") in rule.settings:
            message = f'a rule with encryption = "all" needs a key: {way_out}'
            problems.append(Problem(message, "constructor", key=f"rules[{number}]"))
    return ()
