"""The file store: one JSON file per entry, ``<root>/<provider>/<model>/<name>.json``.

Reads take no lock. A file is replaced in one step, so a reader gets the old one or the new one. Everything else that the store
keeps is in the hidden folder and can be deleted at any time.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from itertools import islice
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError
from spark_cache.stores.atomic import (
    MAX_BYTES,
    discard,
    failure,
    is_use_news,
    read_file,
    sync_folder,
    write_temporary,
)
from spark_cache.stores.base import (
    Address,
    FolderTotals,
    NewEntry,
    Proof,
    Stored,
    Totals,
    added_up,
    block_size,
    is_over,
)
from spark_cache.stores.file_changes import FileChanges
from spark_cache.stores.hot import HotEntries
from spark_cache.stores.layout import Layout
from spark_cache.stores.leases import FileLeases
from spark_cache.stores.names import HIDDEN, LOCKS
from spark_cache.stores.own_files import OwnFiles
from spark_cache.stores.scan_maintenance import ScanMaintenance
from spark_cache.stores.walk import ENDING, entry_path, folder_names, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spark_cache.stores.base import EntryFormat, Lifetime
    from spark_cache.stores.index.index import Index
    from spark_cache.stores.index.removal import Removed
    from spark_cache.types import MissReason

__all__ = ["FileStore"]

_FEW = 200
"""So many entries are counted by looking at them, which also notices changes inside a file."""

_AT_ONCE = 64
"""The number of entries that are written or removed in one transaction."""

_SUSPECT = (
    "a symbolic link on its path belongs to another user, or leads to a place that everybody may write to"
)
_LOCKED = "another process holds the lock of the index"


class FileStore:
    """Keeps entries as files below one directory, which is created by the first write.

    Args:
        root: The directory, absolute.
        clock: Returns the time in seconds since the epoch.
        commit_entries: Whether entries may be committed. They are then removed on demand only, unless the cap requires it.
        suspect: Whether other users can change where the path leads. The directory is then neither read nor written.
        entry_format: What the store has to know of the content of entries.
        on_removed: Called with each entry that upkeep removes: its address, its size, and ``evict`` or ``expire``.
        on_lease_fault: Called with the reason when a lease cannot be taken or released.

    Attributes:
        root: The directory.
        leases: The leases of the keys, shared by all processes that use the directory.
    """

    def __init__(
        self,
        root: str,
        *,
        clock: Callable[[], float],
        commit_entries: bool,
        suspect: bool = False,
        entry_format: EntryFormat,
        on_removed: Callable[[Address, int, str], None],
        on_lease_fault: Callable[[OSError | StoreError], None] | None = None,
    ) -> None:
        self.root = root
        self.leases = FileLeases(
            f"{root}/{HIDDEN}/{LOCKS}",
            prepare=self.prepare,
            clock=clock,
            on_fault=on_lease_fault or (lambda _fault: None),
        )
        self._layout = Layout(root, clock=clock, commit_entries=commit_entries)
        self._commit_entries = commit_entries
        self._suspect = suspect
        self._clock = clock
        self._lifetime = entry_format.lifetime
        self._files = OwnFiles(root, entry_format.prove)
        self._changes = FileChanges(root, self._files, clock=clock, on_changed=self._forget_hot)
        self._fsync = False
        self._cap: float | None = None
        self._interval: float | None = None
        self._may_keep_hot = True
        self._hot: HotEntries | None = None
        self._on_removed = on_removed
        self._opened: dict[str, Index] = {}
        self._one_writer = Lock()
        self._scan_maintenance = ScanMaintenance(
            self,
            clock=clock,
            interval=self._sweep_interval,
            lifetime=entry_format.lifetime,
            on_removed=self._removed,
        )

    @property
    def _index(self) -> Index:
        """The index. It is imported on first use, because a hit needs neither the index nor sqlite3."""
        index = self._opened.get(self.root)
        if index is None:
            from spark_cache.stores.index.index import Index  # noqa: PLC0415 - see above

            made = Index(
                self.root,
                hidden=self._layout.hidden,
                clock=self._clock,
                sweep_interval=self._sweep_interval,
                lifetime_of=self._lifetime_of,
                is_entry=self._files.is_entry,
            )
            # Of two threads that get here at once, both use the one that is set first. A lock would not survive a fork.
            index = self._opened.setdefault(self.root, made)
        return index

    def require(
        self, *, fsync: bool, cap_bytes: float | None, cleanup_interval: float, hot_entries: bool = True
    ) -> None:
        """Take on what one of the managers that share the store asks for. The strictest requirement holds.

        Args:
            fsync: Whether a write waits for the disk.
            cap_bytes: The bytes that the store may occupy; None is no limit.
            cleanup_interval: How often to search for expired entries, in seconds.
            hot_entries: Whether the bytes of small entries are kept in memory for the next read.
        """
        self._fsync = self._fsync or fsync
        if cap_bytes is not None:
            self._cap = cap_bytes if self._cap is None else min(self._cap, cap_bytes)
        self._interval = cleanup_interval if self._interval is None else min(self._interval, cleanup_interval)
        self._may_keep_hot = self._may_keep_hot and hot_entries
        self._hot = (self._hot or HotEntries()) if self._may_keep_hot else None

    def forget(self) -> None:
        """Use new locks in a forked child: another thread of the parent may have held the old ones."""
        self._one_writer = Lock()
        self.leases.forget()
        self._layout.forget()
        self._scan_maintenance.forget()

    @property
    def on_network(self) -> bool:
        """Whether the directory is on a network file system, where no index is kept."""
        return self._index.on_network

    def path(self, at: Address) -> str:
        """Return the path of the file of an entry."""
        return entry_path(self.root, at)

    # -- reading -----------------------------------------------------------------------------------

    def has(self, at: Address) -> bool:
        """Return whether there is an entry at an address, without reading all of it.

        Raises:
            StoreError: It cannot be found out.
        """
        with _as_store_errors("read"):
            return not self._suspect and self._files.is_entry(self.path(at), at.name)

    def read(self, at: Address, *, note_use: bool, remember: bool = False) -> bytes | MissReason:
        """Return the bytes at an address, or why there are none.

        Args:
            at: The address.
            note_use: Whether to note the use in the access time of the file. The file must belong to this user then.
            remember: Whether the bytes may be kept in memory for the next read.

        Raises:
            StoreError: The file cannot be read.
        """
        if self._suspect:
            raise StoreError("read", _SUSPECT)
        path = self.path(at)
        now = self._clock() if note_use else None
        hot = self._hot if remember else None
        if hot is not None:
            kept = hot.get(path)
            if kept is not None and (
                now is None or (kept.status.st_uid == os.geteuid() and not is_use_news(kept.status, now))
            ):
                return kept.data
        found = read_file(path, used_at=now)
        if not isinstance(found, tuple):
            return found
        if hot is not None:
            hot.keep(path, found)
        return found.data

    def read_many(self, addresses: Sequence[Address], *, note_use: bool) -> list[bytes | MissReason]:
        """Return what :meth:`read` returns for each address, in their order."""
        return [self.read(at, note_use=note_use) for at in addresses]

    def find(self, name: str) -> list[Address]:
        """Return every address with this name, in whatever folder."""
        with _as_store_errors("list"):
            return [
                Address(provider, model, name)
                for provider, model in folder_names(self.root)
                if os.path.lexists(f"{self.root}/{provider}/{model}/{name}{ENDING}")
            ]

    def scan(
        self, provider_folder: str | None = None, model_folder: str | None = None, *, after: str = ""
    ) -> Iterator[Stored]:
        """Yield every entry, or those of a provider or of one of its models, ordered by address.

        Args:
            provider_folder: The only provider.
            model_folder: Its only model.
            after: The cursor of an entry to go on behind.
        """
        for at, status, proof in self._listed(provider_folder, model_folder, after):
            if proof is Proof.ENTRY:
                yield Stored(at, status.st_size, max(status.st_atime, status.st_mtime), "/".join(at))

    def damaged(self) -> Iterator[Address]:
        """Yield the addresses of files that are the remains of an entry, or the entry of another name."""
        return (at for at, _, proof in self._listed() if proof is Proof.DAMAGED)

    def totals(self, *, write: bool) -> Totals:
        """Return the totals of the entries of each model, from the index or else by listing the files.

        Args:
            write: Whether this process may write. A process that may not does not open the index.
        """
        known = self._index.folders() if write else None
        if known is None or sum(folder.entries for folder in known) <= _FEW:
            return Totals(added_up(self.scan()))
        fresh = [
            FolderTotals(
                folder.provider, folder.model, folder.entries, folder.size_bytes, folder.occupied_bytes
            )
            for folder in known
            if folder.entries and not folder.stale
        ]
        stale = [(folder.provider, folder.model) for folder in known if folder.stale]
        return Totals(fresh + [totals for names in stale for totals in added_up(self.scan(*names))])

    def compare_index(self) -> tuple[int, int] | None:
        """Compare the index with the entries, without writing anything.

        Returns:
            The number of models, and for how many of them the index is wrong; None if there is no index that can be read.

        Raises:
            StoreError: The entries cannot be listed.
        """
        known = self._index.inspect()
        if known is None:
            return None
        counted = {totals[:2]: totals[2:] for totals in added_up(self.scan())}
        indexed = {
            (folder.provider, folder.model): (folder.entries, folder.size_bytes, folder.occupied_bytes)
            for folder in known
            if folder.entries or folder.stale
        }
        stale = {(folder.provider, folder.model) for folder in known if folder.stale}
        names = counted.keys() | indexed.keys()
        return len(names), sum(name in stale or counted.get(name) != indexed.get(name) for name in names)

    # -- writing -----------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Create what is missing of the directory. :meth:`write` does it by itself.

        Raises:
            OSError: Something cannot be created.
            StoreError: The directory must not be used.
        """
        if self._suspect:
            raise StoreError("write", _SUSPECT)
        self._layout.prepare(again=True)

    def write(
        self,
        at: Address,
        data: bytes,
        *,
        replace: bool = True,
        expires_at: float | None = None,
        deadline: float | None = None,
    ) -> bool:
        """Put an entry in place.

        Args:
            at: The address.
            data: The bytes.
            replace: Whether they may replace another entry.
            expires_at: When the entry expires, in seconds since the epoch; infinity for never. None leaves it to the bytes to say.
            deadline: When to stop waiting for the lock, by the monotonic clock; None waits for two seconds.

        Returns:
            Whether it is stored; False if it is larger than the store may be, or may not replace the one that is there.

        Raises:
            StoreError: It cannot be written. Nothing is left behind.
        """
        return self.write_many([NewEntry(at, data, expires_at)], replace=replace, deadline=deadline)[0]

    def write_many(
        self, entries: Sequence[NewEntry], *, replace: bool = True, deadline: float | None = None
    ) -> list[bool]:
        """Put entries in place, each of them as :meth:`write` does. 64 of them share a transaction.

        Raises:
            StoreError: One cannot be written. Those before it are stored.
        """
        if self._suspect:
            raise StoreError("write", _SUSPECT)
        written: list[bool] = []
        for start in range(0, len(entries), _AT_ONCE):
            some = entries[start : start + _AT_ONCE]
            with _as_store_errors("write"):
                self._layout.prepare()
                try:
                    written += self._put_some(some, replace=replace, deadline=deadline)
                except FileNotFoundError:
                    # The directory was deleted while the program runs. Create it again, once.
                    self._layout.prepare(again=True)
                    written += self._put_some(some, replace=replace, deadline=deadline)
        return written

    def remove(self, at: Address, *, deadline: float | None = None) -> bool:
        """Remove an entry, and return whether there was one. Other files stay.

        Raises:
            StoreError: It cannot be removed.
        """
        with _as_store_errors("remove"):
            if status_of(self.path(at)) is None:
                return False
            with self._index.change(deadline=deadline) as transaction:
                return self._changes.remove(transaction, at, also_damaged=True)

    def clear(self, provider_folder: str | None = None, model_folder: str | None = None) -> int:
        """Remove every entry, or those of a provider or of one of its models, and return how many there were.

        Raises:
            StoreError: One cannot be removed.
        """
        number = 0
        with _as_store_errors("remove"):
            candidates = self._files.candidates(provider_folder, model_folder)
            while some := list(islice(candidates, _AT_ONCE)):
                with self._index.change() as transaction:
                    number += sum([self._changes.remove(transaction, at, also_damaged=False) for at in some])
        return number

    def expire(self, provider_folder: str | None = None) -> int:
        """Remove every expired entry, or those of a provider, and return how many there were.

        Raises:
            StoreError: One cannot be removed.
        """
        with _as_store_errors("remove"):
            number, is_done = self._index.expire(provider_folder)
        if is_done:
            return number
        now = self._clock()
        listed = list(self.scan(provider_folder))
        return number + sum(
            [self._is_over(stored.address, now) and self.remove(stored.address) for stored in listed]
        )

    def _put_some(self, entries: Sequence[NewEntry], *, replace: bool, deadline: float | None) -> list[bool]:
        """Put entries in place in one transaction, and do what is due after it."""
        removed: list[Removed] = []
        try:
            with self._only_writer(deadline):
                written, is_indexed = self._put_together(entries, removed, replace=replace, deadline=deadline)
        finally:
            # Outside the locks, because a listener may write to the store itself.
            for gone in removed:
                self._removed(*gone)
        if self._fsync:
            for folder in {os.path.dirname(self.path(entry.address)) for entry in entries}:
                sync_folder(folder)
        self._layout.sweep_orphans()
        if is_indexed:
            self._scan_maintenance.pause()
        else:
            self._scan_maintenance.after_write(sum(len(entry.data) for entry in entries), self._cap)
        return written

    def _put_together(
        self, entries: Sequence[NewEntry], removed: list[Removed], *, replace: bool, deadline: float | None
    ) -> tuple[list[bool], bool]:
        """Put entries in place in one transaction. Return which of them are stored, and whether the index took part."""
        written: list[bool] = []
        temporary = self._temporary(entries[0])
        try:
            with self._index.change(removed=removed, deadline=deadline) as transaction:
                for entry in entries:
                    temporary = temporary or self._temporary(entry)
                    written.append(
                        self._changes.put(transaction, entry, temporary, replace=replace, cap_bytes=self._cap)
                    )
                    temporary = ""
        finally:
            if temporary:
                discard(temporary)
        return written, transaction.is_indexed

    @contextmanager
    def _only_writer(self, deadline: float | None) -> Iterator[None]:
        """Let one thread write at a time. A process has one temporary file, so that the cap holds for its threads together."""
        if not self._one_writer.acquire(timeout=-1 if deadline is None else max(0.0, deadline - monotonic())):
            raise BlockingIOError
        try:
            yield
        finally:
            self._one_writer.release()

    def _temporary(self, entry: NewEntry) -> str:
        """Write the temporary file of an entry; an empty path if the entry is larger than it may be."""
        size = len(entry.data)
        if size > MAX_BYTES or (self._cap is not None and block_size(size) > self._cap):
            return ""
        return write_temporary(self._layout.scratch, entry.data, fsync=self._fsync, now=self._clock())

    def _listed(
        self, provider_folder: str | None = None, model_folder: str | None = None, after: str = ""
    ) -> Iterator[tuple[Address, os.stat_result, Proof]]:
        """Yield the files that are not foreign, ordered by address."""
        last = Address._make(after.split("/")) if after else None
        with _as_store_errors("list"):
            for at in self._files.candidates(provider_folder, model_folder, last):
                path = self.path(at)
                status = status_of(path)
                if status is not None and (proof := self._prove_readable(path, at.name)) is not Proof.FOREIGN:
                    yield at, status, proof

    def _prove_readable(self, path: str, name: str) -> Proof:
        try:
            return self._files.prove(path, name)
        except OSError:
            # It may be an entry, but nothing is done to it.
            return Proof.DAMAGED

    # -- upkeep ------------------------------------------------------------------------------------

    def _sweep_interval(self) -> float | None:
        # Entries that may be committed expire on demand only.
        return None if self._commit_entries else self._interval

    def _removed(self, at: Address, size_bytes: int, why: str) -> None:
        self._forget_hot(self.path(at))
        self._on_removed(at, size_bytes, why)

    def _forget_hot(self, path: str) -> None:
        if self._hot is not None:
            self._hot.forget(path)

    def _lifetime_of(self, at: Address) -> Lifetime | None:
        """Return when an entry begins and ends by its own word; None if it cannot be read."""
        try:
            data = self.read(at, note_use=False)
        except StoreError:
            return None
        return self._lifetime(data) if isinstance(data, bytes) else None

    def _is_over(self, at: Address, now: float) -> bool:
        lifetime = self._lifetime_of(at)
        return lifetime is not None and is_over(lifetime, now)


@contextmanager
def _as_store_errors(operation: str) -> Iterator[None]:
    """Raise the machine's errors as store errors."""
    try:
        yield
    except BlockingIOError:
        raise StoreError(operation, _LOCKED) from None
    except OSError as error:
        raise failure(operation, error) from None
