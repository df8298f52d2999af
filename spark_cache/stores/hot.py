"""The bytes of small entries that were read recently, for the next read of the same file."""

from __future__ import annotations

import os

from spark_cache.stores.atomic import Content

__all__ = ["HotEntries"]

_LARGEST = 64 * 1024
"""The largest entry that is remembered, in bytes."""

_MOST_BYTES = 4 * 2**20
"""The bytes of all remembered entries together, with what Python needs for each."""

_OVERHEAD = 1000
"""About what Python needs for the path and the status of an entry, in bytes."""


class HotEntries:
    """Entries in memory. One is good while the file at its path has the same inode, size and modification time.

    What another process writes, replaces or removes is therefore seen at once, at the cost of one system call. Safe for threads:
    each step is one operation of a dictionary.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Content] = {}
        self._bytes = 0

    def get(self, path: str) -> Content | None:
        """Return an entry with the present status of its file; None if it is not remembered, or no longer the file's content.

        Args:
            path: The path of the file.
        """
        kept = self._kept.get(path)
        if kept is None:
            return None
        try:
            status = os.lstat(path)
        except OSError:
            self.forget(path)
            return None
        then = kept.status
        if (
            status.st_mtime_ns == then.st_mtime_ns
            and status.st_ino == then.st_ino
            and status.st_size == then.st_size
            and status.st_dev == then.st_dev
        ):
            return Content(kept.data, status)
        self.forget(path)
        return None

    def forget(self, path: str) -> None:
        """Forget an entry that is replaced or removed."""
        self._kept.pop(path, None)

    def keep(self, path: str, found: Content) -> None:
        """Remember an entry that was read, if it is small.

        Args:
            path: The path of the file.
            found: What was read.
        """
        if len(found.data) > _LARGEST:
            return
        size = len(found.data) + _OVERHEAD
        if self._bytes + size > _MOST_BYTES:
            # Simpler than an order of use, and as good: what is in use is read again at once.
            self._kept = {}
            self._bytes = 0
        self._bytes += size
        self._kept[path] = found
