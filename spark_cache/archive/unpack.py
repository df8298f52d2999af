"""One archive -> entries: read whole and checked before the first is put in place, and never over a newer answer."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from spark_cache.archive.tar_format import members, path_of, refused
from spark_cache.entries import CLOCK_SKEW, describe
from spark_cache.errors import StoreError
from spark_cache.maintenance.verify import CheckedEntry, check_entry
from spark_cache.stores import Address, block_size, entry_name
from spark_cache.types import EntryMeta, MissReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import FileStore

__all__ = ["Imported", "Inspected", "import_entries", "inspect"]

_ATTEMPTS = 5
"""How often to try to write an entry to a place where something stands that it may replace."""


@dataclass(slots=True)
class Inspected:
    """What an archive holds.

    Attributes:
        entries: How many entries.
        size_bytes: What they occupy, in blocks of 4 KiB.
    """

    entries: int = 0
    size_bytes: int = 0


@dataclass(slots=True)
class Imported:
    """What became of the entries of an archive.

    Attributes:
        placed: How many were put in place.
        same: How many stood there already.
        kept: How many stayed out because an entry that is as new, or of a later release, stands there.
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
) -> Inspected:
    """Read an archive to its end and check everything in it; nothing is written.

    Args:
        source: The file.
        ring: The keys at hand: an entry under one of them is decrypted to check it.
        may_be_plain: Whether an entry may be stored as plain text.
        now: The time in seconds since the epoch.
        room_bytes: What all entries together may occupy; None is no bound.
        step: Called after each entry.

    Raises:
        StoreError: It cannot be read, is damaged or not as an export writes it, holds anything else than entries in their own
            places, or more than there is room for, or plain entries where they have to be encrypted.
    """
    found = Inspected()
    with _opened(source) as archive:
        for member in _checked(archive, ring, now):
            if not member.checked.about.encrypted and not may_be_plain(member.checked.about):
                model = f"{member.checked.about.provider}/{member.checked.about.model_id}"
                raise refused(f"it holds plain entries of {model}, whose answers have to be encrypted here")
            found.entries += 1
            found.size_bytes += block_size(len(member.data))
            if room_bytes is not None and found.size_bytes > room_bytes:
                room = int(room_bytes // 2**20)
                raise refused(
                    f"it unpacks to more than there is room for, {room:,} MB (SPARK_CACHE_MAX_SIZE, or the disk)"
                )
            step()
    return found


def import_entries(
    store: FileStore, source: str, *, ring: KeyRing | None, now: float, step: Callable[[], None]
) -> Imported:
    """Put the entries of an archive that was inspected in place, as they are, while programs may use the cache.

    An entry never takes the place of one that is as new or newer, also where the two stand under different names because one is
    encrypted and its key is at hand.

    Args:
        store: Where they go.
        source: The file.
        ring: The keys at hand.
        now: The time in seconds since the epoch.
        step: Called after each entry.

    Raises:
        StoreError: An entry could not be written, or the file was changed since it was inspected; what is done is done.
    """
    done = Imported()
    with _opened(source) as archive:
        for member in _checked(archive, ring, now):
            outcome = _put(store, member, ring)
            setattr(done, outcome, getattr(done, outcome) + 1)
            step()
    return done


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    """The unpacked bytes of an archive.

    Raises:
        StoreError: It cannot be opened, or is no regular file.
    """
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise refused(os.strerror(error.errno or 0)) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise refused("it is no regular file")
        with open(descriptor, "rb", closefd=False) as raw, GzipFile(fileobj=raw, mode="rb") as archive:
            yield archive  # type: ignore[misc]  # a GzipFile reads like any binary file
    finally:
        os.close(descriptor)


def _checked(archive: BinaryIO, ring: KeyRing | None, now: float) -> Iterator[_Member]:
    for at, data in members(archive):
        found = check_entry(at, data, ring)
        if isinstance(found, CheckedEntry) and found.about.timestamp > now + CLOCK_SKEW:
            found = MissReason.FUTURE
        if isinstance(found, MissReason):
            raise refused(f"{path_of(at)!r} is no entry that could answer from there: {found.value}")
        yield _Member(at, data, found)


def _put(store: FileStore, member: _Member, ring: KeyRing | None) -> str:
    """Put one entry in place; ``placed``, ``same`` or ``kept``."""
    at, data, (about, key) = member
    names = (
        {at.name}
        if key is None
        else {at.name, entry_name(key), *(ring.names(key) if ring is not None else ())}
    )
    for _ in range(_ATTEMPTS):
        standing = {name: store.read(at._replace(name=name), note_use=False) for name in names}
        if standing[at.name] == data:
            return "same"
        if any(_outlasts(there, about) for there in standing.values() if there is not MissReason.ABSENT):
            return "kept"
        if standing[at.name] is not MissReason.ABSENT:
            # Older, or of no use. A reader that comes in between misses, as it would have, or asks for a newer answer.
            store.remove(at)
        if store.write(at, data, replace=False):
            for name in names - {at.name}:
                store.remove(at._replace(name=name))
            return "placed"
    raise StoreError("write", f"something that is no entry stands in the place of {path_of(at)}")


def _outlasts(there: bytes | MissReason, about: EntryMeta) -> bool:
    """Whether what stands in a place stays there: an entry that is as new, or one of a later release."""
    described = describe(there, "") if isinstance(there, bytes) else there
    if isinstance(described, MissReason):
        return described is MissReason.OTHER_VERSION
    return described.timestamp >= about.timestamp
