"""An encrypted entry <-> the JSON on disk: what a store needs in the open, the whole plain entry in one Fernet token.

The token is what counts: what stands in the open has to agree with it, and it names the key and the namespace, so that a moved,
renamed or edited file answers nothing.
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

__all__ = ["encrypt_bytes", "open_document", "quick_open"]

_IN_THE_OPEN = ("timestamp", "ttl", "provider", "model_id")
_open_fields = itemgetter(*_IN_THE_OPEN)


def encrypt_bytes(plain: bytes, entry: CacheEntry, ring: KeyRing) -> bytes:
    """Encrypt an entry with the newest key of a ring.

    Args:
        plain: The entry as :func:`spark_cache.entries.encode` writes it.
        entry: The same entry.
        ring: The keys.
    """
    key_id, token = ring.encrypt_entry(plain)
    document = {
        "schema": SCHEMA_VERSION,
        "key_id": key_id,
        **{name: getattr(entry, name) for name in _IN_THE_OPEN},
        "token": token,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def open_document(
    document: dict[str, Any], ring: KeyRing | None
) -> tuple[bytes, dict[str, Any]] | MissReason:
    """The plain entry inside an encrypted one: its bytes and what they say; or why it cannot be had.

    Args:
        document: What :func:`spark_cache.entries.codec.parse` read.
        ring: The keys at hand.
    """
    misfit = other_version(document)
    if misfit is not None:
        return misfit
    token, key_id = document["token"], document.get("key_id")
    if not isinstance(token, str) or not isinstance(key_id, str):
        return MissReason.CORRUPT
    plain = ring.open(key_id, token) if ring is not None else None
    if plain is None:
        return MissReason.UNDECRYPTABLE
    inner = parse(plain)
    if isinstance(inner, MissReason):
        return inner
    try:
        agree = _open_fields(inner) == _open_fields(document)
    except KeyError:
        return MissReason.CORRUPT
    return (plain, inner) if agree else MissReason.WRONG_KEY


def quick_open(data: bytes, ring: KeyRing) -> Any:
    """What :func:`open_document` finds inside an encrypted entry that nothing is wrong with; None for anything else, whatever it is."""
    try:
        document = orjson.loads(data)
        plain = ring.open(document["key_id"], document["token"])
        if plain is None or type(document["schema"]) is not int or document["schema"] != SCHEMA_VERSION:
            return None
        inner = orjson.loads(plain)
        return inner if _open_fields(inner) == _open_fields(document) else None
    except (ValueError, KeyError, TypeError):
        # The last: something else stands where a text or an object should be.
        return None
