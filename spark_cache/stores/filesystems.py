"""Which kind of file system a path is on."""

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
"""The kinds that lie on another machine."""

_MOUNTS = "/proc/mounts"


def is_remote(path: str) -> bool:
    """Whether a path is known to be on another machine's disk, over a network."""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as mounts:
            return kind_of(os.path.realpath(path), mounts.read()) in NETWORK
    except OSError:
        # This system keeps no such list.
        return False


def kind_of(path: str, mounts: str) -> str | None:
    """The kind of the file system that a path is on; None when that is not known.

    Args:
        path: The path, without links.
        mounts: What is mounted, in the form of ``/proc/mounts``.
    """
    longest, kind = "", None
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:  # noqa: PLR2004 - what is mounted, where, and its kind
            continue
        # Blanks and the like stand there in octal.
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
        inside = path == point or path.startswith(f"{point.rstrip('/')}/")
        # Of two in one place, the later covers the earlier.
        if inside and len(point) >= len(longest):
            longest, kind = point, fields[2]
    return kind
