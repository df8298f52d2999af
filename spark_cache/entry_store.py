"""Entries in a directory: open and decode, encode and write, count and log. What the machine does to them never raises."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache.entries import CacheEntry, decode, describe, encode, seal
from spark_cache.errors import StoreError
from spark_cache.events import CacheCorrupt, CacheHit, CacheMiss, CacheStore
from spark_cache.plan import Hit, Miss
from spark_cache.stores import address, entry_name, folder_name
from spark_cache.types import CacheKey, MissReason, Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spark_cache.config import CacheConfig, Policy
    from spark_cache.directory import Directory
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.events import Event, Sink
    from spark_cache.stores import Address, Stored
    from spark_cache.types import EntryMeta

__all__ = ["EntryStore"]

_CORRUPT = frozenset(
    {
        MissReason.CORRUPT,
        MissReason.WRONG_KEY,
        MissReason.NOT_A_FILE,
        MissReason.TOO_LARGE,
        MissReason.FUTURE,
        MissReason.UNDECRYPTABLE,
        MissReason.PLAIN_REFUSED,
    }
)
"""Reasons that somebody should know of: an entry is there and cannot be used."""


class EntryStore:
    """The entries of one directory, as one configuration sees them.

    Args:
        directory: The shared state of the directory.
        config: The configuration; its rules are applied by the caller, who hands in a policy.
        ring: The keys for encrypted entries; None where there are none.
        sink: Where events go.
    """

    def __init__(
        self, directory: Directory, config: CacheConfig, *, ring: KeyRing | None, sink: Sink
    ) -> None:
        self.directory = directory
        self._profile = config.profile
        self._allow_plaintext = config.allow_plaintext
        self._ring = ring
        self._sink = sink

    def name(self, key: str, *, sealed: bool) -> str:
        """The file name under which an entry is written."""
        return self._ring.names(key)[0] if sealed and self._ring is not None else entry_name(key)

    def addresses(self, key: str, provider: str | None = None, *, sealed: bool = False) -> Iterable[Address]:
        """Where the entry of a key may stand: under the names of each encryption key, newest first, then under the plain one.

        Args:
            key: A key that knows its model, or a plain text, for which all folders are looked through.
            provider: Where to look for a plain text.
            sealed: Whether only encrypted entries will do.
        """
        names = () if self._ring is None else self._ring.names(key)
        if not sealed:
            names = (*names, entry_name(key))
        if isinstance(key, CacheKey):
            return [address(key.provider, key.model_id, name) for name in names]
        try:
            found = [at for name in names for at in self.directory.store.find(name)]
        except StoreError as error:
            self.directory.tell("read", error.cause, profile=self._profile)
            return ()
        return [at for at in found if provider is None or at.provider_folder == folder_name(provider)]

    def open(
        self,
        at: Address,
        key: str | None,
        *,
        note_use: bool = False,
        namespace: str | None = None,
        sealed: bool = False,
    ) -> CacheEntry | Miss:
        """Read and decode what stands at an address, whatever its age; a fault of the machine is told, and is a miss."""
        try:
            data = self.directory.store.read(at, note_use=note_use)
        except StoreError as error:
            self.directory.tell("read", error.cause, profile=self._profile)
            return Miss(MissReason.UNREADABLE, error.cause)
        self.directory.recovered("read")
        if isinstance(data, MissReason):
            return Miss(data)
        entry = decode(data, key, ring=self._ring, namespace=namespace, sealed_only=sealed)
        return Miss(entry) if isinstance(entry, MissReason) else entry

    def fresh(self, found: CacheEntry | Miss, policy: Policy, mode: Mode) -> Hit | Miss:
        """Judge the age of an entry; replay takes it whatever its age."""
        if isinstance(found, Miss):
            return found
        stale = None if mode is Mode.REPLAY else found.staleness(self.directory.clock(), policy.ttl_seconds)
        return Hit(found) if stale is None else Miss(stale)

    def fetch(
        self, key: CacheKey, policy: Policy, mode: Mode, *, sealed: bool, operation: str | None
    ) -> Hit | Miss:
        """Answer from the entry of a key, and count and log what came of it."""
        started = perf_counter()
        result = Miss(MissReason.ABSENT)
        name = ""
        for at in self.addresses(key, sealed=sealed):
            name = name or at.name
            found = self.fresh(
                self.open(at, key, note_use=mode.writes, namespace=policy.namespace, sealed=sealed),
                policy,
                mode,
            )
            if isinstance(found, Hit):
                self.count(found, key.provider, key.model_id, at.name, mode, operation, started)
                return found
            if result.reason is MissReason.ABSENT:
                # What stands there and cannot be used says more than that nothing stands elsewhere.
                result, name = found, at.name if found.reason is not MissReason.ABSENT else name
        self.count(result, key.provider, key.model_id, name, mode, operation, started)
        return result

    def put(
        self, entry: CacheEntry, *, sealed: bool, namespace: str | None, operation: str | None = None
    ) -> bool:
        """Write an entry; whether it is now in the store.

        Raises:
            UncacheableResponseError: The response would not come back equal.
        """
        started = perf_counter()
        key, provider, model = entry.key, entry.provider, entry.model_id
        if not sealed:
            data = encode(entry)
        elif self._ring is not None:
            data = seal(entry, self._ring, namespace)
        else:
            # The keys went with a reload since this call was planned: never plain text instead.
            return False
        at = address(provider, model, self.name(key, sealed=sealed))
        try:
            kept = self.directory.store.write(at, data)
        except StoreError as error:
            self.directory.tell("write", error.cause, profile=self._profile)
            return False
        if not kept:
            self.directory.tell("write", "an entry is larger than the cache may be", profile=self._profile)
            return False
        self.directory.recovered("write")
        if not sealed and not self._allow_plaintext:
            self.directory.tell(
                "encrypt",
                "entries are stored as plain text",
                profile=self._profile,
                hint="set SPARK_CACHE_ENCRYPTION=all, or allow_plaintext = true in the profile",
            )
        self.directory.ledger.record(
            "store", provider=provider, model=model, profile=self._profile, keep=True
        )
        self.emit(
            CacheStore,
            provider=provider,
            model=model,
            key=at.name[:12],
            operation=operation,
            size_bytes=len(data),
            ttl=entry.ttl,
            duration_ms=_since(started),
        )
        return True

    def count(
        self,
        found: Hit | Miss,
        provider: str,
        model: str,
        name: str,
        mode: Mode,
        operation: str | None,
        started: float,
    ) -> None:
        """Count and log what a lookup came to."""
        ledger, keep = self.directory.ledger, mode.writes
        if isinstance(found, Hit):
            tokens, seconds = _spared(found.entry.response)
            ledger.record(
                "hit",
                provider=provider,
                model=model,
                profile=self._profile,
                keep=keep,
                tokens=tokens,
                seconds=seconds,
            )
        else:
            ledger.record(
                "miss",
                provider=provider,
                model=model,
                profile=self._profile,
                keep=keep,
                reason=found.reason.value,
            )
        if not self._sink.wants(logging.WARNING):
            return
        about = {"provider": provider, "model": model, "key": name[:12], "operation": operation}
        if isinstance(found, Hit):
            age = self.directory.clock() - found.entry.timestamp
            self.emit(CacheHit, **about, age=age, duration_ms=_since(started))
            return
        if found.reason in _CORRUPT:
            self.emit(CacheCorrupt, **about, reason=found.reason.value)
        self.emit(CacheMiss, **about, reason=found.reason.value, duration_ms=_since(started))

    def emit(self, kind: type[Event], **facts: Any) -> None:
        """Send an event of a kind, if anybody wants it."""
        if self._sink.wants(kind.level):
            self._sink.emit(kind(profile=self._profile, **facts))

    def scan(self, provider: str | None = None, model_id: str | None = None) -> Iterator[Stored]:
        """Every stored entry, or those of a provider or of one of its models.

        Raises:
            StoreError: The store could not be listed.
        """
        return self.directory.store.scan(
            None if provider is None else folder_name(provider),
            None if model_id is None else folder_name(model_id),
        )

    def metas(
        self, provider: str | None = None, model_id: str | None = None
    ) -> Iterator[tuple[Address, EntryMeta]]:
        """Where each readable entry stands, and what a listing shows of it."""
        for stored in self.scan(provider, model_id):
            try:
                data = self.directory.store.read(stored.address, note_use=False)
            except StoreError as error:
                self.directory.tell("read", error.cause, profile=self._profile)
                continue
            if isinstance(data, MissReason):
                continue
            described = describe(data, stored.address.name)
            if not isinstance(described, MissReason):
                yield stored.address, described


def _spared(response: Mapping[str, Any]) -> tuple[int, float]:
    """The tokens and the seconds of the call that a hit spared, as far as the response tells."""
    usage = response.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    seconds = response.get("latency_seconds")
    return (tokens if type(tokens) is int else 0, float(seconds) if isinstance(seconds, int | float) else 0.0)


def _since(started: float) -> float:
    """Milliseconds since a reading of ``perf_counter``."""
    return (perf_counter() - started) * 1000
