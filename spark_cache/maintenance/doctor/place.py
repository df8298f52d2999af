"""Checks of the place: the directory itself, and the disk that it is on."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError
from spark_cache.maintenance.doctor.finding import OTHER_DIRECTORY, Finding, Level
from spark_cache.stores import Address
from spark_cache.stores.filesystems import NETWORK, kind_of

if TYPE_CHECKING:
    from spark_cache.stores import FileStore

__all__ = ["access", "directory", "disk_space", "file_system", "may", "mode", "nearest"]

_MEGABYTE = 2**20
_LEAST_FREE = 0.05


def directory(root: str, store: FileStore, *, writes: bool) -> Finding:
    """Whether the directory is one that the store works with, or can be made.

    Args:
        root: The directory, absolute.
        store: The store of it.
        writes: Whether entries are to be written there.
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
        # Which links it follows is the store's to say.
        store.read(Address("doctor", "doctor", "0"), note_use=False)
    except StoreError as error:
        return Finding(
            "directory",
            Level.PROBLEM,
            f"{root} leads to {real}; {error}",
            f"remove the link, or name a directory with SPARK_CACHE_DIR that only its owner can change: not {real}",
        )
    return Finding("directory", Level.OK, f"{root}, a link to {real}")


def _missing_directory(root: str, *, writes: bool) -> Finding:
    if not writes:
        remedy = "every call is a miss; record the answers with SPARK_CACHE_MODE=read-write, or name the right directory"
        return Finding("directory", Level.NOTE, f"{root} is not there, and nothing will make it", remedy)
    above = nearest(root)
    if os.path.isdir(above) and may(above, os.W_OK | os.X_OK):
        return Finding("directory", Level.OK, f"{root} is not there yet; the first entry makes it")
    reason = f"this user may not write to {above}" if os.path.isdir(above) else f"{above} is not a directory"
    return Finding("directory", Level.PROBLEM, f"{root} cannot be made: {reason}", OTHER_DIRECTORY)


def mode(root: str) -> Finding:
    """Whether the directory is its owner's alone."""
    bits = stat.S_IMODE(os.stat(root).st_mode)
    if bits & 0o077:
        do = "change what is in it" if bits & 0o022 else "look into it"
        return Finding("mode", Level.NOTE, f"{bits:04o}: others may {do}", f"chmod 700 {root}")
    return Finding("mode", Level.OK, f"{bits:04o}, the owner's alone")


def access(root: str, *, writes: bool) -> Finding:
    """Whether this user may do with the directory what the configuration wants."""
    if not may(root, os.R_OK | os.X_OK):
        return Finding(
            "access", Level.PROBLEM, "this user may not read it", f"chmod u+rwx {root} as its owner"
        )
    if not writes:
        return Finding("access", Level.OK, "readable; nothing is to be written")
    if os.stat(root).st_uid != os.geteuid():
        return Finding(
            "access",
            Level.PROBLEM,
            "it belongs to another user, and is neither read nor written",
            OTHER_DIRECTORY,
        )
    if not may(root, os.W_OK):
        remedy = f"chmod u+w {root}, or set SPARK_CACHE_MODE=read-only"
        return Finding("access", Level.PROBLEM, "this user may not write to it", remedy)
    return Finding("access", Level.OK, "readable and writable, this user's own")


def file_system(root: str, mounts: str | None) -> Finding:
    """Whether the directory lies on this machine's own disks.

    Args:
        root: The directory, absolute; it need not exist.
        mounts: What is mounted, in the form of ``/proc/mounts``; None where that is not known.
    """
    kind = kind_of(nearest(root), mounts or "")
    if kind is None:
        return Finding("file system", Level.OK, "its kind is not known here")
    if kind in NETWORK:
        return Finding(
            "file system",
            Level.NOTE,
            f"{kind}, over a network: slow, and its locks and file times are not always to be relied on",
            "name a directory on a local disk with SPARK_CACHE_DIR",
        )
    return Finding("file system", Level.OK, kind)


def disk_space(*, free: int, size: int, left: float | None) -> Finding:
    """Whether the disk holds what the cache may still grow by.

    Args:
        free: The bytes that are free.
        size: The bytes there are.
        left: The bytes that the cache may still grow by; None is without limit.
    """
    found = f"{free / _MEGABYTE:,.0f} MB free"
    if left is not None and free < left:
        return Finding(
            "disk space",
            Level.PROBLEM,
            f"{found}, and the cache may grow by {left / _MEGABYTE:,.0f} MB more",
            "free some space, or lower SPARK_CACHE_MAX_SIZE",
        )
    if free < size * _LEAST_FREE:
        share = f"{found}, {free / size:.1%} of the disk"
        return Finding("disk space", Level.NOTE, share, f"free some space, or {OTHER_DIRECTORY}")
    return Finding("disk space", Level.OK, found)


def nearest(path: str) -> str:
    """The real path of what is there of a path: itself, or the nearest folder above it."""
    real = os.path.realpath(path)
    while not os.path.lexists(real):
        real = os.path.dirname(real)
    return real


def may(path: str, rights: int) -> bool:
    """Whether the user that this process acts as has these rights (``os.R_OK`` and so on)."""
    return os.access(path, rights, effective_ids=os.access in os.supports_effective_ids)
