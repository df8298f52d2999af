"""Write entries: redact, encode, encrypt, store."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache import events
from spark_cache.core.lookup import EDITED
from spark_cache.core.telemetry import milliseconds_since
from spark_cache.entries import (
    CacheEntry,
    accept_edit,
    decode,
    encode,
    encrypt_entry,
    readable,
    same_answer,
)
from spark_cache.errors import StoreError
from spark_cache.stores import FOREIGN, NewEntry, address, entry_name
from spark_cache.types import CacheKey, Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spark_cache.config import CacheConfig, Policy
    from spark_cache.core.lookup import Lookup
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.redaction import Redactor, Secret
    from spark_cache.stores import Address

__all__ = ["Prepared", "Writer"]


class Prepared(NamedTuple):
    """An entry that is ready to be written.

    Attributes:
        at: Its address.
        entry: The entry.
        data: Its bytes.
        encrypted: Whether they are encrypted.
        operation: The operation of its request, for the log.
        of_a_model: Whether its response comes from a model.
    """

    at: Address
    entry: CacheEntry
    data: bytes
    encrypted: bool
    operation: str | None
    of_a_model: bool


class Writer:
    """Writes the entries of one directory under one configuration. An I/O error is a warning, never an exception.

    Args:
        lookup: Reads the entries of the same directory.
        config: The configuration. Callers apply its rules and pass a policy.
        ring: The encryption keys; None without encryption.
    """

    def __init__(self, lookup: Lookup, config: CacheConfig, *, ring: KeyRing | None) -> None:
        self._lookup = lookup
        self._directory = lookup.directory
        self._names = lookup.names
        self._recorder = lookup.recorder
        self._ring = ring
        self._profile = config.profile
        self._allow_plaintext = config.allow_plaintext
        self._commit = config.commit_entries
        self._config = config
        self._redactor: Redactor | None = None

    @property
    def redactor(self) -> Redactor:
        """Finds the secrets in a request or response. It is made with the first write, because a hit needs none."""
        if self._redactor is None:
            from spark_cache.redaction import Redactor  # noqa: PLC0415 - compiles its patterns

            self._redactor = Redactor(self._config.redact, emails=self._config.redact_emails)
        return self._redactor

    def prepare(
        self,
        key: str,
        provider: str,
        model_id: str,
        *,
        request: Any,
        response: dict[str, Any],
        ttl: float | None,
        policy: Policy,
        mode: Mode,
        encrypted: bool,
        operation: str | None = None,
        of_a_model: bool = False,
    ) -> Prepared | None:
        """Encode the entry of a response.

        Args:
            key: The cache key.
            provider: The provider that gave the response.
            model_id: The model that gave it.
            request: The request, stored without its secrets if the policy stores requests.
            response: The dictionary to store.
            ttl: The TTL of the entry in seconds; None is never.
            policy: The settings of the call.
            mode: What the call may do. Only a refresh replaces an entry that may be committed and that a person has edited.
            encrypted: Whether the entry is written encrypted.
            operation: The operation of the request, for the log.
            of_a_model: Whether the response comes from a model, so that call IDs and times may differ between equal ones.

        Returns:
            What :meth:`write` takes; None if the response must not be stored.

        Raises:
            UncacheableResponseError: The response would not come back equal.
        """
        entry = CacheEntry(
            key=key,
            provider=provider,
            model_id=model_id,
            response=response,
            timestamp=self._directory.clock(),
            ttl=ttl,
            profile=self._profile,
            digests=key.digests if isinstance(key, CacheKey) else {},
            request=request if policy.store_requests else None,
            namespace=policy.namespace,
        )
        entry = redacted(entry, self.redactor)
        if not encrypted:
            data = encode(entry, sort_keys=self._commit)
            if self._commit and self._has_secret(entry, operation):
                return None
        elif self._ring is not None:
            data = encrypt_entry(entry, self._ring)
        else:
            # A reload removed the encryption keys after this call was planned. Never fall back to plain text.
            return None
        at = address(provider, model_id, self._names.written(key, encrypted=encrypted))
        prepared = Prepared(at, entry, data, encrypted, operation, of_a_model)
        return None if mode is not Mode.REFRESH and self._keeps_edit(prepared) else prepared

    def write(self, prepared: Sequence[Prepared], *, deadline: float | None = None) -> list[bool]:
        """Write entries in as few transactions as possible, and remove those under the other names of their keys.

        Args:
            prepared: The entries.
            deadline: When to give up, by the monotonic clock; None leaves it to the store.

        Returns:
            Whether each response is now in the store.
        """
        if not prepared:
            return []
        started = perf_counter()
        new = [one for one in prepared if not self._is_unchanged(one)]
        try:
            written = self._directory.store.write_many(
                [NewEntry(one.at, one.data, one.entry.expires_at) for one in new], deadline=deadline
            )
        except StoreError as error:
            if error.cause != FOREIGN:
                self._directory.warn_once("write", error.cause, profile=self._profile)
                return [False] * len(prepared)
            if len(prepared) > 1:
                # The others can be written.
                return [self.write([one], deadline=deadline)[0] for one in prepared]
            about = self._about(prepared[0])
            self._recorder.note_foreign(prepared[0].at.name, **about)
            return [False]
        is_new = dict(zip((one.at for one in new), written, strict=True))
        duration_ms = milliseconds_since(started) / len(prepared)
        return [self._finish(one, is_new.get(one.at, True), duration_ms, deadline) for one in prepared]

    def _finish(self, one: Prepared, kept: bool, duration_ms: float, deadline: float | None) -> bool:
        """Do what follows the write of an entry, and return whether it is stored."""
        if not kept:
            # Not "write": that a smaller entry can be written does not clear this fault.
            self._directory.warn_once(
                "keep an entry", "it is larger than the cache may be", profile=self._profile
            )
            return False
        self._directory.clear_fault("write")
        self._directory.clear_fault(one.at.name)
        self._remove_others(one.at, one.entry.key, deadline)
        if not one.encrypted and not self._allow_plaintext:
            self._directory.warn_once(
                "encrypt",
                "entries are stored as plain text",
                profile=self._profile,
                hint="set SPARK_CACHE_ENCRYPTION=all, or allow_plaintext = true in the profile",
            )
        provider, model = one.entry.provider, one.entry.model_id
        self._directory.ledger.record(
            "store", provider=provider, model=model, profile=self._profile, keep=True
        )
        self._recorder.emit(
            events.CacheStore,
            **self._about(one),
            size_bytes=len(one.data),
            ttl=one.entry.ttl,
            duration_ms=duration_ms,
        )
        return True

    def _about(self, one: Prepared) -> dict[str, Any]:
        """Return what events say of an entry."""
        entry = one.entry
        return {
            "provider": entry.provider,
            "model": entry.model_id,
            "key": one.at.name[:12],
            "operation": one.operation,
        }

    def _is_unchanged(self, one: Prepared) -> bool:
        """Whether a file that may be committed already holds this entry, so that git sees no change."""
        if not self._commit:
            return False
        data = self._lookup.read(one.at, note_use=False)
        return isinstance(data, bytes) and is_unchanged(
            data,
            one.entry,
            self._directory.clock(),
            ring=self._ring,
            encrypted=one.encrypted,
            of_a_model=one.of_a_model,
        )

    def _keeps_edit(self, one: Prepared) -> bool:
        """Whether a person has edited the entry that would be replaced. Where entries may be committed, the edit is theirs."""
        data = self._lookup.read(one.at, note_use=False) if self._commit else None
        if not isinstance(data, bytes) or accept_edit(data) is None:
            return False
        self._directory.warn_once(
            "replace an entry",
            EDITED,
            profile=self._profile,
            hint="SPARK_CACHE_MODE=refresh replaces it",
        )
        self._recorder.emit(events.CacheBypass, **self._about(one), reason="edited")
        return True

    def _has_secret(self, entry: CacheEntry, operation: str | None) -> bool:
        """Whether the response holds a secret. A response cannot be redacted, so a warning names the place of the secret."""
        secret = self.redactor.first(entry.response)
        if secret is None:
            return False
        provider, model, name = entry.provider, entry.model_id, entry_name(entry.key)
        about = {"provider": provider, "model": model, "key": name[:12], "operation": operation}
        if self._directory.is_new_fault(name, str(secret), name):
            self._recorder.emit(
                events.CacheError,
                **about | {"operation": "record an answer"},
                directory=self._directory.path,
                error=f"it holds a secret: {secret}",
                hint="entries of this directory may be committed, so it was not stored",
            )
        self._recorder.emit(events.CacheBypass, **about, reason="secret")
        return True

    def _remove_others(self, at: Address, key: str, deadline: float | None) -> None:
        """Leave one entry of a key. An older one would be found first; a plain one would reveal what is now encrypted."""
        if self._ring is None:
            return
        for name in self._names.candidates(key):
            if name == at.name:
                continue
            try:
                self._directory.store.remove(at._replace(name=name), deadline=deadline)
            except StoreError as error:
                self._directory.warn_once("remove", error.cause, profile=self._profile)


def redacted(entry: CacheEntry, redactor: Redactor) -> CacheEntry:
    """Return an entry whose request holds no secret.

    The digests of the redacted parts are dropped too. A short secret could otherwise be confirmed by guessing, even
    where another part of the request is unknown.
    """
    if entry.request is None:
        return entry
    request, secrets = redactor.redact(readable(entry.request))
    if not secrets:
        return entry
    return replace(entry, request=request, digests=_digests_without(entry, request, secrets))


def _digests_without(entry: CacheEntry, request: Any, secrets: Sequence[Secret]) -> dict[str, str]:
    parts = {_part(secret.path) for secret in secrets}
    if not isinstance(request, dict) or not parts <= entry.digests.keys():
        # The request has its own structure, so no digest can be matched to a secret.
        return {}
    return {name: digest for name, digest in entry.digests.items() if name not in parts}


def _part(path: str) -> str:
    """Return the part of a request that a path leads into: a field of its body, or another part."""
    steps = path.replace("[", ".").split(".")
    return ".".join(steps[:2]) if steps[0] == "body" else steps[0]


def is_unchanged(
    data: bytes, entry: CacheEntry, now: float, *, ring: KeyRing | None, encrypted: bool, of_a_model: bool
) -> bool:
    """Whether the stored entry says the same as a new one and is not stale, so that it need not be written.

    Args:
        data: The bytes of the stored entry.
        entry: The new entry.
        now: The time in seconds since the epoch.
        ring: The encryption keys.
        encrypted: Whether the new entry would be written encrypted.
        of_a_model: Whether the responses come from a model. Two of those may differ in call IDs and times.
    """
    stored = decode(data, entry.key, ring=ring, namespace=entry.namespace, encrypted_only=encrypted)
    if not isinstance(stored, CacheEntry) or stored.staleness(now, entry.ttl) is not None:
        return False
    if (stored.ttl, stored.request, dict(stored.digests)) != (
        entry.ttl,
        readable(entry.request),
        dict(entry.digests),
    ):
        return False
    if of_a_model:
        return same_answer(stored.response, entry.response)
    return stored.response == entry.response
