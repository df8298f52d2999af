"""Whether a file is an entry, by what it says. The first bytes decide for entries that the cache has written."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

__all__ = ["Identity", "identify", "key_id_in_head"]

_HEAD = re.compile(rb'\{\s*"schema":\s*\d{1,9},\s*"(key|key_id)":\s*"([^"\\\x00-\x1f]*)"')
"""How the cache writes the beginning of an entry."""

_BEGINNINGS = (b'{\n  "schema": ', b'{\n  "content": ')
"""How entries of the present and of the first format begin."""


class Identity(NamedTuple):
    """What a file says that it is.

    Attributes:
        key: The cache key of a plain entry.
        is_encrypted: Whether it is an encrypted entry, which does not show its key.
        is_damaged: Whether it is empty, or begins like an entry and is not complete.
    """

    key: str | None = None
    is_encrypted: bool = False
    is_damaged: bool = False


def identify(data: bytes, *, whole: bool) -> Identity | None:
    """Return what a file says that it is.

    Args:
        data: The first bytes of the file, or all of them.
        whole: Whether these are all of them.

    Returns:
        The identity, which is empty for a file that is not an entry; None if the first bytes do not decide.
    """
    head = _HEAD.match(data)
    if head is not None:
        return Identity(is_encrypted=True) if head[1] == b"key_id" else _plain(head[2])
    if not whole:
        return None
    if not data.strip(b"\0"):
        # An empty file, or one whose content never reached the disk.
        return Identity(is_damaged=True)
    try:
        document = orjson.loads(data)
    except ValueError:
        return Identity(
            is_damaged=any(data.startswith(begins) or begins.startswith(data) for begins in _BEGINNINGS)
        )
    return _of_document(document) if isinstance(document, dict) else Identity()


def key_id_in_head(head: bytes) -> str | None:
    """Return the ID of the encryption key that an encrypted entry names in its first bytes.

    Args:
        head: The first bytes of the file, as the cache writes them.

    Returns:
        The ID, or None if they are not those of an encrypted entry.
    """
    found = _HEAD.match(head)
    return found[2].decode(errors="replace") if found is not None and found[1] == b"key_id" else None


def _plain(key: bytes) -> Identity:
    try:
        return Identity(key=key.decode())
    except UnicodeDecodeError:
        return Identity()


def _of_document(document: dict[str, Any]) -> Identity:
    key = document.get("key")
    if type(document.get("schema")) is not int:
        return Identity()
    if isinstance(key, str):
        return Identity(key=key)
    return Identity(
        is_encrypted=isinstance(document.get("key_id"), str) and isinstance(document.get("token"), str)
    )
