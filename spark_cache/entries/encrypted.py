"""The JSON form of an encrypted entry: a few fields in plain text, and the whole plain entry in one Fernet token.

The token decides. The plain fields must agree with it. The token also contains the cache key and the namespace, so a file that
was moved, renamed or edited is a miss.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import orjson

from spark_cache.entries.codec import SCHEMA_VERSION, other_version, parse
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from spark_cache.entries.entry import CacheEntry
    from spark_cache.entries.keyring import KeyRing

__all__ = ["decrypt_document", "encrypt_bytes"]

_PLAIN_FIELDS = ("timestamp", "ttl", "provider", "model_id")
_plain_fields_of = itemgetter(*_PLAIN_FIELDS)


def encrypt_bytes(plain: bytes, entry: CacheEntry, ring: KeyRing) -> bytes:
    """Encrypt an entry with the newest encryption key.

    Args:
        plain: The entry as :func:`spark_cache.entries.encode` writes it.
        entry: The same entry.
        ring: The encryption keys.
    """
    key_id, token = ring.encrypt(plain)
    document = {
        "schema": SCHEMA_VERSION,
        "key_id": key_id,
        **{name: getattr(entry, name) for name in _PLAIN_FIELDS},
        "token": token,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def decrypt_document(
    document: dict[str, Any], ring: KeyRing | None
) -> tuple[dict[str, Any], bytes] | MissReason:
    """Decrypt the plain entry inside an encrypted one.

    Args:
        document: The result of :func:`spark_cache.entries.codec.parse`.
        ring: The available encryption keys.

    Returns:
        The plain entry as an object and as bytes, or the reason why it cannot be read.
    """
    wrong_version = other_version(document)
    if wrong_version is not None:
        return wrong_version
    token, key_id = document["token"], document.get("key_id")
    if not isinstance(token, str) or not isinstance(key_id, str):
        return MissReason.CORRUPT
    plain = ring.decrypt(key_id, token) if ring is not None else None
    if plain is None:
        return MissReason.UNDECRYPTABLE
    inner = parse(plain)
    if not isinstance(inner, dict):
        return inner
    try:
        agree = _plain_fields_of(inner) == _plain_fields_of(document)
    except KeyError:
        return MissReason.CORRUPT
    return (inner, plain) if agree else MissReason.WRONG_KEY
