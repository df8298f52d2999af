"""The encryption keys of a configuration, imported without the rest of the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spark_cache.config import CacheConfig
    from spark_cache.entries.keyring import KeyRing

__all__ = ["key_ring"]


def key_ring(config: CacheConfig) -> KeyRing | None:
    """Return the configured encryption keys, or None if there are none.

    Args:
        config: The configuration.
    """
    keys = config.fernet_keys()
    if not keys:
        return None
    from spark_cache.entries.keyring import KeyRing  # noqa: PLC0415 - imports cryptography, which only encrypted caches need

    return KeyRing(keys)
