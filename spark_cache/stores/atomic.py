"""Files, the careful way: whole or not at all, regular files only, nobody else's."""

from __future__ import annotations

import errno
import os
import stat
from functools import cache
from itertools import count
from secrets import token_hex
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_BYTES",
    "commit",
    "discard",
    "failure",
    "make_folder",
    "read_file",
    "sync_folder",
    "write_file",
    "write_temporary",
]

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


@cache
def _program() -> str:
    """A text that no other program has, also where two have one number because they run in different containers."""
    return token_hex(8)


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
        size = status.st_size
        if size > MAX_BYTES:
            return MissReason.TOO_LARGE
        data = os.read(fd, min(size, _PIECE))
        if len(data) != size:
            data = _read_rest(fd, data, size)
    except OSError as error:
        raise failure("read", error) from None
    else:
        return data, status.st_mtime, status.st_uid
    finally:
        os.close(fd)


def _read_rest(fd: int, first: bytes, size: int) -> bytes:
    pieces = [first]
    left = size - len(first)
    while left:
        piece = os.read(fd, min(left, _PIECE))
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def write_file(folder: str, name: str, data: bytes, *, scratch: str, fsync: bool, now: float) -> None:
    """Put a file in place in one step: readers see the old one or the new one, whole.

    Args:
        folder: Where it goes; made when it is missing.
        name: Its name there.
        data: Its content.
        scratch: A folder on the same file system, for the temporary file.
        fsync: Whether to wait until file and folder have reached the disk.
        now: The time it is given, in seconds since the epoch.

    Raises:
        OSError: It could not be done; no temporary file is left behind.
    """
    temporary = write_temporary(scratch, data, fsync=fsync, now=now)
    try:
        commit(temporary, folder, name, replace=True)
    except BaseException:
        discard(temporary)
        raise
    if fsync:
        sync_folder(folder)


def write_temporary(scratch: str, data: bytes, *, fsync: bool, now: float) -> str:
    """Write a file that is to be put in place by :func:`commit`, or else given to :func:`discard`; its path.

    Raises:
        OSError: It could not be done; nothing is left behind.
    """
    temporary = f"{scratch}/{os.getpid()}-{next(_names)}-{_program()}"
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
    except BaseException:
        discard(temporary)
        raise
    return temporary


def commit(temporary: str, folder: str, name: str, *, replace: bool) -> bool:
    """Put a temporary file in its place in one step.

    Args:
        temporary: Its path.
        folder: Where it goes; made when it is missing.
        name: Its name there.
        replace: Whether it may take the place of another file.

    Returns:
        Whether it is in place: False when another file is there and may not be replaced.

    Raises:
        OSError: It could not be done.
    """
    target = f"{folder}/{name}"
    try:
        return _commit(temporary, target, replace=replace)
    except FileNotFoundError:
        make_folder(folder)
        return _commit(temporary, target, replace=replace)


def _commit(temporary: str, target: str, *, replace: bool) -> bool:
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
        # Not again from the top: in /proc and the like, a folder cannot be made though the one above it exists.
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)
    else:
        # The umask may have taken from the owner too.
        os.chmod(path, 0o700)


def sync_folder(path: str) -> None:
    """Wait until what was done in a folder has reached the disk.

    Raises:
        OSError: It could not be done.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def discard(path: str) -> None:
    """Remove a temporary file, if that can be done."""
    try:
        os.unlink(path)
    except OSError:
        # It may be gone already, or the file system may refuse everything by now; the sweep of orphans comes later.
        return
