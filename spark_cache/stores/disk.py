"""Files, the careful way: whole or not at all, regular files only, nobody else's."""

from __future__ import annotations

import errno
import os
import stat
from itertools import count
from secrets import token_hex
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_BYTES", "failure", "make_folder", "read_file", "write_file"]

MAX_BYTES = 64 * 2**20
"""The largest file that is read, and the largest entry that is written: what stands in a directory need not come from us."""

# O_NONBLOCK: opening a FIFO that somebody put in an entry's place must not wait for its other end.
_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW

_PIECE = 64 * 1024
"""Read in pieces of this size: for buffers from 128 KiB on, the allocator asks the kernel for fresh pages every time."""

_NOT_A_FILE = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO})
"""What opening a symbolic link (on Linux, on FreeBSD) or a socket answers under the flags above."""

_names: Iterator[int] = count()


def failure(operation: str, error: OSError) -> StoreError:
    """The error of a store for one of the machine's: its symbolic name, without the path, which may be private."""
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return StoreError(operation, f"{name} ({os.strerror(error.errno)})" if error.errno else name)


def read_file(path: str) -> tuple[bytes, float, int] | MissReason:
    """Read a regular file whole.

    Returns:
        Its bytes, its modification time in seconds since the epoch and its owner's id; or why there is nothing to read.

    Raises:
        StoreError: The machine failed to read it.
    """
    try:
        fd = os.open(path, _READ_FLAGS)
    except FileNotFoundError:
        return MissReason.ABSENT
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            return MissReason.NOT_A_FILE
        raise failure("read", error) from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return MissReason.NOT_A_FILE
        if status.st_size > MAX_BYTES:
            return MissReason.TOO_LARGE
        return _read_all(fd, status.st_size), status.st_mtime, status.st_uid
    except OSError as error:
        raise failure("read", error) from None
    finally:
        os.close(fd)


def _read_all(fd: int, size: int) -> bytes:
    first = os.read(fd, min(size, _PIECE))
    if len(first) == size:
        return first
    pieces = [first]
    left = size - len(first)
    while left:
        piece = os.read(fd, min(left, _PIECE))
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def write_file(
    folder: str, name: str, data: bytes, *, scratch: str, fsync: bool, now: float, replace: bool = True
) -> bool:
    """Put a file in place in one step: readers see the old one or the new one, whole.

    Args:
        folder: Where it goes; made when it is missing.
        name: Its name there.
        data: Its content.
        scratch: A folder on the same file system, for the temporary file.
        fsync: Whether to wait until file and folder have reached the disk.
        now: The time it is given, in seconds since the epoch.
        replace: Whether it may take the place of another file.

    Returns:
        Whether it is in place: False when another file is there and may not be replaced.

    Raises:
        OSError: It could not be done; no temporary file is left behind.
    """
    temporary = f"{scratch}/{os.getpid()}-{next(_names)}-{token_hex(4)}"
    fd = os.open(temporary, _WRITE_FLAGS, 0o600)
    try:
        try:
            # The umask may have taken from the owner too.
            os.fchmod(fd, 0o600)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.utime(fd, (now, now))
            if fsync:
                os.fsync(fd)
        finally:
            os.close(fd)
        target = f"{folder}/{name}"
        try:
            placed = _place(temporary, target, replace=replace)
        except FileNotFoundError:
            make_folder(folder)
            placed = _place(temporary, target, replace=replace)
    except BaseException:
        _discard(temporary)
        raise
    if fsync:
        _sync_folder(folder)
    return placed


def _place(temporary: str, target: str, *, replace: bool) -> bool:
    """Move a file to its place in one step; whether it is there."""
    if replace:
        os.replace(temporary, target)
        return True
    try:
        os.link(temporary, target, follow_symlinks=False)
        placed = True
    except FileExistsError:
        placed = False
    os.unlink(temporary)
    return placed


def make_folder(path: str) -> None:
    """Make a folder and those above it that are missing, for the owner alone.

    Raises:
        OSError: It could not be made, or something else stands in its place.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            # The same word as a read of it gives: one cause is told once.
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        make_folder(path)
    else:
        # The umask may have taken from the owner too.
        os.chmod(path, 0o700)


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _discard(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        # It may be gone already, or the file system may refuse everything by now; the sweep of orphans comes later.
        return
