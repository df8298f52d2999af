"""The names of folders and files: pure functions of the names of providers, models and keys."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

__all__ = ["HIDDEN", "LOCKS", "SCRATCH", "entry_name", "folder_name", "is_entry_name"]

HIDDEN = ".spark-cache"
"""The folder inside a cache directory for everything that can be deleted at any time."""

SCRATCH = "temporary"
"""The folder inside the hidden one for files that are being written."""

LOCKS = "locks"
"""The folder inside the hidden one for lock files."""

_PLAIN = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,79}", re.ASCII)
_LONGEST = 128
_HEX = re.compile(rf"[0-9a-f]{{1,{_LONGEST}}}", re.ASCII)
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))}
)
"""Names of devices on some systems, with or without an ending."""

_SLUG_LENGTH = 50
_DIGEST_LENGTH = 24


@lru_cache(maxsize=1024)
def folder_name(name: str) -> str:
    """Return the folder of a provider or a model.

    This is the name itself if every file system accepts it. Otherwise it is a readable form of the name, ``~`` and a digest. No
    plain name contains ``~`` and no two names have the same digest, so no two names share a folder, even if case is folded.
    """
    # A plain str: a member of an enumeration that equals it would be formatted differently.
    name = str.__str__(name)
    if _PLAIN.fullmatch(name) and name[-1] != "." and not _is_device(name):
        return name
    slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower())[:_SLUG_LENGTH].strip(".-")
    if _is_device(slug):
        slug = slug.replace(".", "-", 1)
    return f"{slug or 'name'}~{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGEST_LENGTH]}"


def entry_name(key: str) -> str:
    """Return the file name of the entry of a key, without its ending: the key if it is hexadecimal, else a digest of it."""
    # A plain str: a cache key holds the parts of its request, and a name may be kept for long.
    key = str.__str__(key)
    if _HEX.fullmatch(key):
        return key
    return sha256(b"plain key\0" + key.encode("utf-8", "surrogatepass")).hexdigest()


def is_entry_name(name: str) -> bool:
    """Return whether an entry may have this name."""
    return _HEX.fullmatch(name) is not None


def _is_device(name: str) -> bool:
    return name.split(".", 1)[0] in _DEVICES
