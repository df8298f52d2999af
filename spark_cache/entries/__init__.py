"""Entries: an answer with what is needed to give it back, explain it and judge its age; plain, or sealed with a key.

Pure: no file, no clock, no log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_cache.entries.codec import SCHEMA_VERSION, decode_document, describe, encode, parse
from spark_cache.entries.entry import CacheEntry
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from spark_cache.entries.keyring import KeyRing

__all__ = ["SCHEMA_VERSION", "CacheEntry", "decode", "describe", "encode", "seal"]


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
        key: The key that was asked for; None takes whatever key the entry has.
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
        if document.get("schema") != SCHEMA_VERSION:
            return MissReason.OTHER_VERSION
        # Imported for the first encrypted entry: the plain ones need no cryptography.
        from spark_cache.entries.sealed import decode_sealed  # noqa: PLC0415 - see above

        return decode_sealed(document, key, ring, namespace)
    if sealed_only:
        return MissReason.PLAIN_REFUSED
    return decode_document(document, key)


def seal(entry: CacheEntry, ring: KeyRing, namespace: str | None) -> bytes:
    """Write an entry encrypted with the newest key of a ring.

    Raises:
        UncacheableResponseError: The response is not made of JSON values, or would come back changed.
    """
    from spark_cache.entries.sealed import encode_sealed  # noqa: PLC0415 - plain entries need no cryptography

    return encode_sealed(entry, ring, namespace)
