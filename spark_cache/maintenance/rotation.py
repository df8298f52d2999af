"""Moving the entries of a directory to another key, into encryption or out of it, while programs use them.

Each entry is written under its new name before it is removed under its old one, and never over a newer answer. So a reader finds
one of the two at any moment, and work that was cut short is taken up by doing it again.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from spark_cache.entries import CacheEntry, decode, decrypt_entry, describe, encrypt_bytes, key_id_of
from spark_cache.errors import StoreError
from spark_cache.stores import HIDDEN, address, entry_name
from spark_cache.stores.atomic import make_folder
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import Address, FileStore

__all__ = ["Census", "Conversion", "alone", "count", "decrypt", "encrypt", "purge", "rotate"]

_ATTEMPTS = 5
"""How often to try to write an entry to a place where something stands that it may replace."""


@dataclass(slots=True)
class Census:
    """How many entries there are under each key, and their bytes.

    Attributes:
        entries: How many, by key id; None for plain ones.
        size_bytes: The lengths of their files, likewise.
        unreadable: How many files are neither an entry nor name a key.
    """

    entries: Counter[str | None] = field(default_factory=Counter)
    size_bytes: Counter[str | None] = field(default_factory=Counter)
    unreadable: int = 0


@dataclass(slots=True)
class Conversion:
    """What became of the entries that were to be moved.

    Attributes:
        moved: How many stand under their new name now.
        superseded: How many were removed because a newer answer stands there.
        kept: How many may not be moved: the configuration wants them encrypted.
        unusable: How many were left as they are because they cannot be read or written, by reason.
    """

    moved: int = 0
    superseded: int = 0
    kept: int = 0
    unusable: Counter[str] = field(default_factory=Counter)


@contextmanager
def alone(root: str) -> Iterator[None]:
    """Be the only one who moves the entries of a directory.

    Args:
        root: The directory.

    Raises:
        StoreError: Somebody else is at it, or the directory cannot be written to or is another user's.
    """
    folder = f"{root}/{HIDDEN}"
    try:
        if os.stat(root).st_uid != os.geteuid():
            # Before anything is made: a lock of root's would keep the directory's owner from rotating ever after.
            raise StoreError("lock the directory", "it belongs to another user")
        make_folder(folder)
        lock = FileLock(f"{folder}/rotation.lock", timeout=0, mode=0o600, fallback_to_soft=False)
        lock.acquire()
    except Timeout:
        raise StoreError("lock the directory", "another process is moving its entries") from None
    except OSError as error:
        raise StoreError("lock the directory", os.strerror(error.errno or 0)) from None
    try:
        yield
    finally:
        lock.release()


def count(store: FileStore, *, step: Callable[[], None]) -> Census:
    """Count the entries under each key.

    Args:
        store: The entries.
        step: Called after each.

    Raises:
        StoreError: The store could not be read.
    """
    census = Census()
    for _, data in _entries(store, step):
        key_id = None if data is None else key_id_of(data)
        # An entry of a later release cannot be read here, and needs its key all the same.
        if data is None or (key_id is None and isinstance(describe(data, ""), MissReason)):
            census.unreadable += 1
            continue
        census.entries[key_id] += 1
        census.size_bytes[key_id] += len(data)
    return census


def rotate(store: FileStore, ring: KeyRing, *, step: Callable[[], None]) -> Conversion:
    """Encrypt every entry under another key with the newest one. What is inside stays as it is, byte for byte.

    Args:
        store: The entries.
        ring: The keys, newest first.
        step: Called after each entry, moved or not.

    Raises:
        StoreError: The store could not be read or written; what is done is done.
    """
    return _convert(store, ring, lambda key_id: key_id not in (None, ring.ids[0]), _sealed(ring), step)


def encrypt(store: FileStore, ring: KeyRing, *, step: Callable[[], None]) -> Conversion:
    """Encrypt every plain entry with the newest key; arguments and errors as for :func:`rotate`."""
    return _convert(store, ring, lambda key_id: key_id is None, _sealed(ring), step)


def decrypt(
    store: FileStore,
    ring: KeyRing,
    *,
    may_be_plain: Callable[[CacheEntry], bool],
    step: Callable[[], None],
) -> Conversion:
    """Write every encrypted entry as plain text, but for those that ``may_be_plain`` keeps; the rest as for :func:`rotate`."""

    def plain_form(entry: CacheEntry, plain: bytes) -> tuple[str, bytes] | None:
        return (entry_name(entry.key), plain) if may_be_plain(entry) else None

    return _convert(store, ring, lambda key_id: key_id is not None, plain_form, step)


def purge(store: FileStore, key_id: str, *, step: Callable[[], None]) -> int:
    """Remove every entry under a key; how many there were.

    Args:
        store: The entries.
        key_id: The id of the key.
        step: Called after each entry, removed or not.

    Raises:
        StoreError: The store could not be read, or an entry not removed.
    """
    return sum(
        store.remove(at)
        for at, data in _entries(store, step)
        if data is not None and key_id_of(data) == key_id
    )


def _entries(store: FileStore, step: Callable[[], None]) -> Iterator[tuple[Address, bytes | None]]:
    """Where each entry stands, and its bytes; None where they cannot be read as a file."""
    for stored in store.scan():
        try:
            data = store.read(stored.address, note_use=False)
        except StoreError:
            data = MissReason.UNREADABLE
        if data is not MissReason.ABSENT:
            yield stored.address, data if isinstance(data, bytes) else None
        step()


def _sealed(ring: KeyRing) -> Callable[[CacheEntry, bytes], tuple[str, bytes]]:
    """The name and the bytes of an entry under the newest key."""
    return lambda entry, plain: (ring.names(entry.key)[0], encrypt_bytes(plain, entry, ring))


def _convert(
    store: FileStore,
    ring: KeyRing,
    concerns: Callable[[str | None], bool],
    form: Callable[[CacheEntry, bytes], tuple[str, bytes] | None],
    step: Callable[[], None],
) -> Conversion:
    """Move every entry whose key id is of concern to the name and the bytes that ``form`` gives it, if any."""
    done = Conversion()
    if not os.path.isdir(store.root):
        return done
    with alone(store.root):
        for source, data in _entries(store, step):
            if data is None:
                done.unusable[MissReason.UNREADABLE.value] += 1
            if data is None or not concerns(key_id_of(data)):
                continue
            opened = decrypt_entry(data, ring)
            if isinstance(opened, MissReason):
                done.unusable[opened.value] += 1
                continue
            entry, plain = opened
            if not _in_place(source, entry, ring):
                # It answers nothing where it is, and is not helped to.
                done.unusable[MissReason.WRONG_KEY.value] += 1
            elif (formed := form(entry, plain)) is None:
                done.kept += 1
            else:
                _move(store, ring, source, source._replace(name=formed[0]), formed[1], entry, done)
    return done


def _in_place(at: Address, entry: CacheEntry, ring: KeyRing) -> bool:
    names = (*ring.names(entry.key), entry_name(entry.key))
    return any(at == address(entry.provider, entry.model_id, name) for name in names)


def _move(
    store: FileStore,
    ring: KeyRing,
    source: Address,
    target: Address,
    data: bytes,
    entry: CacheEntry,
    done: Conversion,
) -> None:
    for _ in range(_ATTEMPTS):
        if store.write(target, data, replace=False):
            if store.remove(source):
                done.moved += 1
            elif store.read(target, note_use=False) == data:
                # The entry was removed meanwhile, and is not brought back under another name.
                store.remove(target)
            return
        there = store.read(target, note_use=False)
        found = decode(there, ring=ring) if isinstance(there, bytes) else there
        if isinstance(found, CacheEntry) and found.key == entry.key and found.timestamp >= entry.timestamp:
            store.remove(source)
            done.superseded += 1
            return
        if found is MissReason.OTHER_VERSION:
            break
        # Older, or of no use: out of the way, and readers have the one that is to come from its old place.
        store.remove(target)
    done.unusable["unwritten"] += 1
