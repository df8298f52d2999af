"""A lock between processes whose holder works only on files."""

from __future__ import annotations

import errno
import logging
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["LockFile"]

_POLL_SECONDS = 0.0002
"""Most holders release the lock within a millisecond."""

_warned: set[str] = set()


class LockFile:
    """A lock on a file, taken with filelock. The kernel releases it if its holder dies.

    Without filelock, the lock excludes nobody and one warning says so. One thread at a time may use it.

    Args:
        path: The lock file. Its folder must exist. The file stays when the lock is released.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock: BaseFileLock | None = None

    def acquire(self, timeout_seconds: float) -> None:
        """Take the lock.

        Args:
            timeout_seconds: How long to wait for another process, in seconds.

        Raises:
            BlockingIOError: Another process held the lock for too long.
            OSError: The lock file cannot be opened, or the file system has no locks.
        """
        try:
            # Imported here: takes 40 ms, and a hit takes no lock.
            from filelock import FileLock, Timeout  # noqa: PLC0415 - see above
        except ImportError:
            _warn_once()
            return
        # filelock would create the folders, and open to others, or follow a link that is in the place of one.
        folder = os.path.dirname(self._path)
        for path in (os.path.dirname(folder), folder):
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if self._lock is None:
            # A soft lock would outlive a holder that is killed.
            self._lock = FileLock(self._path, mode=0o600, thread_local=False, fallback_to_soft=False)
        try:
            self._lock.acquire(timeout_seconds, poll_interval=_POLL_SECONDS)
        except Timeout:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None

    def release(self) -> None:
        """Release the lock, if this object holds it.

        Raises:
            OSError: The kernel refuses. The next acquisition uses a new lock, and this one ends with its descriptor.
        """
        if self._lock is None:
            return
        try:
            self._lock.release()
        except OSError:
            self._lock = None
            raise


def _warn_once() -> None:
    message = (
        "filelock cannot be imported, so processes that share a cache directory do not wait for each other"
    )
    if message not in _warned:
        _warned.add(message)
        logging.getLogger("spark_cache").warning("%s", message)
