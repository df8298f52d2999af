"""Re-encrypt, encrypt or decrypt the entries of a directory while programs use them.

Each entry is written under its new name before it is removed under its old one, and never over a newer entry. A
reader therefore finds one of the two at any moment, and an interrupted run can be continued by running it again.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spark_cache.entries import CacheEntry, decode, decrypt_entry, describe, encrypt_bytes, key_id_of
from spark_cache.errors import StoreError
from spark_cache.stores import HIDDEN, LOCKS, address, entry_name
from spark_cache.stores.atomic import make_folder
from spark_cache.stores.lock_file import LockFile
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import Address, FileStore

__all__ = ["Census", "Conversion", "count", "decrypt", "encrypt", "purge", "rotate", "rotation_lock"]

_ATTEMPTS = 5
"""How often to try to write an entry while other programs write to the same path."""


@dataclass(slots=True)
class Census:
    """The number and the size of the entries under each encryption key.

    Attributes:
        entries: The number of entries by key ID. The ID of plain entries is None.
        size_bytes: The total size of their files by key ID.
        unreadable: The number of files that are not entries and do not name an encryption key.
    """

    entries: Counter[str | None] = field(default_factory=Counter)
    size_bytes: Counter[str | None] = field(default_factory=Counter)
    unreadable: int = 0


@dataclass(slots=True)
class Conversion:
    """The counts of a rotation, an encryption or a decryption.

    Attributes:
        moved: The number of entries that were rewritten under their new names.
        superseded: The number of entries that were removed because a newer entry exists under the new name.
        kept: The number of entries that stay encrypted because the configuration requires it.
        unusable: The number of entries that were skipped because they cannot be read or written, by reason.
    """

    moved: int = 0
    superseded: int = 0
    kept: int = 0
    unusable: Counter[str] = field(default_factory=Counter)


@contextmanager
def rotation_lock(root: str) -> Iterator[None]:
    """Hold the lock that allows one process at a time to rewrite the entries of a directory.

    Args:
        root: The cache directory.

    Raises:
        StoreError: Another process holds the lock, or the directory belongs to another user or is not writable.
    """
    folder = f"{root}/{HIDDEN}/{LOCKS}"
    try:
        if os.stat(root).st_uid != os.geteuid():
            # Checked before anything is created, because a lock file of root would block the owner of the directory
            # for good.
            raise StoreError("lock the directory", "it belongs to another user")
        make_folder(folder)
        lock = LockFile(f"{folder}/rotation")
        lock.acquire(0)
    except BlockingIOError:
        raise StoreError("lock the directory", "another process is rewriting its entries") from None
    except OSError as error:
        raise StoreError("lock the directory", os.strerror(error.errno or 0)) from None
    try:
        yield
    finally:
        lock.release()


def count(store: FileStore, *, step: Callable[[], None]) -> Census:
    """Count the entries under each encryption key.

    Args:
        store: The store.
        step: Called after each entry.

    Raises:
        StoreError: The store could not be read.
    """
    census = Census()
    for _, data in _entries(store, step):
        key_id = None if data is None else key_id_of(data)
        # An entry of a later release cannot be read, but it still needs its encryption key.
        if data is None or (key_id is None and isinstance(describe(data, ""), MissReason)):
            census.unreadable += 1
            continue
        census.entries[key_id] += 1
        census.size_bytes[key_id] += len(data)
    census.unreadable += sum(1 for _ in store.damaged())
    return census


def rotate(store: FileStore, ring: KeyRing, *, step: Callable[[], None]) -> Conversion:
    """Encrypt every entry under an older encryption key with the newest one. Its content does not change.

    Args:
        store: The store.
        ring: The encryption keys, newest first.
        step: Called after each entry, whether it is rewritten or not.

    Raises:
        StoreError: The store could not be read or written. Entries that were rewritten before the error stay so.
    """
    return _convert(
        store, ring, lambda key_id: key_id not in (None, ring.ids[0]), _encrypted_form(ring), step
    )


def encrypt(store: FileStore, ring: KeyRing, *, step: Callable[[], None]) -> Conversion:
    """Encrypt every plain entry with the newest encryption key.

    Args:
        store: The store.
        ring: The encryption keys, newest first.
        step: Called after each entry, whether it is rewritten or not.

    Raises:
        StoreError: The store could not be read or written. Entries that were rewritten before the error stay so.
    """
    return _convert(store, ring, lambda key_id: key_id is None, _encrypted_form(ring), step)


def decrypt(
    store: FileStore,
    ring: KeyRing,
    *,
    may_be_plain: Callable[[CacheEntry], bool],
    step: Callable[[], None],
) -> Conversion:
    """Rewrite encrypted entries as plain text.

    Args:
        store: The store.
        ring: The encryption keys, newest first.
        may_be_plain: Return whether an entry may be stored unencrypted. Other entries stay encrypted.
        step: Called after each entry, whether it is rewritten or not.

    Raises:
        StoreError: The store could not be read or written. Entries that were rewritten before the error stay so.
    """

    def plain_form(entry: CacheEntry, plain: bytes) -> tuple[str, bytes] | None:
        return (entry_name(entry.key), plain) if may_be_plain(entry) else None

    return _convert(store, ring, lambda key_id: key_id is not None, plain_form, step)


def purge(store: FileStore, key_id: str, *, step: Callable[[], None]) -> int:
    """Remove every entry under an encryption key, and return the number of removed entries.

    Args:
        store: The store.
        key_id: The ID of the encryption key.
        step: Called after each entry, whether it is removed or not.

    Raises:
        StoreError: The store could not be read, or an entry could not be removed.
    """
    return sum(
        store.remove(at)
        for at, data in _entries(store, step)
        if data is not None and key_id_of(data) == key_id
    )


def _entries(store: FileStore, step: Callable[[], None]) -> Iterator[tuple[Address, bytes | None]]:
    """Yield the address and the bytes of each entry. The bytes are None if the file cannot be read."""
    for stored in store.scan():
        try:
            data = store.read(stored.address, note_use=False)
        except StoreError:
            data = MissReason.UNREADABLE
        if data is not MissReason.ABSENT:
            yield stored.address, data if isinstance(data, bytes) else None
        step()


def _encrypted_form(ring: KeyRing) -> Callable[[CacheEntry, bytes], tuple[str, bytes]]:
    """Return a function that gives the name and the bytes of an entry under the newest encryption key."""
    return lambda entry, plain: (ring.names(entry.key)[0], encrypt_bytes(plain, entry, ring))


def _convert(
    store: FileStore,
    ring: KeyRing,
    must_move: Callable[[str | None], bool],
    form: Callable[[CacheEntry, bytes], tuple[str, bytes] | None],
    step: Callable[[], None],
) -> Conversion:
    """Rewrite the entries whose key ID ``must_move`` accepts, with the name and the bytes from ``form``, if any."""
    done = Conversion()
    if not os.path.isdir(store.root):
        return done
    with rotation_lock(store.root):
        for source, data in _entries(store, step):
            if data is None:
                done.unusable[MissReason.UNREADABLE.value] += 1
            if data is None or not must_move(key_id_of(data)):
                continue
            decrypted = decrypt_entry(data, ring)
            if isinstance(decrypted, MissReason):
                done.unusable[decrypted.value] += 1
                continue
            entry, plain = decrypted
            if not _is_at_its_address(source, entry, ring):
                # The entry is never returned from this address, and rewriting it must not change that.
                done.unusable[MissReason.WRONG_KEY.value] += 1
            elif (formed := form(entry, plain)) is None:
                done.kept += 1
            else:
                _move(store, ring, source, source._replace(name=formed[0]), formed[1], entry, done)
    return done


def _is_at_its_address(at: Address, entry: CacheEntry, ring: KeyRing) -> bool:
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
                # The entry was removed meanwhile and must not come back under another name.
                store.remove(target)
            return
        present = store.read(target, note_use=False)
        found = decode(present, ring=ring) if isinstance(present, bytes) else present
        if isinstance(found, CacheEntry) and found.key == entry.key and found.timestamp >= entry.timestamp:
            store.remove(source)
            done.superseded += 1
            return
        if found is MissReason.OTHER_VERSION:
            break
        # The present entry is older or unusable. Until the new one is written, readers find it under its old name.
        store.remove(target)
    done.unusable["unwritten"] += 1
