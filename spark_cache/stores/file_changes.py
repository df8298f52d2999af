"""Putting one entry in place, and removing one: the file, and what the index says of it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.errors import StoreError
from spark_cache.stores.atomic import commit, discard
from spark_cache.stores.base import FOREIGN, UNKNOWN, Proof, block_size
from spark_cache.stores.walk import ENDING, entry_path, leads_out, remove_if_empty

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.stores.base import Address, NewEntry
    from spark_cache.stores.index.rows import Row
    from spark_cache.stores.index.transaction import Transaction
    from spark_cache.stores.own_files import OwnFiles

__all__ = ["FileChanges"]


class _Present(NamedTuple):
    """What is at an address: its size, what it is, and its row in the index."""

    size: int
    proof: Proof
    row: Row | None


class FileChanges:
    """Changes the files of entries within transactions of the index.

    Args:
        root: The cache directory.
        files: Tells which files belong to the store.
        clock: Returns the time in seconds since the epoch.
        on_changed: Called with the path of each file that is replaced or removed.
    """

    def __init__(
        self, root: str, files: OwnFiles, *, clock: Callable[[], float], on_changed: Callable[[str], None]
    ) -> None:
        self._root = root
        self._files = files
        self._clock = clock
        self._on_changed = on_changed

    def put(
        self,
        transaction: Transaction,
        entry: NewEntry,
        temporary: str,
        *,
        replace: bool,
        cap_bytes: float | None,
    ) -> bool:
        """Put a temporary file in place, after making room for it.

        Args:
            transaction: The transaction.
            entry: The entry.
            temporary: The path of the file; empty if the entry is larger than it may be.
            replace: Whether it may replace another entry.
            cap_bytes: The bytes that the store may occupy; None is no limit.

        Returns:
            Whether it is in place.

        Raises:
            OSError: It cannot be put in place, or there is no room for it.
            StoreError: Its place is taken by something that does not belong to the store.
        """
        at = entry.address
        if not temporary:
            return False
        if leads_out(self._root, at.provider_folder, at.model_folder):
            raise StoreError("write", "a folder of entries is a symbolic link")
        transaction.announce(at)
        path = entry_path(self._root, at)
        present = self._present(transaction, at, path)
        if present is not None and present.proof is Proof.FOREIGN:
            raise StoreError("write", FOREIGN)
        if present is not None and not replace:
            discard(temporary)
            return False
        replaced = present if present is not None and present.proof is Proof.ENTRY else None
        if cap_bytes is not None:
            needed = block_size(len(entry.data)) - (0 if replaced is None else block_size(replaced.size))
            error = transaction.make_room(at, needed, cap_bytes, self._clock())
            if error is not None:
                raise error
        if not commit(temporary, os.path.dirname(path), at.name + ENDING, replace=replace):
            return False
        self._on_changed(path)
        if replaced is not None:
            transaction.subtract(at, replaced.size, replaced.row)
        transaction.add(at, expires=UNKNOWN if entry.expires_at is None else entry.expires_at)
        return True

    def remove(self, transaction: Transaction, at: Address, *, also_damaged: bool) -> bool:
        """Remove the file of an entry, and return whether there was one.

        Args:
            transaction: The transaction.
            at: The address.
            also_damaged: Whether to remove the remains of an entry as well.

        Raises:
            OSError: It cannot be removed.
        """
        path = entry_path(self._root, at)
        if leads_out(self._root, at.provider_folder, at.model_folder):
            return False
        transaction.announce(at)
        present = self._present(transaction, at, path)
        if (
            present is None
            or present.proof is Proof.FOREIGN
            or (present.proof is Proof.DAMAGED and not also_damaged)
        ):
            return False
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        self._on_changed(path)
        if present.proof is Proof.ENTRY:
            transaction.subtract(at, present.size, present.row)
        remove_if_empty(os.path.dirname(path))
        return True

    def _present(self, transaction: Transaction, at: Address, path: str) -> _Present | None:
        """Return what is known of whatever is at a path; None if there is nothing."""
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return _Present(0, Proof.FOREIGN, None)
        row = transaction.find(at, status)
        proof = Proof.ENTRY if row is not None else self._files.prove(path, at.name)
        return _Present(status.st_size, proof, row)
