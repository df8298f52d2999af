"""Import the entries of an archive, after all of it has been checked, and never over a newer entry."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from spark_cache.archive.tar_format import import_error, member_path, read_members
from spark_cache.entries import describe
from spark_cache.errors import StoreError
from spark_cache.maintenance.verify import CheckedEntry, check_entry
from spark_cache.stores import Address, block_size, entry_name
from spark_cache.types import CLOCK_SKEW, EntryMeta, MissReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import FileStore

__all__ = ["ImportResult", "Inspection", "import_entries", "inspect"]

_ATTEMPTS = 5
"""How often to try to write an entry while other programs write to the same path."""


@dataclass(slots=True)
class Inspection:
    """The contents of an archive.

    Attributes:
        entries: The number of entries.
        size_bytes: The space that they occupy, in blocks of 4 KiB.
    """

    entries: int = 0
    size_bytes: int = 0


@dataclass(slots=True)
class ImportResult:
    """The counts of an import.

    Attributes:
        placed: The number of imported entries.
        same: The number of entries that the cache already had.
        kept: The number of entries that were left out because the cache has one that is as new, or one of a later
            release.
    """

    placed: int = 0
    same: int = 0
    kept: int = 0


class _Member(NamedTuple):
    at: Address
    data: bytes
    checked: CheckedEntry


def inspect(
    source: str,
    *,
    ring: KeyRing | None,
    may_be_plain: Callable[[EntryMeta], bool],
    now: float,
    room_bytes: float | None,
    step: Callable[[], None],
) -> Inspection:
    """Read a whole archive and check everything in it, without writing anything.

    Args:
        source: The path of the archive.
        ring: The configured encryption keys. Entries under one of them are decrypted to check them.
        may_be_plain: Return whether an entry may be stored unencrypted.
        now: The current time, in seconds since the epoch.
        room_bytes: The space that all entries together may occupy, or None for no limit.
        step: Called after each entry.

    Raises:
        StoreError: The archive cannot be read or is damaged, is not in the form that an export writes, contains
            anything but valid entries at their own paths, exceeds the available space, or contains plain entries that
            must be encrypted.
    """
    found = Inspection()
    with _opened(source) as archive:
        for member in _checked_members(archive, ring, now):
            about = member.checked.about
            if not about.encrypted and not may_be_plain(about):
                raise import_error(
                    f"it contains plain entries of {about.provider}/{about.model_id}, which must be encrypted in this cache"
                )
            found.entries += 1
            found.size_bytes += block_size(len(member.data))
            if room_bytes is not None and found.size_bytes > room_bytes:
                room = int(room_bytes // 2**20)
                raise import_error(
                    f"its entries exceed the available space of {room:,} MB (SPARK_CACHE_MAX_SIZE or free disk space)"
                )
            step()
    return found


def import_entries(
    store: FileStore, source: str, *, ring: KeyRing | None, now: float, step: Callable[[], None]
) -> ImportResult:
    """Store the entries of an inspected archive without changing them. Programs may use the cache meanwhile.

    An entry never replaces one that is as new or newer. This also holds for two entries of one key under different
    names, one of them encrypted, if the encryption key is configured.

    Args:
        store: The store to import into.
        source: The path of the archive.
        ring: The configured encryption keys.
        now: The current time, in seconds since the epoch.
        step: Called after each entry.

    Raises:
        StoreError: An entry could not be written, or the archive has changed since it was inspected. Entries that
            were imported before the error stay in the cache.
    """
    done = ImportResult()
    with _opened(source) as archive:
        for member in _checked_members(archive, ring, now):
            outcome = _store_member(store, member, ring)
            setattr(done, outcome, getattr(done, outcome) + 1)
            step()
    return done


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    """Open an archive for reading its decompressed bytes.

    Raises:
        StoreError: The file cannot be opened, or is not a regular file.
    """
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise import_error(os.strerror(error.errno or 0)) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise import_error("it is not a regular file")
        with open(descriptor, "rb", closefd=False) as raw, GzipFile(fileobj=raw, mode="rb") as archive:
            yield archive  # type: ignore[misc]  # a GzipFile can be read like a binary file
    finally:
        os.close(descriptor)


def _checked_members(archive: BinaryIO, ring: KeyRing | None, now: float) -> Iterator[_Member]:
    for at, data in read_members(archive):
        checked = check_entry(at, data, ring)
        if isinstance(checked, CheckedEntry) and checked.about.timestamp > now + CLOCK_SKEW:
            checked = MissReason.FUTURE
        if isinstance(checked, MissReason):
            raise import_error(f"{member_path(at)!r} is not a valid entry for this path: {checked.value}")
        yield _Member(at, data, checked)


def _store_member(store: FileStore, member: _Member, ring: KeyRing | None) -> str:
    """Store one entry and return ``placed``, ``same`` or ``kept``."""
    at, data, (about, key) = member
    names = (
        {at.name}
        if key is None
        else {at.name, entry_name(key), *(ring.names(key) if ring is not None else ())}
    )
    for _ in range(_ATTEMPTS):
        present = {name: store.read(at._replace(name=name), note_use=False) for name in names}
        if present[at.name] == data:
            return "same"
        if any(_must_stay(other, about) for other in present.values() if other is not MissReason.ABSENT):
            return "kept"
        if present[at.name] is not MissReason.ABSENT:
            # The present entry is older or unusable. A reader that comes between the removal and the write misses, as
            # it would have without the import, or records a newer response.
            store.remove(at)
        if store.write(at, data, replace=False):
            for name in names - {at.name}:
                store.remove(at._replace(name=name))
            return "placed"
    raise StoreError("write", f"something that is not an entry blocks the path {member_path(at)}")


def _must_stay(present: bytes | MissReason, about: EntryMeta) -> bool:
    """Return whether a present file is an entry that is as new as the imported one, or one of a later release."""
    described = describe(present, "") if isinstance(present, bytes) else present
    if isinstance(described, MissReason):
        return described is MissReason.OTHER_VERSION
    return described.timestamp >= about.timestamp
