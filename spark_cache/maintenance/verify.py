"""Check every entry of a directory, accept edits, and move aside files that are not valid entries."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.entries import CacheEntry, accept_edit, decode, describe, key_id_of
from spark_cache.errors import StoreError
from spark_cache.stores import HIDDEN, entry_name, failure, folder_name
from spark_cache.stores.atomic import make_folder
from spark_cache.types import EntryMeta, MissReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import Address, FileStore

__all__ = [
    "ASIDE",
    "BadEntry",
    "CheckedEntry",
    "Verification",
    "accept",
    "check_entry",
    "move_aside",
    "verify",
]

ASIDE = "aside"
"""The folder for entries that were moved aside, inside the hidden folder."""


class CheckedEntry(NamedTuple):
    """A valid entry at its own address.

    Attributes:
        about: The metadata of the entry.
        key: The cache key, or None if the entry is encrypted under a key that is not configured.
    """

    about: EntryMeta
    key: str | None


def check_entry(at: Address, data: bytes, ring: KeyRing | None) -> CheckedEntry | MissReason:
    """Check that a file is a valid entry at its own address, as far as the configured encryption keys allow.

    Args:
        at: The address of the file.
        data: The content of the file.
        ring: The configured encryption keys.

    Returns:
        The entry, or the reason why a read of it misses.
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
        # Without its encryption key, nothing more can be checked.
        return CheckedEntry(about, None)
    return entry


@dataclass(frozen=True, slots=True)
class BadEntry:
    """A file that is not a valid entry at its address.

    Attributes:
        address: The address of the file.
        reason: The reason why a read of it misses.
        data: The content of the file, or None if it could not be read.
        accepted: The content of the entry with the checksum of its present response, if only the checksum is wrong.
    """

    address: Address
    reason: MissReason
    data: bytes | None = field(repr=False)
    accepted: bytes | None = field(default=None, repr=False)


@dataclass(slots=True)
class Verification:
    """The result of checking every entry.

    Attributes:
        intact: The number of valid entries at their own addresses.
        locked: The number of entries that cannot be checked because their encryption key is not configured.
        later: The number of entries in the format of a later release.
        bad: The remains of entries, and entries that are not valid at their addresses. Files that were never entries are ignored.
    """

    intact: int = 0
    locked: int = 0
    later: int = 0
    bad: list[BadEntry] = field(default_factory=list)


def verify(store: FileStore, ring: KeyRing | None, *, step: Callable[[], None]) -> Verification:
    """Read every entry, and check its content, its format and its address, without writing anything.

    Args:
        store: The store.
        ring: The configured encryption keys, or None if there are none.
        step: Called after each entry.

    Raises:
        StoreError: The store could not be listed.
    """
    result = Verification()
    for stored in store.scan():
        _check(store, stored.address, ring, result)
        step()
    for at in store.damaged():
        _check(store, at, ring, result)
    return result


def accept(store: FileStore, bad: BadEntry) -> bool:
    """Write the right checksum into an entry whose response was changed after it was stored.

    Args:
        store: The store.
        bad: The file, as :func:`verify` found it.

    Returns:
        Whether the entry is valid now. It is not if something else is wrong with it, or if it was replaced meanwhile.

    Raises:
        StoreError: The entry could not be read or written.
    """
    at = bad.address
    if bad.accepted is None or store.read(at, note_use=False) != bad.data:
        return False
    return store.write(at, bad.accepted)


def move_aside(store: FileStore, bad: BadEntry) -> str | None:
    """Move a bad file into the hidden folder, unless an entry has replaced it meanwhile.

    Args:
        store: The store.
        bad: The file, as :func:`verify` found it.

    Returns:
        The new path of the file, or None if the file is gone or was replaced.

    Raises:
        StoreError: The file could not be moved.
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


def _check(store: FileStore, at: Address, ring: KeyRing | None, result: Verification) -> None:
    try:
        data = store.read(at, note_use=False)
    except StoreError:
        data = MissReason.UNREADABLE
    if data is MissReason.ABSENT:
        # The entry was removed after it was listed.
        return
    if isinstance(data, MissReason):
        result.bad.append(BadEntry(at, data, None))
        return
    found = check_entry(at, data, ring)
    if found is MissReason.OTHER_VERSION:
        result.later += 1
    elif isinstance(found, MissReason):
        result.bad.append(BadEntry(at, found, data, _accepted(at, data, ring)))
    elif found.key is None:
        result.locked += 1
    else:
        result.intact += 1


def _accepted(at: Address, data: bytes, ring: KeyRing | None) -> bytes | None:
    accepted = accept_edit(data)
    if accepted is None or isinstance(check_entry(at, accepted, ring), MissReason):
        return None
    return accepted
