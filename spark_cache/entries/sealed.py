"""An encrypted entry <-> the JSON on disk: what a store needs in the open, the rest in one Fernet token.

What stands in the open is in the token too, with the cache key and the namespace, so that a moved, renamed or edited file answers
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from spark_cache.entries.codec import SCHEMA_VERSION, decode_document, encode, parse
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from spark_cache.entries.entry import CacheEntry
    from spark_cache.entries.keyring import KeyRing

__all__ = ["decode_sealed", "encode_sealed"]

_IN_THE_OPEN = ("timestamp", "ttl", "provider", "model_id")


def encode_sealed(entry: CacheEntry, ring: KeyRing, namespace: str | None) -> bytes:
    """Write an entry so that only the holder of a key can read what it says.

    Raises:
        UncacheableResponseError: See :func:`spark_cache.entries.encode`.
    """
    key_id, token = ring.seal(orjson.dumps({"namespace": namespace, "entry": orjson.Fragment(encode(entry))}))
    document = {
        "schema": SCHEMA_VERSION,
        "key_id": key_id,
        **{name: getattr(entry, name) for name in _IN_THE_OPEN},
        "token": token,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def decode_sealed(
    document: dict[str, Any], key: str | None, ring: KeyRing | None, namespace: str | None
) -> CacheEntry | MissReason:
    """Open an encrypted entry.

    Args:
        document: What :func:`spark_cache.entries.codec.parse` read.
        key: The key that was asked for; None takes whatever key the entry has.
        ring: The keys at hand.
        namespace: The reader's namespace; not looked at without a key.

    Returns:
        The entry, or why it answers nothing.
    """
    token, key_id = document["token"], document.get("key_id")
    if not isinstance(token, str) or not isinstance(key_id, str):
        return MissReason.CORRUPT
    body = ring.open(key_id, token) if ring is not None else None
    if body is None:
        return MissReason.UNDECRYPTABLE
    inner = parse(body)
    if isinstance(inner, MissReason) or not isinstance(inner.get("entry"), dict):
        return MissReason.CORRUPT
    entry = inner["entry"]
    if any(entry.get(name) != document.get(name) for name in _IN_THE_OPEN):
        return MissReason.WRONG_KEY
    if key is not None and inner.get("namespace") != namespace:
        return MissReason.WRONG_KEY
    return decode_document(entry, key)
