"""The directory of a file store, prepared for writing."""

from __future__ import annotations

import os
import stat
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError
from spark_cache.stores.atomic import make_folder, write_file
from spark_cache.stores.names import HIDDEN, LOCKS, SCRATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ORPHAN_AGE", "Layout", "is_volume"]

ORPHAN_AGE = 3600.0
"""A temporary file of this age, in seconds, has lost its writer."""

_SWEPT_AT_ONCE = 64
"""The number of temporary files that a write looks at to remove those without a writer: half a millisecond."""

_IGNORE_ALL = "# Cached responses: not for version control.\n*\n"
_IGNORE_HIDDEN = f"# The entries may be committed. What the cache derives from them may not.\n{HIDDEN}/\n"


class Layout:
    """The directory, the hidden folder in it, and the folders in that one.

    Args:
        root: The directory, absolute.
        clock: Returns the time in seconds since the epoch.
        commit_entries: Whether entries may be committed. If the directory is created, its ``.gitignore`` depends on it.
    """

    def __init__(self, root: str, *, clock: Callable[[], float], commit_entries: bool) -> None:
        self._root = root
        self.hidden = f"{root}/{HIDDEN}"
        self.scratch = f"{self.hidden}/{SCRATCH}"
        self._clock = clock
        self._gitignore = _IGNORE_HIDDEN if commit_entries else _IGNORE_ALL
        self._prepared = False
        self._made_root = False
        self._orphans: Iterator[os.DirEntry[str]] | None = None
        self._lock = Lock()

    def forget(self) -> None:
        """Use a new lock in a forked child."""
        self._lock = Lock()
        self._orphans = None

    def prepare(self, *, again: bool = False) -> None:
        """Create what is missing.

        Args:
            again: Whether to do it although it was done before.

        Raises:
            OSError: Something cannot be created.
            StoreError: The directory does not belong to this user.
        """
        if self._prepared and not again:
            return
        with self._lock:
            self._made_root |= make_folder(self._root)
            self._refuse_foreign(self._root)
            for folder in (self.hidden, self.scratch, f"{self.hidden}/{LOCKS}"):
                make_folder(folder)
                self._refuse_foreign(folder)
            if self._made_root:
                self._write_gitignore()
            self._orphans = self._temporary_files()
            self._prepared = True

    def sweep_orphans(self) -> None:
        """Remove some of the temporary files of writers that were killed, if there are any."""
        orphans = self._orphans
        # Another thread may be at it.
        if orphans is None or not self._lock.acquire(blocking=False):
            return
        try:
            limit = self._clock() - ORPHAN_AGE
            some = list(islice(orphans, _SWEPT_AT_ONCE))
            for item in some:
                _remove_older(item, limit)
            if len(some) < _SWEPT_AT_ONCE:
                self._orphans = None
        except OSError:
            self._orphans = None
        finally:
            self._lock.release()

    def _refuse_foreign(self, path: str) -> None:
        """Raise unless a folder is a real one that belongs to this user: nobody else may affect the answers."""
        status = os.lstat(path) if path != self._root else os.stat(path)
        if not stat.S_ISDIR(status.st_mode):
            raise StoreError("write", f"{os.path.basename(path)} in the cache directory is not a folder")
        if status.st_uid != os.geteuid() and not (path == self._root and is_volume(path, status)):
            raise StoreError("write", "the directory belongs to another user")

    def _write_gitignore(self) -> None:
        """Write a ``.gitignore`` unless there is one, completely or not at all: half of it would let entries into git."""
        if not os.path.lexists(f"{self._root}/.gitignore"):
            text = self._gitignore.encode()
            write_file(self._root, ".gitignore", text, scratch=self.scratch, fsync=False, now=self._clock())

    def _temporary_files(self) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self.scratch) as listing:
            yield from listing


def _remove_older(item: os.DirEntry[str], limit: float) -> None:
    """Remove a file that is older than a time, if possible."""
    try:
        if item.stat(follow_symlinks=False).st_mtime < limit:
            os.unlink(item.path)
    except OSError:
        # Its writer may have removed it.
        return


def is_volume(path: str, status: os.stat_result) -> bool:
    """Return whether a directory is root's and this user may write to it, as the mount point of a container's volume.

    Args:
        path: The directory.
        status: Its status.
    """
    return status.st_uid == 0 and os.access(path, os.W_OK | os.X_OK)
