"""Names of folders and files: pure functions of the names they stand for."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

__all__ = ["HIDDEN", "entry_name", "folder_name"]

HIDDEN = ".spark-cache"
"""The folder inside a cache directory for everything that can be deleted at any time."""

_PLAIN = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,79}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{1,128}", re.ASCII)
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))}
)
"""Names that some systems take for a device, with or without an ending."""

_SLUG_LENGTH = 50
_DIGEST_LENGTH = 24


@lru_cache(maxsize=1024)
def folder_name(name: str) -> str:
    """The folder of a provider or a model.

    The name as it is where every file system takes it so; else a readable form of it, ``~`` and a digest. ``~`` stands in no plain
    name and no two names have one digest, so no two names share a folder, also where case is folded.
    """
    if _PLAIN.fullmatch(name) and name[-1] != "." and name.split(".", 1)[0] not in _DEVICES:
        return name
    slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower())[:_SLUG_LENGTH].strip(".-")
    return f"{slug or 'name'}~{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGEST_LENGTH]}"


def entry_name(key: str) -> str:
    """The file name, without its ending, of the entry of a key: the key where it is hexadecimal, else a digest of it."""
    if _HEX.fullmatch(key):
        return key
    return sha256(b"plain key\0" + key.encode("utf-8", "surrogatepass")).hexdigest()
