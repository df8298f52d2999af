"""Checks of the directory itself and of the disk that it is on."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError
from spark_cache.maintenance.doctor.finding import OTHER_DIRECTORY, Finding, Level
from spark_cache.stores import Address
from spark_cache.stores.filesystems import NETWORK, kind_of
from spark_cache.stores.layout import is_volume

if TYPE_CHECKING:
    from spark_cache.stores import FileStore

__all__ = ["access", "directory", "disk_space", "file_system", "has_rights", "mode", "nearest_existing"]

_MEGABYTE = 2**20
_MIN_FREE_SHARE = 0.05


def directory(root: str, store: FileStore, *, writes: bool) -> Finding:
    """Check that the store accepts the directory, or that it can be created.

    Args:
        root: The absolute path of the directory.
        store: The store of the directory.
        writes: Whether the configuration stores entries.
    """
    if not os.path.lexists(root):
        return _missing_directory(root, writes=writes)
    try:
        status = os.stat(root)
    except OSError as error:
        return Finding(
            "directory", Level.PROBLEM, f"{root} cannot be used: {error.strerror}", OTHER_DIRECTORY
        )
    if not stat.S_ISDIR(status.st_mode):
        return Finding(
            "directory", Level.PROBLEM, f"{root} is not a directory", f"remove it, or {OTHER_DIRECTORY}"
        )
    if not os.path.islink(root):
        return Finding("directory", Level.OK, root)
    real = os.path.realpath(root)
    try:
        # The store decides which links it follows.
        store.read(Address("doctor", "doctor", "0"), note_use=False)
    except StoreError as error:
        return Finding(
            "directory",
            Level.PROBLEM,
            f"{root} is a link to {real}: {error}",
            f"remove the link, or set SPARK_CACHE_DIR to a directory that only its owner can change, unlike {real}",
        )
    return Finding("directory", Level.OK, f"{root}, a link to {real}")


def _missing_directory(root: str, *, writes: bool) -> Finding:
    if not writes:
        remedy = (
            "every call is a miss; record responses with SPARK_CACHE_MODE=read-write,"
            " or set SPARK_CACHE_DIR to the right directory"
        )
        return Finding("directory", Level.NOTE, f"{root} does not exist and will not be created", remedy)
    above = nearest_existing(root)
    if os.path.isdir(above) and has_rights(above, os.W_OK | os.X_OK):
        return Finding("directory", Level.OK, f"{root} does not exist yet; the first entry creates it")
    reason = f"this user may not write to {above}" if os.path.isdir(above) else f"{above} is not a directory"
    return Finding("directory", Level.PROBLEM, f"{root} cannot be created: {reason}", OTHER_DIRECTORY)


def mode(root: str) -> Finding:
    """Check that only the owner can access the directory.

    Args:
        root: The absolute path of the directory.
    """
    bits = stat.S_IMODE(os.stat(root).st_mode)
    if bits & 0o077:
        verb = "change its contents" if bits & 0o022 else "read its contents"
        return Finding("mode", Level.NOTE, f"{bits:04o}: other users may {verb}", f"chmod 700 {root}")
    return Finding("mode", Level.OK, f"{bits:04o}, accessible only to its owner")


def access(root: str, *, writes: bool) -> Finding:
    """Check that this user may use the directory as configured.

    Args:
        root: The absolute path of the directory.
        writes: Whether the configuration stores entries.
    """
    if not has_rights(root, os.R_OK | os.X_OK):
        return Finding(
            "access", Level.PROBLEM, "this user may not read it", f"chmod u+rwx {root} as its owner"
        )
    if not writes:
        return Finding("access", Level.OK, "readable; the configuration stores no entries")
    status = os.stat(root)
    if status.st_uid != os.geteuid() and not is_volume(root, status):
        return Finding(
            "access",
            Level.PROBLEM,
            "it belongs to another user, so it is neither read nor written",
            OTHER_DIRECTORY,
        )
    if not has_rights(root, os.W_OK):
        remedy = f"chmod u+w {root}, or set SPARK_CACHE_MODE=read-only"
        return Finding("access", Level.PROBLEM, "this user may not write to it", remedy)
    if status.st_uid != os.geteuid():
        return Finding("access", Level.OK, "readable and writable: a volume that belongs to root")
    return Finding("access", Level.OK, "readable and writable, owned by this user")


def file_system(root: str, mounts: str | None) -> Finding:
    """Check that the directory is on a local disk.

    Args:
        root: The absolute path of the directory. It need not exist.
        mounts: The mounted file systems in the format of ``/proc/mounts``, or None if they are not known.
    """
    kind = kind_of(nearest_existing(root), mounts or "")
    if kind is None:
        return Finding("file system", Level.OK, "unknown type")
    if kind in NETWORK:
        return Finding(
            "file system",
            Level.NOTE,
            f"{kind}, over a network: it is slow, and its locks and file times are not always reliable",
            "set SPARK_CACHE_DIR to a directory on a local disk",
        )
    return Finding("file system", Level.OK, kind)


def disk_space(*, free: int, size: int, left: float | None) -> Finding:
    """Check that the disk has room for the cache to grow.

    Args:
        free: The free space on the disk, in bytes.
        size: The size of the disk, in bytes.
        left: The number of bytes by which the cache may still grow, or None for no limit.
    """
    found = f"{free / _MEGABYTE:,.0f} MB free"
    if left is not None and free < left:
        return Finding(
            "disk space",
            Level.PROBLEM,
            f"{found}, but the cache may still grow by {left / _MEGABYTE:,.0f} MB",
            "free some space, or lower SPARK_CACHE_MAX_SIZE",
        )
    if free < size * _MIN_FREE_SHARE:
        share = f"{found}, {free / size:.1%} of the disk"
        return Finding("disk space", Level.NOTE, share, f"free some space, or {OTHER_DIRECTORY}")
    return Finding("disk space", Level.OK, found)


def nearest_existing(path: str) -> str:
    """Return the real path of a file or folder, or of its nearest ancestor that exists.

    Args:
        path: The path.
    """
    real = os.path.realpath(path)
    while not os.path.lexists(real):
        real = os.path.dirname(real)
    return real


def has_rights(path: str, rights: int) -> bool:
    """Return whether the effective user of this process has certain rights.

    Args:
        path: The path.
        rights: The rights, such as ``os.R_OK``.
    """
    return os.access(path, rights, effective_ids=os.access in os.supports_effective_ids)
