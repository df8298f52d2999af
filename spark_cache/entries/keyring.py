"""The keys that encrypted entries are sealed with: one to write, all to read."""

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

# Fixed texts of the format: another one gives other ids and names, and no entry would be found again.
_ID_INFO = b"spark-cache key id v1"
_NAME_INFO = b"spark-cache entry name v1"

_ID_BYTES = 8
_NAME_KEY_BYTES = 32
_BLOCK_BYTES = 64

_NAMES_REMEMBERED = 1024
_LONGEST_REMEMBERED = 64
"""The names of so many keys, none longer than so many characters, are worked out once: programs ask for the same ones again."""


@dataclass(frozen=True, slots=True, repr=False)
class _Key:
    id: str
    inner: _Hash
    outer: _Hash
    fernet: Fernet


class KeyRing:
    """Seals and opens entries with Fernet keys. Neither its ``repr`` nor a pickle shows a key.

    Args:
        keys: Keys as ``Fernet.generate_key()`` makes them, newest first; at least one.

    Raises:
        ValueError: One of them is no Fernet key.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        # Derived once, here: a derivation takes longer than opening a short entry.
        self._keys = tuple(_derived(key) for key in keys)
        self._by_id = {key.id: key for key in self._keys}
        self._names: dict[str, tuple[str, ...]] = {}

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self.ids)})"

    def __reduce__(self) -> str:
        raise TypeError("a key ring is not pickled: it holds keys")

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each key, 16 hex digits, newest first."""
        return tuple(self._by_id)

    def names(self, cache_key: str) -> tuple[str, ...]:
        """The file name of an entry under each key, newest first: without the key, no guess of a request can be checked."""
        known = self._names.get(cache_key)
        if known is not None:
            return known
        try:
            text = cache_key.encode()
        except UnicodeEncodeError:
            text = cache_key.encode("utf-8", "surrogatepass")
        names = []
        for key in self._keys:
            # HMAC-SHA256 from the two states that the key gives: ``hmac`` would prepare them anew, at three times the cost.
            inner, outer = key.inner.copy(), key.outer.copy()
            inner.update(text)
            outer.update(inner.digest())
            names.append(outer.hexdigest())
        found = tuple(names)
        if len(cache_key) <= _LONGEST_REMEMBERED:
            if len(self._names) >= _NAMES_REMEMBERED:
                self._names.clear()
            # By a plain text: a cache key holds its request's parts.
            self._names[str.__str__(cache_key)] = found
        return found

    def encrypt_entry(self, body: bytes) -> tuple[str, str]:
        """Encrypt with the newest key; its id, and the token."""
        newest = self._keys[0]
        return newest.id, newest.fernet.encrypt(body).decode()

    def open(self, key_id: str, token: str) -> bytes | None:
        """Decrypt a token; None when its key is not at hand, or the token was tampered with."""
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
