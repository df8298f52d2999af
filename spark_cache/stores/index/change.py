"""One transaction of the index, around one change of the files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spark_cache.stores.index.rows import Folder
from spark_cache.stores.walk import entry_path, folder_time, model_folders

if TYPE_CHECKING:
    from spark_cache.stores.base import Address
    from spark_cache.stores.index.rows import Row, Rows

__all__ = ["Change"]


class Change:
    """The totals of folders and the rows of entries, as the files are changed. :meth:`save` ends it.

    Raises ``OSError``, ``sqlite3.Error`` or ``ValueError`` where the index cannot be used.

    Args:
        root: The cache directory.
        rows: The rows of the database, in a transaction.
    """

    def __init__(self, root: str, rows: Rows) -> None:
        self.root = root
        self.rows = rows
        self._folders: dict[tuple[str, str], list[Folder]] = {}
        self._changed: set[tuple[str, str]] = set()
        self._occupied: int | None = None
        self.found_stale = False
        """Whether a folder was found that another program changed."""

    @property
    def occupied_bytes(self) -> int:
        """The bytes that the store occupies, in blocks."""
        if self._occupied is None:
            self._occupied = self.rows.occupied_bytes()
        return self._occupied

    def folder(self, provider: str, model: str) -> list[Folder]:
        """Return the totals of a folder, and those of its running scan, before the first change of the transaction.

        The modification time of a folder changes with every file that is created or removed in it. If it is not the time that
        was noted after the last change, another program has changed the folder.

        Args:
            provider: The folder of the provider.
            model: The folder of the model.
        """
        found = self._folders.get((provider, model))
        if found is not None:
            return found
        now_ns = folder_time(f"{self.root}/{provider}/{model}")
        found = self.rows.folder(provider, model)
        if not found or found[0].building:
            folder = Folder(0, provider, model, seen_ns=now_ns, stale=int(now_ns != 0))
            self.rows.insert_folder(folder)
            found.insert(0, folder)
        for folder in found:
            if folder.seen_ns != now_ns:
                folder.stale, folder.seen_ns = 1, now_ns
        self._folders[provider, model] = found
        self.found_stale = self.found_stale or bool(found[0].stale)
        return found

    def find(self, at: Address, status: os.stat_result) -> Row | None:
        """Return the row of a file, if it has one that was written for this size and modification time."""
        row = self.rows.find(status.st_mtime_ns, at.name, self.folder(*at[:2]))
        return row if row is not None and row.size == status.st_size else None

    def add(self, at: Address, *, expires: float) -> None:
        """Count a file that was put in place.

        Args:
            at: The address.
            expires: When the entry expires, in seconds since the epoch; ``UNKNOWN`` or ``NEVER``.
        """
        folders = self.folder(*at[:2])
        status = os.lstat(entry_path(self.root, at))
        self._count(folders, status.st_size, 1)
        time_ns = status.st_mtime_ns
        self.rows.append(
            folders[-1], at.name, status.st_size, written_ns=time_ns, used_ns=time_ns, expires=expires
        )

    def subtract(self, at: Address, size: int, row: Row | None) -> None:
        """Stop counting a file that was removed or replaced.

        Args:
            at: The address.
            size: The size of the file.
            row: Its row, if it has one.
        """
        current, *building = self.folder(*at[:2])
        # A running scan has counted the file if it has its row.
        counted = [folder for folder in building if row is not None and folder.id == row.folder]
        self._count([current, *counted], size, -1)
        if row is not None:
            self.rows.delete(row)
            for folder in (current, *building):
                if folder.id == row.folder:
                    folder.rows = max(0, folder.rows - 1)

    def drop(self, row: Row, at: Address) -> None:
        """Delete a row whose file is gone, or is another file than it says.

        Args:
            row: The row.
            at: The address of its file.
        """
        self.subtract(at, row.size, row)
        self.folder(*at[:2])[0].stale = 1

    def replace_folder(self, current: Folder, scanned: Folder) -> None:
        """Replace the totals of a folder by those of a scan that has ended.

        Args:
            current: The totals of the folder.
            scanned: The totals of the scan.
        """
        self.rows.delete_folder(current)
        scanned.building = 0
        self._folders[current.provider, current.model] = [scanned]

    def compare(self) -> None:
        """Compare every folder on disk with the index, and mark those that another program changed."""
        on_disk = model_folders(self.root)
        for known in self.rows.folders():
            if (known.provider, known.model) not in on_disk:
                found = self.rows.folder(known.provider, known.model)
                if known not in found:
                    raise ValueError("an index that contradicts itself")
                for folder in found:
                    self.rows.delete_folder(folder)
            elif known.seen_ns == on_disk.pop((known.provider, known.model)):
                continue
            else:
                self.folder(known.provider, known.model)
        for provider, model in on_disk:
            self.folder(provider, model)

    def save(self) -> None:
        """Save the folders. Those whose files were changed get their new modification times."""
        for name, folders in self._folders.items():
            if name in self._changed:
                now_ns = folder_time(f"{self.root}/{name[0]}/{name[1]}")
                for folder in folders:
                    folder.seen_ns = now_ns
            for folder in folders:
                if folder.seen_ns:
                    self.rows.update_folder(folder)
                else:
                    self.rows.delete_folder(folder)

    def _count(self, folders: list[Folder], size: int, number: int) -> None:
        name = folders[0].provider, folders[0].model
        before = _occupied(self._folders[name])
        for folder in folders:
            folder.count(size, number)
        self._occupied = self.occupied_bytes + _occupied(self._folders[name]) - before
        self._changed.add(name)


def _occupied(folders: list[Folder]) -> int:
    return max(folder.occupied_bytes for folder in folders)
