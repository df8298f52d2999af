"""Entries: an answer with what is needed to give it back, explain it and judge its age; plain, or sealed with a key.

Pure: no file, no clock, no log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orjson import loads

from spark_cache.entries.codec import (
    SCHEMA_VERSION,
    answer_in,
    decode_document,
    describe,
    encode,
    parse,
    quick_answer_in,
    readable,
)
from spark_cache.entries.comparison import same_answer
from spark_cache.entries.encrypted import encrypt_bytes, open_document, quick_open
from spark_cache.entries.entry import CLOCK_SKEW, CacheEntry, staleness
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from spark_cache.entries.keyring import KeyRing

__all__ = [
    "CLOCK_SKEW",
    "SCHEMA_VERSION",
    "CacheEntry",
    "answer",
    "decode",
    "decrypt_entry",
    "describe",
    "encode",
    "encrypt_bytes",
    "encrypt_entry",
    "key_id_of",
    "quick_answer",
    "quick_encrypted_answer",
    "readable",
    "same_answer",
    "staleness",
]


def decode(
    data: bytes,
    key: str | None = None,
    *,
    ring: KeyRing | None = None,
    namespace: str | None = None,
    encrypted_only: bool = False,
) -> CacheEntry | MissReason:
    """Read an entry, plain or encrypted.

    Args:
        data: What stands in the file.
        key: The key that was asked for; None, for tools, takes whatever key and whatever namespace the entry has.
        ring: The keys at hand.
        namespace: The reader's namespace.
        encrypted_only: Whether a plain entry answers nothing.

    Returns:
        The entry, or why these bytes answer nothing.
    """
    document = _opened(data, ring, encrypted_only=encrypted_only)
    return document if isinstance(document, MissReason) else decode_document(document, key, namespace)


def answer(
    data: bytes, key: str, *, ring: KeyRing | None, namespace: str | None, encrypted_only: bool
) -> tuple[dict[str, Any], float, float | None] | MissReason:
    """What a hit needs of an entry: its response, timestamp and lifetime; or why these bytes answer nothing.

    The arguments are those of :func:`decode`.
    """
    document = _opened(data, ring, encrypted_only=encrypted_only)
    return document if isinstance(document, MissReason) else answer_in(document, key, namespace)


def quick_answer(
    data: bytes | MissReason, key: str, namespace: str | None
) -> tuple[dict[str, Any], float, float | None] | None:
    """What :func:`answer` says of a plain entry of the usual kind; None for everything else, whatever it is."""
    if isinstance(data, MissReason):
        return None
    try:
        return quick_answer_in(loads(data), key, namespace)
    except ValueError:
        return None


def quick_encrypted_answer(
    data: bytes | MissReason, key: str, namespace: str | None, ring: KeyRing
) -> tuple[dict[str, Any], float, float | None] | None:
    """What :func:`answer` says of an encrypted entry of the usual kind; None for everything else, whatever it is."""
    if isinstance(data, MissReason):
        return None
    document = quick_open(data, ring)
    return None if document is None else quick_answer_in(document, key, namespace)


def _opened(data: bytes, ring: KeyRing | None, *, encrypted_only: bool) -> dict[str, Any] | MissReason:
    """The plain entry in these bytes, decrypted where need be; or why there is none."""
    document = parse(data)
    if isinstance(document, MissReason):
        return document
    if "token" in document:
        opened = open_document(document, ring)
        return opened if isinstance(opened, MissReason) else opened[1]
    return MissReason.PLAIN_REFUSED if encrypted_only else document


def encrypt_entry(entry: CacheEntry, ring: KeyRing) -> bytes:
    """Write an entry encrypted with the newest key of a ring.

    Raises:
        UncacheableResponseError: The response is not made of JSON values, or would come back changed.
    """
    return encrypt_bytes(encode(entry), entry, ring)


def decrypt_entry(data: bytes, ring: KeyRing) -> tuple[CacheEntry, bytes] | MissReason:
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
