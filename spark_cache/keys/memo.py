"""Digests of long texts and bytes, remembered by object identity."""

from __future__ import annotations

import sys
from collections import OrderedDict
from hashlib import sha256
from threading import Lock

__all__ = ["DigestMemo", "digest_of"]

_BYTE_BOUND = 16 * 2**20
"""What the memo may keep alive: a few large images or documents."""


def digest_of(value: str | bytes) -> str:
    """The SHA-256 of bytes, or of a text's UTF-8 bytes, in hex.

    Raises:
        UnicodeEncodeError: The text holds a lone surrogate.
    """
    return sha256(value.encode() if isinstance(value, str) else value).hexdigest()


class DigestMemo:
    """Remembers the digest of each long value for as long as it is likely to come again.

    Agent loops send the same documents and images with every call. The value itself is held, so that its identity cannot pass to
    another object; the oldest are let go past 16 MiB. Safe for threads.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._remembered: OrderedDict[int, tuple[str | bytes, str, int]] = OrderedDict()
        self._size = 0

    def __call__(self, value: str | bytes) -> str:
        """The value's SHA-256 in hex, computed only when this very object was not seen lately."""
        found = self._remembered.get(id(value))
        if found is not None and found[0] is value:
            return found[1]
        digest = digest_of(value)
        # What it keeps alive counts: a text beyond Latin-1 takes up to four bytes a character.
        size = sys.getsizeof(value)
        # Never waits: in a forked child another thread of the parent may hold the lock for ever.
        if size <= _BYTE_BOUND and self._lock.acquire(blocking=False):
            try:
                self._remember(value, digest, size)
            finally:
                self._lock.release()
        return digest

    def _remember(self, value: str | bytes, digest: str, size: int) -> None:
        if id(value) in self._remembered:
            return
        self._remembered[id(value)] = (value, digest, size)
        self._size += size
        while self._size > _BYTE_BOUND:
            _, (_, _, freed) = self._remembered.popitem(last=False)
            self._size -= freed
