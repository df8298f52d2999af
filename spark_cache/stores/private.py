"""Files that the store derives from its entries: in the hidden folder, for their owner alone."""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["own_file"]

_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def own_file(path: str, *, create: bool) -> int:
    """Open a file for reading and writing.

    Args:
        path: Where it is; its folder has to be there.
        create: Whether it is made when it is missing.

    Returns:
        Its descriptor.

    Raises:
        OSError: It could not be opened, or something stands there that is not this user's alone.
    """
    try:
        fd = os.open(path, _FLAGS)
    except FileNotFoundError:
        if not create:
            raise
        fd = _made(path)
    try:
        status = os.fstat(fd)
        # Under two names, such as a backup's by hard links, a file is not the cache's alone.
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    except OSError:
        os.close(fd)
        raise
    return fd


def _made(path: str) -> int:
    try:
        fd = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, _FLAGS)
    try:
        # The umask may have taken from the owner too.
        os.fchmod(fd, 0o600)
    except OSError:
        os.close(fd)
        raise
    return fd
