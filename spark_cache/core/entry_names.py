"""The file names under which the entry of a key may be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_cache.stores import entry_name

if TYPE_CHECKING:
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import Address

__all__ = ["EntryNames"]


class EntryNames:
    """The names of entries, given the encryption keys of a configuration.

    A plain entry is named after its cache key. The name of an encrypted entry is an HMAC of it under an encryption key.

    Args:
        ring: The encryption keys; None without encryption.
    """

    def __init__(self, ring: KeyRing | None) -> None:
        self._ring = ring

    def written(self, key: str, *, encrypted: bool) -> str:
        """Return the name under which an entry is written."""
        return self._ring.names(key)[0] if encrypted and self._ring is not None else entry_name(key)

    def candidates(self, key: str) -> tuple[str, ...]:
        """Return every name to look for: under each encryption key, newest first, then the plain name.

        With encryption keys, the plain name is the last but one, and the first name comes again at the end: while the
        others were tried, a rotation may have moved the entry there.
        """
        if self._ring is None:
            return (entry_name(key),)
        names = self._ring.names(key)
        return (*names, entry_name(key), names[0])

    def shown(self, at: Address, key: str, *, encrypted: bool) -> str:
        """Return the name that a log may show for an address: never a digest of a request that must be encrypted."""
        return self.written(key, encrypted=True) if encrypted and at.name == entry_name(key) else at.name
