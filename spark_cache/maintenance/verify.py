"""Reading every entry of a directory and checking it, and moving aside what can answer nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.entries import CacheEntry, decode, describe, key_id_of
from spark_cache.errors import StoreError
from spark_cache.stores import HIDDEN, entry_name, failure, folder_name
from spark_cache.stores.atomic import make_folder
from spark_cache.types import EntryMeta, MissReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import Address, FileStore

__all__ = ["ASIDE", "BadEntry", "CheckedEntry", "Verification", "check_entry", "move_aside", "verify"]

ASIDE = "aside"
"""The folder inside the hidden one for entries that were moved aside."""


class CheckedEntry(NamedTuple):
    """An entry in its own place.

    Attributes:
        about: What a listing shows of it.
        key: Its cache key; None where it is encrypted under a key that is not at hand.
    """

    about: EntryMeta
    key: str | None


def check_entry(at: Address, data: bytes, ring: KeyRing | None) -> CheckedEntry | MissReason:
    """An entry that answers from where it stands, as far as that can be told with the keys at hand; or why it does not.

    Args:
        at: Where it stands.
        data: Its bytes.
        ring: The keys at hand.
    """
    about = describe(data, at.name)
    if isinstance(about, MissReason):
        return about
    if at[:2] != (folder_name(about.provider), folder_name(about.model_id)):
        return MissReason.WRONG_KEY
    entry = decode(data, ring=ring)
    if isinstance(entry, CacheEntry):
        encrypted = ring is not None and about.encrypted
        names = ring.names(entry.key) if encrypted and ring is not None else (entry_name(entry.key),)
        return CheckedEntry(about, entry.key) if at.name in names else MissReason.WRONG_KEY
    if entry is MissReason.UNDECRYPTABLE and (ring is None or key_id_of(data) not in ring.ids):
        # Nothing more can be told without its key.
        return CheckedEntry(about, None)
    return entry


@dataclass(frozen=True, slots=True)
class BadEntry:
    """A file in an entry's place that answers nothing.

    Attributes:
        address: Where it stands.
        reason: Why it answers nothing.
        data: Its bytes; None where they could not be read.
    """

    address: Address
    reason: MissReason
    data: bytes | None = field(repr=False)


@dataclass(slots=True)
class Verification:
    """What a check of every entry came to.

    Attributes:
        intact: How many entries are whole and where they belong.
        locked: How many are encrypted with a key that is not at hand, so that nothing can be said of them.
        later: How many are in a format of a later release.
        bad: The others.
    """

    intact: int = 0
    locked: int = 0
    later: int = 0
    bad: list[BadEntry] = field(default_factory=list)


def verify(store: FileStore, ring: KeyRing | None, *, step: Callable[[], None]) -> Verification:
    """Read every entry, and check that it is whole, in the known format, and where its key belongs; writes nothing.

    Args:
        store: The entries.
        ring: The keys at hand; None where there are none.
        step: Called after each entry.

    Raises:
        StoreError: The store could not be listed.
    """
    result = Verification()
    for stored in store.scan():
        _judge(store, stored.address, ring, result)
        step()
    return result


def move_aside(store: FileStore, bad: BadEntry) -> str | None:
    """Move a file out of the way of an entry, into the hidden folder; an entry that has taken its place meanwhile stays.

    Args:
        store: The entries.
        bad: The file, as :func:`verify` found it.

    Returns:
        Its new path; None when it is not there any more.

    Raises:
        StoreError: It could not be moved.
    """
    at = bad.address
    folder = f"{store.root}/{HIDDEN}/{ASIDE}/{at.provider_folder}/{at.model_folder}"
    target = f"{folder}/{at.name}.json"
    try:
        make_folder(folder)
        if bad.data is not None and store.read(at, note_use=False) != bad.data:
            return None
        os.replace(store.path(at), target)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failure("move aside", error) from None
    return target


def _judge(store: FileStore, at: Address, ring: KeyRing | None, result: Verification) -> None:
    try:
        data = store.read(at, note_use=False)
    except StoreError:
        data = MissReason.UNREADABLE
    if data is MissReason.ABSENT:
        # Removed since it was listed.
        return
    if isinstance(data, MissReason):
        result.bad.append(BadEntry(at, data, None))
        return
    found = check_entry(at, data, ring)
    if found is MissReason.OTHER_VERSION:
        result.later += 1
    elif isinstance(found, MissReason):
        result.bad.append(BadEntry(at, found, data))
    elif found.key is None:
        result.locked += 1
    else:
        result.intact += 1
