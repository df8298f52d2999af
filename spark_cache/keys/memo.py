"""A memo for the digests of long strings and bytes, indexed by object identity."""

from __future__ import annotations

import sys
from collections import OrderedDict
from hashlib import sha256
from threading import Lock

from spark_cache.types import Base64Text

__all__ = ["DigestMemo", "digest_of"]

_BYTE_BOUND = 16 * 2**20
"""The memory that the memo may keep alive: enough for a few large images or documents."""


def digest_of(value: str | bytes | Base64Text) -> str:
    """Return the SHA-256 of bytes, or of the UTF-8 bytes of a text, in hex.

    Args:
        value: The bytes or the text.

    Raises:
        UnicodeEncodeError: The text contains a lone surrogate.
    """
    return sha256(value if isinstance(value, bytes) else str(value).encode()).hexdigest()


class DigestMemo:
    """A memo of recently computed digests.

    Agent loops send the same documents and images with every call. The memo holds a reference to each value, so its id cannot be
    reused by another object. Past 16 MiB, it drops the oldest values. It is thread-safe.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._remembered: OrderedDict[tuple[int, str], tuple[str | bytes, str, int]] = OrderedDict()
        self._size = 0

    def __call__(self, value: str | bytes | Base64Text) -> str:
        """Return the SHA-256 of a value in hex, computed only if the memo does not hold this object.

        Args:
            value: The bytes or the text.
        """
        held, form = _identity(value)
        cached = self._remembered.get((id(held), form))
        if cached is not None and cached[0] is held:
            return cached[1]
        digest = digest_of(value)
        # Count memory, not characters: a string beyond Latin-1 uses up to four bytes for each character.
        size = sys.getsizeof(held)
        # Never wait: in a forked child, a thread that no longer exists may hold the lock forever.
        if size <= _BYTE_BOUND and self._lock.acquire(blocking=False):
            try:
                self._remember(held, form, digest, size)
            finally:
                self._lock.release()
        return digest

    def _remember(self, held: str | bytes, form: str, digest: str, size: int) -> None:
        if (id(held), form) in self._remembered:
            return
        self._remembered[id(held), form] = (held, digest, size)
        self._size += size
        while self._size > _BYTE_BOUND:
            _, (_, _, freed) = self._remembered.popitem(last=False)
            self._size -= freed


def _identity(value: str | bytes | Base64Text) -> tuple[str | bytes, str]:
    """Return the object that the caller holds, and the form in which it is hashed."""
    if isinstance(value, Base64Text):
        return value.data, f"{value.prefix} {value.urlsafe}"
    return value, ""
