"""Read and write files safely: regular files only, and each of them completely or not at all."""

from __future__ import annotations

import errno
import os
import stat
from functools import cache
from itertools import count
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.errors import StoreError
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_BYTES",
    "Content",
    "commit",
    "discard",
    "failure",
    "is_use_news",
    "make_folder",
    "read_file",
    "read_head",
    "sync_folder",
    "write_file",
    "write_temporary",
]

MAX_BYTES = 64 * 2**20
"""The largest file that is read, and the largest entry that is written. Files in the directory may come from anywhere."""

_USE_RESOLUTION = 60.0
"""How long after a use the next one is noted, in seconds."""

# O_NONBLOCK: opening a FIFO in the place of an entry must not wait for its other end.
_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_O_NOATIME = getattr(os, "O_NOATIME", 0)
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW

_PIECE = 64 * 1024
"""The size of the pieces that are read. For buffers of 128 KiB and more, the allocator gets new pages from the kernel."""

_NOT_A_FILE = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO})
"""The errors of opening a symbolic link (on Linux, on FreeBSD) or a socket with the flags above."""

_names: Iterator[int] = count()


@cache
def _program() -> str:
    """Return a text that is unique to this program. Programs in different containers may have the same process number."""
    return token_hex(8)


def failure(operation: str, error: OSError) -> StoreError:
    """Return a store error for an error of the machine: its symbolic name, without the path, which may be private."""
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return StoreError(operation, f"{name} ({os.strerror(error.errno)})" if error.errno else name)


class Content(NamedTuple):
    """A file that was read.

    Attributes:
        data: Its bytes.
        status: Its status before the read.
    """

    data: bytes
    status: os.stat_result


def read_file(path: str, *, used_at: float | None = None) -> Content | MissReason:
    """Read a regular file completely.

    Args:
        path: Its path.
        used_at: The time of the use that may be noted, in seconds since the epoch; None notes none. The file must belong to
            this user then.

    Returns:
        The file, or why there is nothing to read.

    Raises:
        StoreError: It cannot be read, or it belongs to another user.
    """
    try:
        fd = _open(path)
    except FileNotFoundError:
        return MissReason.ABSENT
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            return MissReason.NOT_A_FILE
        raise failure("read", error) from None
    try:
        return _read(fd, path, used_at)
    except OSError as error:
        raise failure("read", error) from None
    finally:
        os.close(fd)


def _read(fd: int, path: str, used_at: float | None) -> Content | MissReason:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return MissReason.NOT_A_FILE
    if used_at is not None and status.st_uid != os.geteuid():
        raise StoreError("read", "the entry belongs to another user")
    size = status.st_size
    if size > MAX_BYTES:
        return MissReason.TOO_LARGE
    data = os.read(fd, min(size, _PIECE))
    if len(data) != size:
        data = _read_rest(fd, data, size)
    if used_at is not None and is_use_news(status, used_at):
        _note_use(fd, path, status, used_at)
    return Content(data, status)


def read_head(path: str, size: int) -> bytes | None:
    """Return the first bytes of a regular file, without leaving a trace in its access time; None if there is none.

    Args:
        path: Its path.
        size: The number of bytes.

    Raises:
        OSError: It cannot be read.
    """
    try:
        fd = _open(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            return None
        raise
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        data = os.read(fd, min(size, _PIECE))
        return data if len(data) < _PIECE else _read_rest(fd, data, size)
    finally:
        os.close(fd)


def is_use_news(status: os.stat_result, now: float) -> bool:
    """Return whether a use is worth noting: the first one since the file was written, or the first for a minute.

    A use is noted in the access time of the file. The modification time is the time when it was written.

    Args:
        status: The status of the file.
        now: The time of the use, in seconds since the epoch.
    """
    # Either way: a time ahead of the clock would count as the latest use until the clock gets there.
    return status.st_atime_ns <= status.st_mtime_ns or abs(now - status.st_atime) > _USE_RESOLUTION


def _open(path: str) -> int:
    """Open a file for reading, without leaving a trace in its access time where that is allowed."""
    try:
        return os.open(path, _READ_FLAGS | _O_NOATIME)
    except PermissionError:
        # The file belongs to another user, or may not be read at all.
        return os.open(path, _READ_FLAGS)


def _note_use(fd: int, path: str, status: os.stat_result, now: float) -> None:
    folder = os.path.dirname(path)
    # What a link leads to does not belong to the cache, nor does a file with two names, such as a backup made of hard links.
    if status.st_nlink != 1 or os.path.islink(folder) or os.path.islink(os.path.dirname(folder)):
        return
    try:
        os.utime(fd, ns=(max(int(now * 1e9), status.st_mtime_ns + 1), status.st_mtime_ns))
    except OSError:
        # Eviction then goes by an older time. The answer is the same.
        return


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
    """Put a file in place in one step. Readers get either the old one or the new one, complete.

    Args:
        folder: Its folder, which is created if it is missing.
        name: Its name.
        data: Its content.
        scratch: A folder on the same file system, for the temporary file.
        fsync: Whether to wait until file and folder have reached the disk.
        now: Its modification time, in seconds since the epoch.

    Raises:
        OSError: It failed. No temporary file is left behind.
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
    """Write a temporary file and return its path. :func:`commit` puts it in place, :func:`discard` removes it.

    Raises:
        OSError: It failed. Nothing is left behind.
    """
    temporary = f"{scratch}/{os.getpid()}-{next(_names)}-{_program()}"
    fd = os.open(temporary, _WRITE_FLAGS, 0o600)
    try:
        try:
            # The umask may have taken rights from the owner too.
            os.fchmod(fd, 0o600)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            now_ns = int(now * 1e9)
            os.utime(fd, ns=(now_ns, now_ns))
            if fsync:
                os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        discard(temporary)
        raise
    return temporary


def commit(temporary: str, folder: str, name: str, *, replace: bool) -> bool:
    """Put a temporary file in place in one step.

    Args:
        temporary: Its path.
        folder: Its folder, which is created if it is missing.
        name: Its name.
        replace: Whether it may replace another file.

    Returns:
        Whether it is in place; False if there is another file that may not be replaced.

    Raises:
        OSError: It failed.
    """
    target = f"{folder}/{name}"
    try:
        return _commit(temporary, target, replace=replace)
    except FileNotFoundError:
        make_folder(folder)
        return _commit(temporary, target, replace=replace)


def _commit(temporary: str, target: str, *, replace: bool) -> bool:
    """Move a file into place in one step, and return whether it is there."""
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


def make_folder(path: str) -> bool:
    """Create a folder, and the missing ones above it, with rights for the owner alone.

    Returns:
        Whether it was created; False if it existed.

    Raises:
        OSError: It cannot be created, or something else is in its place.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            # The error that a read raises too, so that one cause is one warning.
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        return False
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        # Not from the top again: in /proc, for example, a folder cannot be created although the one above it exists.
        os.mkdir(path, 0o700)
    # The umask may have taken rights from the owner too.
    os.chmod(path, 0o700)
    return True


def sync_folder(path: str) -> None:
    """Wait until the changes of a folder have reached the disk.

    Raises:
        OSError: It failed.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def discard(path: str) -> None:
    """Remove a temporary file, if possible."""
    try:
        os.unlink(path)
    except OSError:
        # It may be gone already, or the file system may refuse everything by now. Orphans are removed later.
        return
