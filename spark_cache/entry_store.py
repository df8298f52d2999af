"""Entries in a directory: open and decode, encode and write, count and log. What the machine does to them never raises."""

from __future__ import annotations

from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache.entries import CacheEntry, decode, describe, encode, seal
from spark_cache.errors import StoreError
from spark_cache.events import CacheCorrupt, CacheHit, CacheMiss, CacheStore
from spark_cache.plan import Hit, Miss, needs_sealing
from spark_cache.stores import Address, address, entry_name, folder_name
from spark_cache.types import CacheKey, MissReason, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from spark_cache.config import CacheConfig, Policy
    from spark_cache.directory import Directory
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.events import Event, Sink
    from spark_cache.stores import Stored
    from spark_cache.types import EntryMeta

    Reader = Callable[[dict[str, Any]], Any]

__all__ = ["EntryStore"]

_CORRUPT = frozenset(
    {
        MissReason.CORRUPT,
        MissReason.WRONG_KEY,
        MissReason.NOT_A_FILE,
        MissReason.TOO_LARGE,
        MissReason.FUTURE,
        MissReason.UNDECRYPTABLE,
    }
)
"""Reasons that somebody should know of: an entry is there and cannot be used."""

_TOO_MANY = 10**9
"""Tokens or seconds that no single call takes."""


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
        self.config = config
        self._profile = config.profile
        self._allow_plaintext = config.allow_plaintext
        self._ring = ring
        self._sink = sink

    def name(self, key: str, *, sealed: bool) -> str:
        """The file name under which an entry is written."""
        return self._ring.names(key)[0] if sealed and self._ring is not None else entry_name(key)

    def shown_name(self, at: Address, key: str, *, sealed: bool) -> str:
        """The name that a log may show for an address: where encryption is required, never a digest of the request."""
        return self.name(key, sealed=True) if sealed and at.name == entry_name(key) else at.name

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
        sealed: bool = False,
        note_use: bool = False,
    ) -> CacheEntry | Miss:
        """Read and decode what stands at an address, whatever its age; a fault of the machine is told, and is a miss.

        Args:
            at: Where to look.
            key: The key that was asked for.
            policy: The settings of the call; None takes those of the model that the entry names.
            sealed: Whether only an encrypted entry will do.
            note_use: Whether the read counts as a use.
        """
        try:
            data = self.directory.store.read(at, note_use=note_use)
        except StoreError as error:
            self.directory.tell("read", error.cause, profile=self._profile)
            return Miss(MissReason.UNREADABLE, error.cause)
        if isinstance(data, MissReason):
            return Miss(data)
        self.directory.recovered("read")
        if policy is None:
            about = describe(data, at.name)
            if isinstance(about, MissReason):
                return Miss(about)
            policy = self.config.policy(about.provider, about.model_id)
            sealed = needs_sealing(policy, sensitive=False)
        sealed = sealed or (self._ring is not None and at.name != entry_name(key))
        entry = decode(data, key, ring=self._ring, namespace=policy.namespace, sealed_only=sealed)
        if isinstance(entry, CacheEntry):
            return entry
        if entry is MissReason.PLAIN_REFUSED and at.name != entry_name(key):
            # Plain text under a name that only a key gives: somebody put it there.
            return Miss(MissReason.WRONG_KEY)
        return Miss(entry)

    def fresh(self, found: CacheEntry | Miss, policy: Policy, mode: Mode) -> Hit | Miss:
        """Judge the age of an entry; replay takes it whatever its age."""
        if isinstance(found, Miss):
            return found
        if policy.ttl_seconds == 0:
            return Miss(MissReason.NO_TTL)
        stale = None if mode is Mode.REPLAY else found.staleness(self.directory.clock(), policy.ttl_seconds)
        return Hit(found) if stale is None else Miss(stale)

    def fetch(
        self,
        key: CacheKey,
        policy: Policy,
        mode: Mode,
        *,
        sealed: bool,
        operation: str | None = None,
        read: Reader | None = None,
    ) -> Hit | Miss:
        """Answer from the entry of a key, and count and log what came of it.

        Args:
            key: The key.
            policy: The settings of the call.
            mode: What the call may do.
            sealed: Whether only encrypted entries will do.
            operation: What is asked for, for the log.
            read: Makes the caller's answer out of the stored response; None where it cannot.
        """
        started = perf_counter()
        found, name = self.find(key, policy, mode, sealed=sealed, read=read)
        self.count(found, key.provider, key.model_id, name, mode, operation, started)
        return found

    def find(
        self, key: CacheKey, policy: Policy, mode: Mode, *, sealed: bool, read: Reader | None = None
    ) -> tuple[Hit | Miss, str]:
        """What :meth:`fetch` answers with, uncounted, and the name of the entry that it speaks of."""
        result = Miss(MissReason.ABSENT)
        name = ""
        folders = folder_name(key.provider), folder_name(key.model_id)
        for tried in self._names(key):
            if tried == name and result.reason is not MissReason.ABSENT:
                # Nothing was moved to the first place: something stands there.
                break
            at = Address(*folders, tried)
            name = name or tried
            entry = self.open(at, key, policy=policy, sealed=sealed, note_use=mode.writes)
            found = _understood(self.fresh(entry, policy, mode), read)
            if isinstance(found, Hit):
                return found, at.name
            if result.reason is MissReason.ABSENT and found.reason is not MissReason.ABSENT:
                # What stands there and cannot be used says more than that nothing stands elsewhere.
                result, name = found, self.shown_name(at, key, sealed=sealed)
        return result, name

    def put(self, entry: CacheEntry, *, sealed: bool, operation: str | None = None) -> bool:
        """Write an entry, and remove what stands under the other names of its key; whether it is now in the store.

        Raises:
            UncacheableResponseError: The response would not come back equal.
        """
        started = perf_counter()
        key, provider, model = entry.key, entry.provider, entry.model_id
        if not sealed:
            data = encode(entry)
        elif self._ring is not None:
            data = seal(entry, self._ring)
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
            # Not "write": that a smaller entry can be written makes this one no smaller.
            self.directory.tell("keep an entry", "it is larger than the cache may be", profile=self._profile)
            return False
        self.directory.recovered("write")
        self.directory.recovered(at.name)
        self._remove_others(at, key)
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

    def _remove_others(self, at: Address, key: str) -> None:
        """Leave one entry of a key: an older one would be found before it, and a plain one tells what was to be encrypted."""
        for name in self._names(key):
            if name == at.name:
                continue
            try:
                self.directory.store.remove(at._replace(name=name))
            except StoreError as error:
                self.directory.tell("remove", error.cause, profile=self._profile)

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
        tokens, seconds = _spared(found.entry.response) if isinstance(found, Hit) else (0, 0.0)
        self.directory.ledger.record(
            "hit" if isinstance(found, Hit) else "miss",
            provider=provider,
            model=model,
            profile=self._profile,
            keep=mode.writes,
            reason="" if isinstance(found, Hit) else found.reason.value,
            tokens=tokens,
            seconds=seconds,
        )
        # Asked before anything is put together for it: most programs let no hit through.
        if not self._sink.wants(CacheHit.level if isinstance(found, Hit) else CacheCorrupt.level):
            return
        about = {"provider": provider, "model": model, "key": name[:12], "operation": operation}
        if isinstance(found, Hit):
            age = self.directory.clock() - found.entry.timestamp
            self.emit(CacheHit, **about, age=age, duration_ms=_since(started))
            return
        if found.reason in _CORRUPT and self.directory.is_news(name, found.reason.value, name):
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


def _after(names: tuple[str, ...], key: str) -> Iterator[str]:
    """What is looked for once the names under the encryption keys were."""
    yield entry_name(key)
    yield names[0]


def _understood(found: Hit | Miss, read: Reader | None) -> Hit | Miss:
    """A hit with the caller's answer; a miss where the entry holds something else than such an answer."""
    if isinstance(found, Miss) or read is None:
        return found
    answer = read(found.entry.response)
    return Miss(MissReason.CORRUPT) if answer is None else Hit(found.entry, answer)


def _spared(response: Mapping[str, Any]) -> tuple[int, float]:
    """The tokens and the seconds of the call that a hit spared, as far as the response tells."""
    usage = response.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    seconds = response.get("latency_seconds")
    # Anybody may have written the file: what no call can have taken is not added up.
    return (
        tokens if type(tokens) is int and 0 <= tokens < _TOO_MANY else 0,
        float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < _TOO_MANY else 0.0,
    )


def _since(started: float) -> float:
    """Milliseconds since a reading of ``perf_counter``."""
    return (perf_counter() - started) * 1000
