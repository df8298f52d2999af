"""What every store does: few verbs, bytes in and bytes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from spark_cache.stores.names import entry_name, folder_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spark_cache.types import MissReason

__all__ = [
    "GONE",
    "LOW_WATER",
    "NEVER",
    "UNKNOWN",
    "Address",
    "FolderTotals",
    "Store",
    "Stored",
    "added_up",
    "address",
    "block_size",
    "victims",
]

UNKNOWN = 0.0
"""The expiry time of an entry whose file must be read to find it out."""

NEVER = float("inf")
"""The expiry time of an entry that does not expire."""

GONE = -1
"""The size of a file that does not exist."""

BLOCK = 4096
"""What a file occupies is counted in blocks of this many bytes, as most file systems give them out."""

LOW_WATER = 0.9
"""Eviction goes on down to this share of the cap, so that it does not begin again with the next entry."""


class Address(NamedTuple):
    """Where an entry stands: the folders of its provider and its model, and its name."""

    provider_folder: str
    model_folder: str
    name: str


def address(provider: str, model_id: str, key: str) -> Address:
    """The address of the entry of a key."""
    return Address(folder_name(provider), folder_name(model_id), entry_name(key))


class Stored(NamedTuple):
    """One stored entry in a listing.

    Attributes:
        address: Where it stands.
        size_bytes: Its length.
        used_at: When it was last used, as far as the store knows, in seconds since the epoch.
    """

    address: Address
    size_bytes: int
    used_at: float


class FolderTotals(NamedTuple):
    """What the entries of one model add up to.

    Attributes:
        provider_folder: The folder of the provider.
        model_folder: The folder of the model.
        entries: How many there are.
        size_bytes: Their lengths.
        occupied_bytes: The same in blocks of 4 KiB.
    """

    provider_folder: str
    model_folder: str
    entries: int
    size_bytes: int
    occupied_bytes: int


def block_size(size_bytes: int) -> int:
    """What a file of this length occupies, in bytes."""
    return -(-size_bytes // BLOCK) * BLOCK


def added_up(listed: Iterable[Stored]) -> list[FolderTotals]:
    """What listed entries add up to, by model."""
    sums: dict[tuple[str, str], tuple[int, int, int]] = {}
    for stored in listed:
        folder = stored.address.provider_folder, stored.address.model_folder
        entries, size_bytes, occupied_bytes = sums.get(folder, (0, 0, 0))
        size = stored.size_bytes
        sums[folder] = entries + 1, size_bytes + size, occupied_bytes + block_size(size)
    return [FolderTotals(*folder, *figures) for folder, figures in sums.items()]


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


class Store(Protocol):
    """Keeps bytes under addresses. Safe for threads; every verb may raise ``StoreError``."""

    def read(self, at: Address, *, note_use: bool) -> bytes | MissReason:
        """The bytes at an address, or why there are none.

        Args:
            at: Where to look.
            note_use: Whether the read may be remembered as a use; a reader that writes nothing says no.
        """
        ...

    def write(
        self, at: Address, data: bytes, *, replace: bool = True, expires_at: float | None = None
    ) -> bool:
        """Put bytes at an address, whole or not at all.

        Args:
            at: Where they go.
            data: The bytes.
            replace: Whether they may take the place of others.
            expires_at: When their life ends, in seconds since the epoch, infinity for never; None leaves it to the bytes to tell.

        Returns:
            Whether they are kept: a store with a cap may decline, and without ``replace`` whatever is there stays.
        """
        ...

    def remove(self, at: Address) -> bool:
        """Remove what stands at an address; whether there was something."""
        ...

    def find(self, name: str) -> list[Address]:
        """Every address with this name, in whatever folder."""
        ...

    def scan(self, provider_folder: str | None = None, model_folder: str | None = None) -> Iterator[Stored]:
        """Every entry, or those of a provider or of one of its models; entries that come or go meanwhile may be in it."""
        ...

    def totals(self, *, write: bool) -> list[FolderTotals]:
        """What the entries of each model add up to; models without entries are left out.

        Args:
            write: Whether the store may put down what it finds out; a reader that writes nothing says no.
        """
        ...

    def expire(self, provider_folder: str | None = None) -> int:
        """Remove every entry whose life is over, or those of a provider; how many there were."""
        ...

    def clear(self, provider_folder: str | None = None, model_folder: str | None = None) -> int:
        """Remove every entry, or those of a provider or of one of its models; how many there were."""
        ...
