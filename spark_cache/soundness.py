"""Whether what stands at an address is the entry that belongs there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spark_cache.entries import CacheEntry, decode, describe, key_id_of
from spark_cache.stores import entry_name, folder_name
from spark_cache.types import EntryMeta, MissReason

if TYPE_CHECKING:
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.stores import Address

__all__ = ["Sound", "sound"]


class Sound(NamedTuple):
    """An entry in its own place.

    Attributes:
        about: What a listing shows of it.
        key: Its cache key; None where it is encrypted under a key that is not at hand.
    """

    about: EntryMeta
    key: str | None


def sound(at: Address, data: bytes, ring: KeyRing | None) -> Sound | MissReason:
    """An entry that answers from where it stands, as far as that can be told with the keys at hand; or why it does not.

    Args:
        at: Where it stands.
        data: Its bytes.
        ring: The keys at hand.
    """
    about = describe(data, at.name)
    if isinstance(about, MissReason):
        return about
    if at[:2] != (folder_name(about.provider), folder_name(about.model_id)):
        return MissReason.WRONG_KEY
    entry = decode(data, ring=ring)
    if isinstance(entry, CacheEntry):
        sealed = ring is not None and about.encrypted
        names = ring.names(entry.key) if sealed and ring is not None else (entry_name(entry.key),)
        return Sound(about, entry.key) if at.name in names else MissReason.WRONG_KEY
    if entry is MissReason.UNDECRYPTABLE and (ring is None or key_id_of(data) not in ring.ids):
        # Nothing more can be told without its key.
        return Sound(about, None)
    return entry
