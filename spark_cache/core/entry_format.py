"""What stores have to know of the content of entries: which files are entries, and when they begin and end."""

from __future__ import annotations

from math import inf

from spark_cache.entries import describe, identify
from spark_cache.stores import EntryFormat, Proof, entry_name
from spark_cache.types import EntryMeta

__all__ = ["ENTRY_FORMAT"]

_ENCRYPTED_NAME = 64
"""The length of the name of an encrypted entry."""


def _prove(data: bytes, name: str, whole: bool) -> Proof | None:
    """Return what a file of some name is by its first bytes, or by all of them."""
    found = identify(data, whole=whole)
    if found is None:
        return None
    if found.is_damaged:
        return Proof.DAMAGED
    if found.key is not None:
        return Proof.ENTRY if entry_name(found.key) == name else Proof.DAMAGED
    if found.is_encrypted:
        return Proof.ENTRY if len(name) == _ENCRYPTED_NAME else Proof.DAMAGED
    return Proof.FOREIGN


def _lifetime(data: bytes) -> tuple[float, float]:
    """Return when an entry begins and ends; that it never ends for anything else."""
    described = describe(data, "")
    if not isinstance(described, EntryMeta):
        return 0.0, inf
    return described.timestamp, inf if described.ttl is None else described.timestamp + described.ttl


ENTRY_FORMAT = EntryFormat(_prove, _lifetime)
