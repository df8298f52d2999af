"""Which entries have to go when a store is full: a pure function of the listing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spark_cache.stores.base import Stored

__all__ = ["LOW_WATER", "block_size", "victims"]

BLOCK = 4096
"""What a file occupies is counted in blocks of this many bytes, as most file systems give them out."""

LOW_WATER = 0.9
"""Eviction goes on down to this share of the cap, so that it does not begin again with the next entry."""


def block_size(size_bytes: int) -> int:
    """What a file of this length occupies, in bytes."""
    return -(-size_bytes // BLOCK) * BLOCK


def victims(entries: Iterable[Stored], cap_bytes: int) -> list[Stored]:
    """The least recently used entries that have to go to bring a store down to its low-water mark.

    Args:
        entries: Everything in the store.
        cap_bytes: What the store may occupy, in bytes.

    Returns:
        Those to remove, least recently used first; none while the store is within its cap.
    """
    listed = sorted(entries, key=lambda stored: (stored.used_at, stored.address.name))
    total = sum(block_size(stored.size_bytes) for stored in listed)
    if total <= cap_bytes:
        return []
    chosen = []
    for stored in listed:
        if total <= cap_bytes * LOW_WATER:
            break
        chosen.append(stored)
        total -= block_size(stored.size_bytes)
    return chosen
