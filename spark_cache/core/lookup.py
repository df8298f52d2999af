"""Look up entries: find the file, read it, decrypt and decode it, judge its age."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache.core.plan import Hit, Miss, must_encrypt
from spark_cache.entries import (
    CacheEntry,
    Identity,
    accept_edit,
    decode,
    describe,
    identify,
    read_answer,
    staleness,
)
from spark_cache.errors import StoreError
from spark_cache.stores import FOREIGN, Address, address, entry_name, folder_name
from spark_cache.types import CacheKey, MissReason, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spark_cache.config import CacheConfig, Policy
    from spark_cache.core.directory import Directory
    from spark_cache.core.entry_names import EntryNames
    from spark_cache.core.plan import Plan
    from spark_cache.core.telemetry import Recorder
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import Stored
    from spark_cache.types import EntryMeta

    Parser = Callable[[dict[str, Any]], Any]

__all__ = ["EDITED", "Lookup", "unusable"]

_READ_AT_ONCE = 256
"""The number of entries of a batch that are in memory at the same time."""

EDITED = "its response was changed after it was stored; `spark-cache verify --accept` keeps the change"
"""Why an entry is not used although it is complete."""


class Lookup:
    """Reads the entries of one directory under one configuration. An I/O error is a miss and a warning, never an exception.

    Args:
        directory: The shared state of the directory.
        config: The configuration. Callers apply its rules and pass a policy.
        ring: The encryption keys; None without encryption.
        names: The file names of entries.
        recorder: Counts and logs what a lookup comes to.
    """

    def __init__(
        self,
        directory: Directory,
        config: CacheConfig,
        *,
        ring: KeyRing | None,
        names: EntryNames,
        recorder: Recorder,
    ) -> None:
        self.directory = directory
        self.config = config
        self.names = names
        self.recorder = recorder
        self._ring = ring

    def fetch(
        self,
        key: CacheKey,
        policy: Policy,
        mode: Mode,
        *,
        encrypted: bool,
        operation: str | None = None,
        parse: Parser | None = None,
    ) -> Hit | Miss:
        """Answer from the entry of a key, and count and log the hit or miss.

        Args:
            key: The key.
            policy: The settings of the call.
            mode: What the call may do.
            encrypted: Whether only an encrypted entry may answer.
            operation: The operation of the request, for the log.
            parse: Turns the stored response into the caller's answer; returns None, or a reason, if it cannot.
        """
        started = perf_counter()
        found, name = self.find(key, policy, mode, encrypted=encrypted, parse=parse)
        self.recorder.count(found, key.provider, key.model_id, name, mode, operation, started)
        return found

    def fetch_many(self, plans: Sequence[Plan], *, operation: str, parse: Parser) -> Iterator[Hit | Miss]:
        """Yield what :meth:`fetch` returns for each of several planned calls, in their order.

        Args:
            plans: The calls. Each has a key.
            operation: The operation of the requests, for the log.
            parse: As for :meth:`fetch`.
        """
        started = perf_counter()
        for plan, (found, name) in zip(plans, self.find_many(plans, parse=parse), strict=True):
            key = _key(plan)
            self.recorder.count(found, key.provider, key.model_id, name, plan.mode, operation, started)
            yield found

    def find_many(self, plans: Sequence[Plan], *, parse: Parser) -> Iterator[tuple[Hit | Miss, str]]:
        """Yield what :meth:`find` returns for each of several planned calls. Without encryption keys, their entries are read together.

        Args:
            plans: The calls. Each has a key.
            parse: As for :meth:`find`.
        """
        if self._ring is not None:
            for plan in plans:
                yield self.find(_key(plan), plan.policy, plan.mode, encrypted=plan.encrypted, parse=parse)
            return
        for start in range(0, len(plans), _READ_AT_ONCE):
            some = plans[start : start + _READ_AT_ONCE]
            addresses = [address(key.provider, key.model_id, key) for key in map(_key, some)]
            try:
                read = self.directory.store.read_many(addresses, note_use=some[0].mode.writes)
            except StoreError as error:
                unreadable = self._unreadable(error)
                yield from ((unreadable, at.name) for at in addresses)
                continue
            for plan, at, data in zip(some, addresses, read, strict=True):
                found = self._checked(data)
                yield self._judge(found, _key(plan), plan.policy, plan.mode, parse, plan.encrypted), at.name

    def find(
        self, key: CacheKey, policy: Policy, mode: Mode, *, encrypted: bool, parse: Parser | None = None
    ) -> tuple[Hit | Miss, str]:
        """Do what :meth:`fetch` does without counting it; return the result and the name of the entry it is about."""
        provider_folder, model_folder = folder_name(key.provider), folder_name(key.model_id)
        if self._ring is None:
            at = Address(provider_folder, model_folder, entry_name(key))
            return self._try(at, key, policy, mode, parse, encrypted), at.name
        result = Miss(MissReason.ABSENT)
        first = ""
        names = self.names.candidates(key)
        plain_name = names[-2]
        for name in names:
            if name == first and result.reason is not MissReason.ABSENT:
                # The first name comes again in case the entry moved there. It cannot have: the name is taken.
                break
            at = Address(provider_folder, model_folder, name)
            first = first or name
            found = self._try(at, key, policy, mode, parse, encrypted or name != plain_name)
            if isinstance(found, Hit):
                return found, name
            if result.reason is MissReason.ABSENT and found.reason is not MissReason.ABSENT:
                # An unusable entry explains more than an absent one.
                if name != plain_name:
                    found = _unless_planted(found)
                result, first = found, self.names.shown(at, key, encrypted=encrypted)
        return result, first

    def _try(
        self,
        at: Address,
        key: CacheKey,
        policy: Policy,
        mode: Mode,
        parse: Parser | None,
        encrypted_only: bool,
    ) -> Hit | Miss:
        """Read, decrypt, decode, judge and parse the entry at an address."""
        # Only what is stored as plain text may stay in memory.
        data = self.read(at, note_use=mode.writes, remember=not encrypted_only)
        return self._judge(data, key, policy, mode, parse, encrypted_only)

    def _judge(
        self,
        data: bytes | Miss,
        key: CacheKey,
        policy: Policy,
        mode: Mode,
        parse: Parser | None,
        encrypted_only: bool,
    ) -> Hit | Miss:
        """Decrypt, decode, judge and parse an entry."""
        if isinstance(data, Miss):
            return data
        opened = read_answer(data, key, policy.namespace, self._ring, encrypted_only=encrypted_only)
        if not isinstance(opened, tuple):
            return unusable(opened, data)
        response, timestamp, ttl = opened
        stale = self.why_stale(timestamp, ttl, policy, mode)
        if stale is not None:
            return Miss(stale)
        if parse is None:
            return Hit(response, timestamp)
        parsed = parse(response)
        if parsed is None:
            return Miss(MissReason.CORRUPT)
        return Miss(parsed) if isinstance(parsed, MissReason) else Hit(response, timestamp, parsed)

    def read(self, at: Address, *, note_use: bool, remember: bool = False) -> bytes | Miss:
        """Read the bytes at an address. An I/O error is a warning and a miss.

        Args:
            at: The address.
            note_use: Whether the read counts as a use.
            remember: Whether the bytes may stay in memory for the next read.
        """
        try:
            data = self.directory.store.read(at, note_use=note_use, remember=remember)
        except StoreError as error:
            return self._unreadable(error)
        return self._checked(data)

    def _checked(self, data: bytes | MissReason) -> bytes | Miss:
        """Return what a store has read, with the miss if it is nothing."""
        if isinstance(data, MissReason):
            return Miss(data, FOREIGN if data is MissReason.NOT_A_FILE else None)
        if self.directory.faults:
            self.directory.clear_fault("read")
        return data

    def _unreadable(self, error: StoreError) -> Miss:
        self.directory.warn_once("read", error.cause, profile=self.config.profile)
        return Miss(MissReason.UNREADABLE, error.cause)

    def open(
        self,
        at: Address,
        key: str,
        *,
        policy: Policy | None = None,
        encrypted: bool = False,
        note_use: bool = False,
    ) -> CacheEntry | Miss:
        """Read the whole entry at an address, whatever its age.

        Args:
            at: The address.
            key: The key that was asked for.
            policy: The settings of the call; None takes those of the model that the entry names.
            encrypted: Whether only an encrypted entry may answer.
            note_use: Whether the read counts as a use.
        """
        data = self.read(at, note_use=note_use)
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
        if isinstance(entry, CacheEntry):
            return entry
        miss = unusable(entry, data)
        return _unless_planted(miss) if named_by_ring else miss

    def why_stale(self, timestamp: float, ttl: float | None, policy: Policy, mode: Mode) -> MissReason | None:
        """Return why an entry is too old, or dated in the future; None if it is fresh. Replay accepts any age.

        Args:
            timestamp: When the entry was stored, in seconds since the epoch.
            ttl: Its TTL in seconds.
            policy: The settings of the call.
            mode: What the call may do.
        """
        if policy.ttl_seconds == 0:
            return MissReason.NO_TTL
        if mode is Mode.REPLAY:
            return None
        return staleness(timestamp, ttl, self.directory.clock(), policy.ttl_seconds)

    def addresses(self, key: str, provider: str | None = None) -> Iterator[Address]:
        """Yield the addresses where the entry of a key may be stored.

        Args:
            key: A :class:`spark_cache.CacheKey`, which knows its model, or a string, which is looked for in all folders.
            provider: The only provider to search for a string.
        """
        if isinstance(key, CacheKey):
            folders = folder_name(key.provider), folder_name(key.model_id)
            for name in self.names.candidates(key):
                yield Address(*folders, name)
            return
        try:
            for name in self.names.candidates(key):
                for at in self.directory.store.find(name):
                    if provider is None or at.provider_folder == folder_name(provider):
                        yield at
        except StoreError as error:
            self.directory.warn_once("read", error.cause, profile=self.config.profile)

    def scan(self, provider: str | None = None, model_id: str | None = None) -> Iterator[Stored]:
        """Yield every stored entry, or those of one provider or model.

        Raises:
            StoreError: The store cannot be listed.
        """
        return self.directory.store.scan(
            None if provider is None else folder_name(provider),
            None if model_id is None else folder_name(model_id),
        )

    def metas(
        self, provider: str | None = None, model_id: str | None = None
    ) -> Iterator[tuple[Address, EntryMeta]]:
        """Yield the address and the listing of every readable entry."""
        for stored in self.scan(provider, model_id):
            try:
                data = self.directory.store.read(stored.address, note_use=False)
            except StoreError as error:
                self.directory.warn_once("read", error.cause, profile=self.config.profile)
                continue
            if isinstance(data, MissReason):
                continue
            described = describe(data, stored.address.name)
            if not isinstance(described, MissReason):
                yield stored.address, described


def unusable(reason: MissReason, data: bytes) -> Miss:
    """Return the miss for a file that cannot be used, with the cause where more is known than the reason.

    Args:
        reason: The reason.
        data: The content of the file.
    """
    if reason is not MissReason.CORRUPT:
        return Miss(reason)
    if identify(data, whole=True) == Identity():
        return Miss(reason, FOREIGN)
    return Miss(reason, None if accept_edit(data) is None else EDITED)


def _unless_planted(found: Miss) -> Miss:
    """Return the miss for an unusable entry under a name that only an encryption key gives."""
    # A plain entry under such a name was put there by someone else.
    return Miss(MissReason.WRONG_KEY) if found.reason is MissReason.PLAIN_REFUSED else found


def _key(plan: Plan) -> CacheKey:
    if plan.key is None:
        raise ValueError("a call without a key cannot be looked up")
    return plan.key
