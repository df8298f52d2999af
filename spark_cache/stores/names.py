"""Names of folders and files: pure functions of the names they stand for."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

__all__ = ["HIDDEN", "SCRATCH", "are_entry_names", "entry_name", "folder_name", "is_entry_name"]

HIDDEN = ".spark-cache"
"""The folder inside a cache directory for everything that can be deleted at any time."""

SCRATCH = "temporary"
"""The folder inside the hidden one for files that are being written."""

_PLAIN = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,79}", re.ASCII)
_LONGEST = 128
_HEX = re.compile(rf"[0-9a-f]{{1,{_LONGEST}}}", re.ASCII)
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
    # A plain text, not a member of an enumeration that equals it: those are written otherwise into a path.
    name = str.__str__(name)
    if _PLAIN.fullmatch(name) and name[-1] != "." and not _is_device(name):
        return name
    slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower())[:_SLUG_LENGTH].strip(".-")
    if _is_device(slug):
        slug = slug.replace(".", "-", 1)
    return f"{slug or 'name'}~{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGEST_LENGTH]}"


def entry_name(key: str) -> str:
    """The file name, without its ending, of the entry of a key: the key where it is hexadecimal, else a digest of it."""
    # A plain text: a cache key holds its request's parts, and a name may be kept for long.
    key = str.__str__(key)
    if _HEX.fullmatch(key):
        return key
    return sha256(b"plain key\0" + key.encode("utf-8", "surrogatepass")).hexdigest()


def is_entry_name(name: str) -> bool:
    """Whether an entry may have this name; other files in a directory are somebody else's, and are left alone."""
    return _HEX.fullmatch(name) is not None


def are_entry_names(names: list[str]) -> bool:
    """Whether entries may have all of these names, of which there is one at least: asked of many at once, ten times as fast."""
    text = "".join(names)
    text += "0" * (len(text) % 2)
    try:
        length = 2 * len(bytes.fromhex(text))
    except ValueError:
        return False
    # Capitals pass there, and blanks are passed over.
    return length == len(text) and text == text.lower() and _are_lengths(set(map(len, names)))


def _are_lengths(lengths: set[int]) -> bool:
    return 0 < min(lengths) <= max(lengths) <= _LONGEST


def _is_device(name: str) -> bool:
    return name.split(".", 1)[0] in _DEVICES
