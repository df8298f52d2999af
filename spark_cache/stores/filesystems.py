"""The kind of file system that a path is on."""

from __future__ import annotations

import os
import re

__all__ = ["NETWORK", "is_remote", "kind_of"]

NETWORK = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.sshfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    }
)
"""The kinds that are on another machine."""

_MOUNTS = "/proc/mounts"


def is_remote(path: str) -> bool:
    """Return whether a path is known to be on the disk of another machine."""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as mounts:
            return kind_of(os.path.realpath(path), mounts.read()) in NETWORK
    except OSError:
        # This system has no such list.
        return False


def kind_of(path: str, mounts: str) -> str | None:
    """Return the kind of the file system that a path is on; None if it is not known.

    Args:
        path: The path, without links.
        mounts: The mounted file systems, in the form of ``/proc/mounts``.
    """
    longest, kind = "", None
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:  # noqa: PLR2004 - what is mounted, where, and its kind
            continue
        # Spaces and the like are escaped in octal.
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
        inside = path == point or path.startswith(f"{point.rstrip('/')}/")
        # Of two in the same place, the later one hides the earlier one.
        if inside and len(point) >= len(longest):
            longest, kind = point, fields[2]
    return kind
