"""The lock of the index, and a mark that is there while a transaction runs. Both are in one file."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from time import monotonic

__all__ = ["IndexLock"]

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_RUNNING, _ENDED = b"1", b"0"

_POLL_SECONDS = 0.0002
"""Most holders release the lock within a millisecond."""


class IndexLock:
    """A lock between processes, which the kernel releases when its holder dies. One thread at a time may use it.

    It is taken with ``flock`` on a file that stays open: with filelock, which opens it each time, a lock takes 65 µs, a third of
    a write. The lock of SQLite itself is lost as soon as anything in the process closes another descriptor of the database.

    Args:
        path: The file. It is created in a folder that must exist, and be no link, as must the one above it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._is_marked = False

    def acquire(self, timeout_seconds: float) -> None:
        """Take the lock.

        Args:
            timeout_seconds: How long to wait for another process, in seconds.

        Raises:
            BlockingIOError: Another process held the lock for too long.
            OSError: The file cannot be opened, something else is in its place, or the file system has no locks.
        """
        deadline = monotonic() + timeout_seconds
        while True:
            if self._fd < 0:
                self._fd = _open(self._path)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if monotonic() >= deadline:
                    raise
                time.sleep(_POLL_SECONDS)
                continue
            if os.fstat(self._fd).st_nlink:
                return
            # It was deleted while the program runs. Other processes lock a new one.
            self.close()

    def is_marked(self) -> bool:
        """Return whether the last transaction was interrupted: its process was killed, and the index is not to be trusted.

        Raises:
            OSError: The file cannot be read.
        """
        return os.pread(self._fd, 1, 0) == _RUNNING

    def mark(self) -> None:
        """Note that a transaction is about to change something.

        Raises:
            OSError: The file cannot be written.
        """
        if not self._is_marked:
            os.pwrite(self._fd, _RUNNING, 0)
            self._is_marked = True

    def release(self, *, is_sound: bool) -> None:
        """Release the lock.

        Args:
            is_sound: Whether the transaction, if one was marked, has ended as it should. Otherwise the mark stays.
        """
        try:
            if self._is_marked and is_sound:
                os.pwrite(self._fd, _ENDED, 0)
            self._is_marked = False
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file, which releases the lock unless another process has inherited it."""
        self._is_marked = False
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _open(path: str) -> int:
    folder = os.path.dirname(path)
    for above in (os.path.dirname(folder), folder):
        if not stat.S_ISDIR(os.lstat(above).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    fd = os.open(path, _FLAGS, 0o600)
    try:
        status = os.fstat(fd)
        # A file with two names, such as a backup made of hard links, does not belong to the cache alone.
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        # The umask may have taken rights from the owner too.
        os.fchmod(fd, 0o600)
    except OSError:
        os.close(fd)
        raise
    return fd
