"""The interface of a store: few verbs, bytes in and bytes out."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol

from spark_cache.stores.names import entry_name, folder_name
from spark_cache.types import CLOCK_SKEW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from spark_cache.types import MissReason

__all__ = [
    "FOREIGN",
    "LOW_WATER",
    "NEVER",
    "UNKNOWN",
    "Address",
    "EntryFormat",
    "FolderTotals",
    "Leases",
    "Lifetime",
    "NewEntry",
    "Proof",
    "Store",
    "Stored",
    "Totals",
    "added_up",
    "address",
    "block_size",
    "is_over",
    "victims",
]

UNKNOWN = 0.0
"""The expiry of an entry whose file must be read to find it out."""

NEVER = float("inf")
"""The expiry of an entry that does not expire."""

BLOCK = 4096
"""The space that a file occupies is counted in blocks of this many bytes, the usual unit of file systems."""

FOREIGN = "a file that is not an entry of this cache is in its place"
"""Why an entry can be neither read nor written."""

LOW_WATER = 0.9
"""A store that must list its entries to evict some brings itself down to this share of its cap, to list them rarely."""


class Address(NamedTuple):
    """The place of an entry: the folders of its provider and its model, and its name."""

    provider_folder: str
    model_folder: str
    name: str


def address(provider: str, model_id: str, key: str) -> Address:
    """Return the address of the entry of a key."""
    return Address(folder_name(provider), folder_name(model_id), entry_name(key))


class NewEntry(NamedTuple):
    """An entry to be written.

    Attributes:
        address: Its address.
        data: Its bytes.
        expires_at: When it expires, in seconds since the epoch; infinity for never. None leaves it to the bytes to say.
    """

    address: Address
    data: bytes
    expires_at: float | None = None


class Stored(NamedTuple):
    """One stored entry in a listing.

    Attributes:
        address: Its address.
        size_bytes: Its size.
        used_at: When it was last used, as far as the store knows, in seconds since the epoch.
        cursor: A scan that is given this text goes on behind this entry.
    """

    address: Address
    size_bytes: int
    used_at: float
    cursor: str = ""


class FolderTotals(NamedTuple):
    """The totals of the entries of one model.

    Attributes:
        provider_folder: The folder of the provider.
        model_folder: The folder of the model.
        entries: The number of entries.
        size_bytes: The sum of their sizes.
        occupied_bytes: The same in blocks of 4 KiB.
    """

    provider_folder: str
    model_folder: str
    entries: int
    size_bytes: int
    occupied_bytes: int


class Totals(NamedTuple):
    """The totals of a store.

    Attributes:
        folders: The totals of each model that has entries.
        estimated: Whether they are estimates, for example because a server expires entries without saying so.
    """

    folders: list[FolderTotals]
    estimated: bool = False


class Proof(Enum):
    """What a file in the place of an entry is.

    Attributes:
        ENTRY: An entry, by what it says. It is counted, and may be removed and replaced.
        DAMAGED: The remains of an entry, or the entry of another name. It may be replaced by the entry of its name.
        FOREIGN: Another file. It is neither counted nor touched.
    """

    ENTRY = auto()
    DAMAGED = auto()
    FOREIGN = auto()


Lifetime = tuple[float, float]
"""When an entry begins and when it ends, in seconds since the epoch. Infinity means that it does not end."""


class EntryFormat(NamedTuple):
    """What a store has to know of the content of entries.

    Attributes:
        prove: Says what a file of some name is by its first bytes, or by all of them (``whole``); None if the first bytes do not
            decide.
        lifetime: Returns when an entry with these bytes begins and ends.
    """

    prove: Callable[[bytes, str, bool], Proof | None]
    lifetime: Callable[[bytes], Lifetime]


def block_size(size_bytes: int) -> int:
    """Return the bytes that a file of this size occupies."""
    return -(-size_bytes // BLOCK) * BLOCK


def is_over(lifetime: Lifetime, now: float) -> bool:
    """Return whether an entry has expired, or is dated in the future: it would not be used for a long time.

    Args:
        lifetime: When it begins and ends.
        now: The time, in seconds since the epoch.
    """
    begins, ends = lifetime
    return ends <= now or begins > now + CLOCK_SKEW


def added_up(listed: Iterable[Stored]) -> list[FolderTotals]:
    """Add up listed entries by model."""
    sums: dict[tuple[str, str], tuple[int, int, int]] = {}
    for stored in listed:
        folder = stored.address.provider_folder, stored.address.model_folder
        entries, size_bytes, occupied_bytes = sums.get(folder, (0, 0, 0))
        size = stored.size_bytes
        sums[folder] = entries + 1, size_bytes + size, occupied_bytes + block_size(size)
    return [FolderTotals(*folder, *figures) for folder, figures in sums.items()]


def victims(entries: Iterable[Stored], cap_bytes: int) -> list[Stored]:
    """Return the least recently used entries that must go to bring a store down to its low-water mark.

    Args:
        entries: Everything in the store.
        cap_bytes: The bytes that the store may occupy.

    Returns:
        The entries to remove, least recently used first; none while the store is within its cap.
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


class Leases(Protocol):
    """The leases of a store. While a process calls the provider, it holds the lease for the key, and the others wait."""

    def held(self, name: str, *, timeout_seconds: float) -> AbstractAsyncContextManager[bool]:
        """Hold the lease for a key while the body runs, or first wait for the process that holds it.

        The body runs in any case. After a wait it runs without the lease, side by side with the others who waited. It also
        runs without one if the store cannot give any.

        Args:
            name: The name of the key's entry.
            timeout_seconds: How long to wait for another process, in seconds.

        Returns:
            A context manager that tells whether it waited.
        """
        ...


class Store(Protocol):
    """Keeps bytes under addresses. Safe for threads; every verb may raise ``StoreError``.

    A ``deadline`` is a reading of ``time.monotonic``. A verb that cannot be done by then raises ``StoreError``.

    A store calls its ``on_removed``, a function given to its constructor, with each entry that it removes on its own: the
    address, the size, and ``evict`` or ``expire``.

    Attributes:
        leases: The leases of the keys, shared by all processes that use the store; None if no other process can use it.
    """

    @property
    def leases(self) -> Leases | None: ...  # noqa: D102 - see above

    def has(self, at: Address) -> bool:
        """Return whether there is an entry at an address, without reading it."""
        ...

    def read(self, at: Address, *, note_use: bool, remember: bool = False) -> bytes | MissReason:
        """Return the bytes at an address, or why there are none.

        Args:
            at: The address.
            note_use: Whether the store may note the use. A reader that writes nothing says no.
            remember: Whether the store may keep the bytes in memory for the next read.
        """
        ...

    def read_many(self, addresses: Sequence[Address], *, note_use: bool) -> list[bytes | MissReason]:
        """Return what :meth:`read` returns for each address, in their order."""
        ...

    def write(
        self,
        at: Address,
        data: bytes,
        *,
        replace: bool = True,
        expires_at: float | None = None,
        deadline: float | None = None,
    ) -> bool:
        """Put bytes at an address, completely or not at all.

        Args:
            at: The address.
            data: The bytes.
            replace: Whether they may replace others.
            expires_at: As for :class:`NewEntry`.
            deadline: When to give up.

        Returns:
            Whether they are stored. A store with a cap may decline, and without ``replace`` an entry that is there stays.
        """
        ...

    def write_many(
        self, entries: Sequence[NewEntry], *, replace: bool = True, deadline: float | None = None
    ) -> list[bool]:
        """Put entries in place, each of them as :meth:`write` does, in as few transactions as possible."""
        ...

    def remove(self, at: Address, *, deadline: float | None = None) -> bool:
        """Remove the entry at an address, and return whether there was one."""
        ...

    def find(self, name: str) -> list[Address]:
        """Return every address with this name, in whatever folder."""
        ...

    def scan(
        self, provider_folder: str | None = None, model_folder: str | None = None, *, after: str = ""
    ) -> Iterator[Stored]:
        """Yield every entry, or those of a provider or of one of its models.

        An entry that is there during the whole scan is listed once. Entries that come or go meanwhile may be listed.

        Args:
            provider_folder: The only provider.
            model_folder: Its only model.
            after: The cursor of an entry to go on behind.
        """
        ...

    def totals(self, *, write: bool) -> Totals:
        """Return the totals of the entries of each model.

        Args:
            write: Whether the store may save what it finds out. A reader that writes nothing says no.
        """
        ...

    def expire(self, provider_folder: str | None = None) -> int:
        """Remove every expired entry, or those of a provider, and return how many there were."""
        ...

    def clear(self, provider_folder: str | None = None, model_folder: str | None = None) -> int:
        """Remove every entry, or those of a provider or of one of its models, and return how many there were."""
        ...
