"""Cache entries: read, write, encrypt and describe them.

An entry holds a response and the data needed to return it, explain it and judge its age. It is stored as plain JSON or encrypted.

The functions here are pure: they touch no file, no clock and no log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.entries.codec import (
    SCHEMA_VERSION,
    Answer,
    accept_edit,
    answer_in,
    decode_document,
    describe,
    encode,
    parse,
    read_plain,
    readable,
)
from spark_cache.entries.comparison import same_answer
from spark_cache.entries.encrypted import decrypt_document, encrypt_bytes
from spark_cache.entries.entry import CacheEntry, staleness
from spark_cache.entries.identity import Identity, identify, key_id_in_head
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from spark_cache.entries.keyring import KeyRing

__all__ = [
    "SCHEMA_VERSION",
    "Answer",
    "CacheEntry",
    "Identity",
    "accept_edit",
    "decode",
    "decrypt_entry",
    "describe",
    "encode",
    "encrypt_bytes",
    "encrypt_entry",
    "identify",
    "key_id_in_head",
    "key_id_of",
    "read_answer",
    "read_plain",
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
        data: The content of the file.
        key: The cache key that the entry must have. None, meant for tools, accepts any key and any namespace.
        ring: The available encryption keys.
        namespace: The reader's namespace.
        encrypted_only: Whether to refuse plain entries.

    Returns:
        The entry, or the reason why it cannot be used.
    """
    opened = _open(data, ring, encrypted_only)
    return opened if isinstance(opened, MissReason) else decode_document(*opened, key, namespace)


def read_answer(
    data: bytes,
    key: str,
    namespace: str | None,
    ring: KeyRing | None = None,
    *,
    encrypted_only: bool = False,
) -> Answer | MissReason:
    """Read the parts of an entry that a hit needs: response, timestamp and TTL.

    Args:
        data: The content of the file.
        key: The cache key that the entry must have.
        namespace: The reader's namespace.
        ring: The available encryption keys.
        encrypted_only: Whether to refuse plain entries.

    Returns:
        The three parts, or the reason why the entry cannot be used.
    """
    opened = _open(data, ring, encrypted_only)
    return opened if isinstance(opened, MissReason) else answer_in(*opened, key, namespace)


def _open(
    data: bytes, ring: KeyRing | None, encrypted_only: bool
) -> tuple[dict[str, Any], bytes] | MissReason:
    """Return the plain entry in a file, as an object and as bytes. An encrypted one is decrypted."""
    document = parse(data)
    if isinstance(document, MissReason):
        return document
    if "token" in document:
        return decrypt_document(document, ring)
    return MissReason.PLAIN_REFUSED if encrypted_only else (document, data)


def encrypt_entry(entry: CacheEntry, ring: KeyRing) -> bytes:
    """Encode an entry and encrypt it with the newest encryption key.

    Args:
        entry: The entry.
        ring: The encryption keys.

    Raises:
        UncacheableResponseError: JSON cannot represent the response, or would change it.
    """
    return encrypt_bytes(encode(entry), entry, ring)


def decrypt_entry(data: bytes, ring: KeyRing) -> tuple[CacheEntry, bytes] | MissReason:
    """Read an entry together with its plain form, byte for byte as it was encrypted.

    Args:
        data: The content of the file. A plain entry is its own plain form.
        ring: The available encryption keys.

    Returns:
        The entry and its plain bytes, or the reason why it cannot be read.
    """
    opened = _open(data, ring, encrypted_only=False)
    if isinstance(opened, MissReason):
        return opened
    entry = decode_document(*opened, None, None)
    return entry if isinstance(entry, MissReason) else (entry, opened[1])


def key_id_of(data: bytes) -> str | None:
    """Return the ID of the encryption key that an encrypted entry names.

    Args:
        data: The content of the file.

    Returns:
        The ID, or None if the file is not an encrypted entry.
    """
    document = parse(data)
    if isinstance(document, MissReason) or "token" not in document:
        return None
    key_id = document.get("key_id")
    return key_id if isinstance(key_id, str) else None
