"""The directory of a file store, made ready to be written to."""

from __future__ import annotations

import os
import stat
from threading import Lock
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError
from spark_cache.stores.atomic import make_folder, write_file
from spark_cache.stores.names import HIDDEN, SCRATCH

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ORPHAN_AGE", "Layout", "is_volume"]

ORPHAN_AGE = 3600.0
"""A temporary file this old, in seconds, has lost its writer."""

_IGNORE_ALL = "# Cached answers: not for version control.\n*\n"
_IGNORE_HIDDEN = f"# The entries may be committed; what the cache derives from them may not.\n{HIDDEN}/\n"


class Layout:
    """The directory, the hidden folder in it, and the one for temporary files.

    Args:
        root: The directory, absolute.
        clock: The time in seconds since the epoch.
        commit_entries: Whether entries may be committed to version control, which decides the ``.gitignore``.
    """

    def __init__(self, root: str, *, clock: Callable[[], float], commit_entries: bool) -> None:
        self._root = root
        self.hidden = f"{root}/{HIDDEN}"
        self.scratch = f"{self.hidden}/{SCRATCH}"
        self._clock = clock
        self._gitignore = _IGNORE_HIDDEN if commit_entries else _IGNORE_ALL
        self._prepared = False
        self._lock = Lock()

    def forget(self) -> None:
        """Begin with a new lock in a forked child."""
        self._lock = Lock()

    def prepare(self, *, again: bool = False) -> None:
        """Make what is missing, and sweep what killed writers left behind; once, unless it is to be done again.

        Raises:
            OSError: It could not be made.
            StoreError: It is not this user's.
        """
        if self._prepared and not again:
            return
        with self._lock:
            for folder in (self._root, self.hidden, self.scratch):
                make_folder(folder)
                self._refuse_foreign(folder)
            self._write_gitignore()
            self._sweep_orphans()
            self._prepared = True

    def _refuse_foreign(self, path: str) -> None:
        """Raise unless a folder is a real one and our own: nobody else may have a hand in what is answered."""
        status = os.lstat(path) if path != self._root else os.stat(path)
        if not stat.S_ISDIR(status.st_mode):
            raise StoreError("write", f"{os.path.basename(path)} in the cache directory is no folder")
        if status.st_uid != os.geteuid() and not (path == self._root and is_volume(path, status)):
            raise StoreError("write", "the directory belongs to another user")

    def _write_gitignore(self) -> None:
        """Write it unless there is one; whole or not at all, since half of it would let entries into version control."""
        if not os.path.lexists(f"{self._root}/.gitignore"):
            text = self._gitignore.encode()
            write_file(self._root, ".gitignore", text, scratch=self.scratch, fsync=False, now=self._clock())

    def _sweep_orphans(self) -> None:
        limit = self._clock() - ORPHAN_AGE
        with os.scandir(self.scratch) as listing:
            for item in listing:
                try:
                    if item.stat(follow_symlinks=False).st_mtime < limit:
                        os.unlink(item.path)
                except OSError:
                    continue


def is_volume(path: str, status: os.stat_result) -> bool:
    """Return whether a directory is root's and this user may write to it, as the mount point of a container's volume.

    Args:
        path: The directory.
        status: Its status.
    """
    return status.st_uid == 0 and os.access(path, os.W_OK | os.X_OK)
