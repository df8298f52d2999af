"""Entries: an answer with what is needed to give it back, explain it and judge its age; plain, or sealed with a key.

Pure: no file, no clock, no log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_cache.entries.codec import (
    SCHEMA_VERSION,
    decode_document,
    describe,
    encode,
    parse,
)
from spark_cache.entries.entry import CLOCK_SKEW, CacheEntry
from spark_cache.entries.sealed import open_document, seal_bytes
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from spark_cache.entries.keyring import KeyRing

__all__ = [
    "CLOCK_SKEW",
    "SCHEMA_VERSION",
    "CacheEntry",
    "decode",
    "describe",
    "encode",
    "key_id_of",
    "seal",
    "seal_bytes",
    "unseal",
]


def decode(
    data: bytes,
    key: str | None = None,
    *,
    ring: KeyRing | None = None,
    namespace: str | None = None,
    sealed_only: bool = False,
) -> CacheEntry | MissReason:
    """Read an entry, plain or encrypted.

    Args:
        data: What stands in the file.
        key: The key that was asked for; None, for tools, takes whatever key and whatever namespace the entry has.
        ring: The keys at hand.
        namespace: The reader's namespace.
        sealed_only: Whether a plain entry answers nothing.

    Returns:
        The entry, or why these bytes answer nothing.
    """
    document = parse(data)
    if isinstance(document, MissReason):
        return document
    if "token" in document:
        opened = open_document(document, ring)
        return opened if isinstance(opened, MissReason) else decode_document(opened[1], key, namespace)
    if sealed_only:
        return MissReason.PLAIN_REFUSED
    return decode_document(document, key, namespace)


def seal(entry: CacheEntry, ring: KeyRing) -> bytes:
    """Write an entry encrypted with the newest key of a ring.

    Raises:
        UncacheableResponseError: The response is not made of JSON values, or would come back changed.
    """
    return seal_bytes(encode(entry), entry, ring)


def unseal(data: bytes, ring: KeyRing) -> tuple[CacheEntry, bytes] | MissReason:
    """An entry and its plain form, byte for byte as it was sealed; or why it cannot be had.

    Args:
        data: What stands in the file; of a plain entry, its plain form.
        ring: The keys at hand.
    """
    document = parse(data)
    if isinstance(document, MissReason):
        return document
    opened = open_document(document, ring) if "token" in document else (data, document)
    if isinstance(opened, MissReason):
        return opened
    entry = decode_document(opened[1], None, None)
    return entry if isinstance(entry, MissReason) else (entry, opened[0])


def key_id_of(data: bytes) -> str | None:
    """The id of the key that an encrypted entry says it is sealed with; None for anything else."""
    document = parse(data)
    if isinstance(document, MissReason) or "token" not in document:
        return None
    key_id = document.get("key_id")
    return key_id if isinstance(key_id, str) else None
