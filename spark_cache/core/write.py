"""Entries in a directory: encode and write them. What the machine does to them never raises."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from spark_cache.core.lookup import EntryReader
from spark_cache.core.redacted import is_unchanged, redacted
from spark_cache.core.telemetry import milliseconds_since
from spark_cache.entries import encode, encrypt_entry
from spark_cache.errors import StoreError
from spark_cache.events import CacheBypass, CacheError, CacheStore
from spark_cache.redaction import Redactor
from spark_cache.stores import address, entry_name

if TYPE_CHECKING:
    from spark_cache.config import CacheConfig
    from spark_cache.core.directory import Directory
    from spark_cache.entries import CacheEntry
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.events import Sink
    from spark_cache.stores import Address

__all__ = ["EntryStore"]


class EntryStore(EntryReader):
    """The entries of one directory, as one configuration reads and writes them; arguments as for :class:`EntryReader`."""

    def __init__(
        self, directory: Directory, config: CacheConfig, *, ring: KeyRing | None, sink: Sink
    ) -> None:
        super().__init__(directory, config, ring=ring, sink=sink)
        self._allow_plaintext = config.allow_plaintext
        self._commit = config.commit_entries
        self._redactor = Redactor(config.redact, emails=config.redact_emails)

    def put(
        self, entry: CacheEntry, *, encrypted: bool, operation: str | None = None, of_a_model: bool = False
    ) -> bool:
        """Write an entry, and remove what stands under the other names of its key; whether it is now in the store.

        Args:
            entry: The entry. Secrets in its request are left out.
            encrypted: Whether it is written encrypted.
            operation: What was asked for, for the log.
            of_a_model: Whether the response is an answer of a model.

        Raises:
            UncacheableResponseError: The response would not come back equal.
        """
        started = perf_counter()
        key, provider, model = entry.key, entry.provider, entry.model_id
        entry = redacted(entry, self._redactor)
        if not encrypted:
            data = encode(entry, sort_keys=self._commit)
            if self._commit and self._tells_a_secret(entry, operation):
                return False
        elif self._ring is not None:
            data = encrypt_entry(entry, self._ring)
        else:
            # The keys went with a reload since this call was planned: never plain text instead.
            return False
        at = address(provider, model, self.name(key, encrypted=encrypted))
        try:
            kept = self._stands(at, entry, encrypted=encrypted, of_a_model=of_a_model) or (
                self.directory.store.write(at, data, expires_at=entry.expires_at)
            )
        except StoreError as error:
            self.directory.tell("write", error.cause, profile=self._profile)
            return False
        if not kept:
            # Not "write": that a smaller entry can be written makes this one no smaller.
            self.directory.tell("keep an entry", "it is larger than the cache may be", profile=self._profile)
            return False
        self.directory.clear_fault("write")
        self.directory.clear_fault(at.name)
        self._remove_others(at, key)
        if not encrypted and not self._allow_plaintext:
            self.directory.tell(
                "encrypt",
                "entries are stored as plain text",
                profile=self._profile,
                hint="set SPARK_CACHE_ENCRYPTION=all, or allow_plaintext = true in the profile",
            )
        self.directory.ledger.record(
            "store", provider=provider, model=model, profile=self._profile, keep=True
        )
        self.recorder.emit(
            CacheStore,
            provider=provider,
            model=model,
            key=at.name[:12],
            operation=operation,
            size_bytes=len(data),
            ttl=entry.ttl,
            duration_ms=milliseconds_since(started),
        )
        return True

    def _stands(self, at: Address, entry: CacheEntry, *, encrypted: bool, of_a_model: bool) -> bool:
        """Whether a file that may be committed already says what an entry says: it is then left as it is."""
        if not self._commit:
            return False
        data = self._read(at, note_use=False)
        return isinstance(data, bytes) and is_unchanged(
            data, entry, self.directory.clock(), ring=self._ring, encrypted=encrypted, of_a_model=of_a_model
        )

    def _tells_a_secret(self, entry: CacheEntry, operation: str | None) -> bool:
        """Whether the answer, which must stay what it was, holds a secret; a warning says where, and never what."""
        secret = self._redactor.first(entry.response)
        if secret is None:
            return False
        provider, model, name = entry.provider, entry.model_id, entry_name(entry.key)
        about = {"provider": provider, "model": model, "key": name[:12], "operation": operation}
        if self.directory.is_new_fault(name, str(secret), name):
            self.recorder.emit(
                CacheError,
                **about | {"operation": "record an answer"},
                directory=self.directory.path,
                error=f"it holds a secret: {secret}",
                hint="entries of this directory may be committed, so it was not stored",
            )
        self.recorder.emit(CacheBypass, **about, reason="secret")
        return True

    def _remove_others(self, at: Address, key: str) -> None:
        """Leave one entry of a key: an older one would be found before it, and a plain one tells what was to be encrypted."""
        if self._ring is None:
            # It has one name.
            return
        for name in self._names(key):
            if name == at.name:
                continue
            try:
                self.directory.store.remove(at._replace(name=name))
            except StoreError as error:
                self.directory.tell("remove", error.cause, profile=self._profile)
