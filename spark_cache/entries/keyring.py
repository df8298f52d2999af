"""Encryption keys: the newest one encrypts, every one decrypts."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Sequence
    from hashlib import _Hash

__all__ = ["KeyRing"]

# These values are part of the format. Changing one changes every ID or name, and no entry would be found again.
_ID_INFO = b"spark-cache key id v1"
_NAME_INFO = b"spark-cache entry name v1"

_ID_BYTES = 8
_NAME_KEY_BYTES = 32
_BLOCK_BYTES = 64

_NAMES_REMEMBERED = 1024
_LONGEST_REMEMBERED = 64
"""The bounds of the name cache: the number of cache keys, and the longest key. Programs look up the same keys repeatedly."""


@dataclass(frozen=True, slots=True, repr=False)
class _Key:
    id: str
    inner: _Hash
    outer: _Hash
    fernet: Fernet


class KeyRing:
    """A list of Fernet keys that encrypts and decrypts entries.

    The ``repr`` shows no key, and a ring cannot be pickled.

    Args:
        keys: Keys in the format of ``Fernet.generate_key()``, newest first. At least one is required.

    Raises:
        ValueError: A key is not a Fernet key.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        # Derive once: a derivation takes longer than decrypting a short entry.
        self._keys = tuple(_derived(key) for key in keys)
        self._by_id = {key.id: key for key in self._keys}
        self._names: dict[str, tuple[str, ...]] = {}

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self.ids)})"

    def __reduce__(self) -> str:
        raise TypeError("a KeyRing cannot be pickled because it holds encryption keys")

    @property
    def ids(self) -> tuple[str, ...]:
        """The ID of each encryption key as 16 hex digits, newest first."""
        return tuple(self._by_id)

    def names(self, cache_key: str) -> tuple[str, ...]:
        """Return the file name of an entry under each encryption key, newest first.

        Without the encryption key, a name cannot confirm a guess of the request.

        Args:
            cache_key: The cache key of the entry.
        """
        cached = self._names.get(cache_key)
        if cached is not None:
            return cached
        try:
            text = cache_key.encode()
        except UnicodeEncodeError:
            text = cache_key.encode("utf-8", "surrogatepass")
        names = []
        for key in self._keys:
            # HMAC-SHA256 from two prepared states. The ``hmac`` module would prepare them again each time, at three times the cost.
            inner, outer = key.inner.copy(), key.outer.copy()
            inner.update(text)
            outer.update(inner.digest())
            names.append(outer.hexdigest())
        result = tuple(names)
        if len(cache_key) <= _LONGEST_REMEMBERED:
            if len(self._names) >= _NAMES_REMEMBERED:
                self._names.clear()
            # Store a plain string: a CacheKey would keep the parts of its request alive.
            self._names[str.__str__(cache_key)] = result
        return result

    def encrypt(self, plain: bytes) -> tuple[str, str]:
        """Encrypt bytes with the newest key.

        Args:
            plain: The bytes to encrypt.

        Returns:
            The ID of the key and the Fernet token.
        """
        newest = self._keys[0]
        return newest.id, newest.fernet.encrypt(plain).decode()

    def decrypt(self, key_id: str, token: str) -> bytes | None:
        """Decrypt a token.

        Args:
            key_id: The ID of the key that encrypted the token.
            token: The Fernet token.

        Returns:
            The plain bytes, or None if the key is not available or the token was tampered with.
        """
        key = self._by_id.get(key_id)
        if key is None:
            return None
        try:
            return key.fernet.decrypt(token)
        except (InvalidToken, ValueError):
            return None


def _derived(key: str) -> _Key:
    secret = urlsafe_b64decode(key)
    block = _derive(secret, _NAME_INFO, _NAME_KEY_BYTES).ljust(_BLOCK_BYTES, b"\0")
    return _Key(
        id=_derive(secret, _ID_INFO, _ID_BYTES).hex(),
        inner=sha256(bytes(byte ^ 0x36 for byte in block)),
        outer=sha256(bytes(byte ^ 0x5C for byte in block)),
        fernet=Fernet(key),
    )


def _derive(secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)
