"""Entries in a directory: find, open and decode them. What the machine does to them never raises."""

from __future__ import annotations

from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache.core.fast_hit import QuickHits
from spark_cache.core.plan import Hit, Miss, must_encrypt
from spark_cache.core.telemetry import Recorder
from spark_cache.entries import CacheEntry, answer, decode, describe, staleness
from spark_cache.errors import StoreError
from spark_cache.stores import Address, FileStore, entry_name, folder_name
from spark_cache.types import CacheKey, MissReason, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.config import CacheConfig, Policy
    from spark_cache.core.directory import Directory
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.events import Sink
    from spark_cache.stores import Stored
    from spark_cache.types import EntryMeta

    Reader = Callable[[dict[str, Any]], Any]
    KeyedReader = Callable[[dict[str, Any], CacheKey, Any], Any]

__all__ = ["EntryReader"]


class EntryReader:
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
        self.config = config
        self._profile = config.profile
        self._ring = ring
        self.recorder = Recorder(directory, profile=config.profile, sink=sink)
        store = directory.store
        self._quick = QuickHits(store, directory.clock, ring) if isinstance(store, FileStore) else None

    def name(self, key: str, *, encrypted: bool) -> str:
        """The file name under which an entry is written."""
        return self._ring.names(key)[0] if encrypted and self._ring is not None else entry_name(key)

    def shown_name(self, at: Address, key: str, *, encrypted: bool) -> str:
        """The name that a log may show for an address: where encryption is required, never a digest of the request."""
        return self.name(key, encrypted=True) if encrypted and at.name == entry_name(key) else at.name

    def addresses(self, key: str, provider: str | None = None) -> Iterator[Address]:
        """Where the entry of a key may stand: under the names of each encryption key, newest first, then under the plain one.

        With encryption keys, the first place comes once more at the end: the entry may have been moved there, out of a later
        place, while that one was not looked at yet.

        Args:
            key: A key that knows its model, or a plain text, for which all folders are looked through.
            provider: Where to look for a plain text.
        """
        if isinstance(key, CacheKey):
            folders = folder_name(key.provider), folder_name(key.model_id)
            for name in self._names(key):
                yield Address(*folders, name)
            return
        try:
            for name in self._names(key):
                for at in self.directory.store.find(name):
                    if provider is None or at.provider_folder == folder_name(provider):
                        yield at
        except StoreError as error:
            self.directory.tell("read", error.cause, profile=self._profile)

    def _names(self, key: str) -> Iterator[str]:
        if self._ring is None:
            return iter((entry_name(key),))
        names = self._ring.names(key)
        return chain(names, _after(names, key))

    def open(
        self,
        at: Address,
        key: str,
        *,
        policy: Policy | None = None,
        encrypted: bool = False,
        note_use: bool = False,
    ) -> CacheEntry | Miss:
        """Read and decode what stands at an address, whatever its age; a fault of the machine is told, and is a miss.

        Args:
            at: Where to look.
            key: The key that was asked for.
            policy: The settings of the call; None takes those of the model that the entry names.
            encrypted: Whether only an encrypted entry will do.
            note_use: Whether the read counts as a use.
        """
        data = self._read(at, note_use=note_use)
        if isinstance(data, Miss):
            return data
        if policy is None:
            about = describe(data, at.name)
            if isinstance(about, MissReason):
                return Miss(about)
            policy = self.config.policy(about.provider, about.model_id)
            encrypted = must_encrypt(policy, sensitive=False)
        named_by_ring = self._ring is not None and at.name != entry_name(key)
        entry = decode(
            data, key, ring=self._ring, namespace=policy.namespace, encrypted_only=encrypted or named_by_ring
        )
        return entry if isinstance(entry, CacheEntry) else _unopened(entry, named_by_ring=named_by_ring)

    def _read(self, at: Address, *, note_use: bool) -> bytes | Miss:
        """The bytes at an address; a fault of the machine is told, and is a miss."""
        try:
            data = self.directory.store.read(at, note_use=note_use)
        except StoreError as error:
            self.directory.tell("read", error.cause, profile=self._profile)
            return Miss(MissReason.UNREADABLE, error.cause)
        if isinstance(data, MissReason):
            return Miss(data)
        self.directory.clear_fault("read")
        return data

    def fresh(self, found: CacheEntry | Miss, policy: Policy, mode: Mode) -> Hit | Miss:
        """Judge the age of an entry; replay takes it whatever its age."""
        if isinstance(found, Miss):
            return found
        return self._judged(found.response, found.timestamp, found.ttl, policy, mode)

    def _judged(
        self, response: dict[str, Any], timestamp: float, ttl: float | None, policy: Policy, mode: Mode
    ) -> Hit | Miss:
        if policy.ttl_seconds == 0:
            return Miss(MissReason.NO_TTL)
        if mode is not Mode.REPLAY:
            stale = staleness(timestamp, ttl, self.directory.clock(), policy.ttl_seconds)
            if stale is not None:
                return Miss(stale)
        return Hit(response, timestamp)

    def fetch(
        self,
        key: CacheKey,
        policy: Policy,
        mode: Mode,
        *,
        encrypted: bool,
        operation: str | None = None,
        read: Reader | None = None,
    ) -> Hit | Miss:
        """Answer from the entry of a key, and count and log what came of it.

        Args:
            key: The key.
            policy: The settings of the call.
            mode: What the call may do.
            encrypted: Whether only encrypted entries will do.
            operation: What is asked for, for the log.
            read: Makes the caller's answer out of the stored response; None where it cannot.
        """
        started = perf_counter()
        found: Hit | Miss | None = None
        if self._quick is not None:
            found, name = self._quick.find(key, policy, mode, encrypted=encrypted)
            if found is not None:
                self.directory.clear_fault("read")
                if read is not None:
                    found = _understood(found, read)
        if found is None:
            found, name = self.find(key, policy, mode, encrypted=encrypted, read=read)
        self.recorder.count(found, key.provider, key.model_id, name, mode, operation, started)
        return found

    def usual_hit(
        self,
        key: CacheKey,
        policy: Policy,
        read: KeyedReader | None = None,
        origin: object = None,
        *,
        encrypted: bool = False,
    ) -> Any:
        """What :meth:`fetch` answers with, where an entry of the usual kind gives it and nobody listens; None for all else.

        Args:
            key: The key.
            policy: The settings of the call.
            read: Makes the caller's answer out of the stored response, the key and the origin; None, or a reason, where it cannot.
                Without it the response is the answer.
            origin: Given to ``read``.
            encrypted: Whether only an encrypted entry will do.
        """
        if self._quick is None or self.recorder.hears_hits():
            return None
        found, _ = self._quick.find(key, policy, policy.mode, encrypted=encrypted)
        if found is None:
            return None
        response = found.response
        understood = response if read is None else read(response, key, origin)
        if understood is None or isinstance(understood, MissReason):
            return None
        self.directory.clear_fault("read")
        self.recorder.count_hit(response, key, policy.mode)
        return understood

    def find(
        self, key: CacheKey, policy: Policy, mode: Mode, *, encrypted: bool, read: Reader | None = None
    ) -> tuple[Hit | Miss, str]:
        """What :meth:`fetch` answers with, uncounted, and the name of the entry that it speaks of."""
        folders = folder_name(key.provider), folder_name(key.model_id)
        plain_name = entry_name(key)
        if self._ring is None:
            at = Address(*folders, plain_name)
            found = self._tried(at, key, policy, mode, read, encrypted=encrypted, named_by_ring=False)
            return found, plain_name
        result = Miss(MissReason.ABSENT)
        name = ""
        for tried in self._names(key):
            if tried == name and result.reason is not MissReason.ABSENT:
                # Nothing was moved to the first place: something stands there.
                break
            at = Address(*folders, tried)
            name = name or tried
            found = self._tried(
                at, key, policy, mode, read, encrypted=encrypted, named_by_ring=tried != plain_name
            )
            if isinstance(found, Hit):
                return found, tried
            if result.reason is MissReason.ABSENT and found.reason is not MissReason.ABSENT:
                # What stands there and cannot be used says more than that nothing stands elsewhere.
                result, name = found, self.shown_name(at, key, encrypted=encrypted)
        return result, name

    def _tried(
        self,
        at: Address,
        key: CacheKey,
        policy: Policy,
        mode: Mode,
        read: Reader | None,
        *,
        encrypted: bool,
        named_by_ring: bool,
    ) -> Hit | Miss:
        """What stands at an address, read, opened, judged and understood for one call."""
        data = self._read(at, note_use=mode.writes)
        if isinstance(data, Miss):
            return data
        opened = answer(
            data, key, ring=self._ring, namespace=policy.namespace, encrypted_only=encrypted or named_by_ring
        )
        if isinstance(opened, MissReason):
            return _unopened(opened, named_by_ring=named_by_ring)
        response, timestamp, ttl = opened
        found = self._judged(response, timestamp, ttl, policy, mode)
        return found if read is None else _understood(found, read)

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


def _after(names: tuple[str, ...], key: str) -> Iterator[str]:
    """What is looked for once the names under the encryption keys were."""
    yield entry_name(key)
    yield names[0]


def _unopened(reason: MissReason, *, named_by_ring: bool) -> Miss:
    """The miss for bytes that answer nothing."""
    if named_by_ring and reason is MissReason.PLAIN_REFUSED:
        # Plain text under a name that only a key gives: somebody put it there.
        return Miss(MissReason.WRONG_KEY)
    return Miss(reason)


def _understood(found: Hit | Miss, read: Reader) -> Hit | Miss:
    """A hit with the caller's answer; a miss where the entry holds something else, or an answer that will not do."""
    if isinstance(found, Miss):
        return found
    understood = read(found.response)
    if isinstance(understood, MissReason):
        return Miss(understood)
    if understood is None:
        return Miss(MissReason.CORRUPT)
    return Hit(found.response, found.timestamp, understood)
