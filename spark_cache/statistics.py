"""What a store holds, counted by provider and model."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spark_cache.entries import describe
from spark_cache.stores import block_size
from spark_cache.types import EntryMeta

if TYPE_CHECKING:
    from spark_cache.stores import Address, Store

__all__ = ["statistics"]


@dataclass(slots=True)
class _Count:
    example: Address
    entries: int = 0
    size_bytes: int = 0
    apparent_size_bytes: int = 0


def statistics(store: Store) -> dict[str, Any]:
    """Count the entries of a store and what they occupy.

    Returns:
        ``total_entries``, ``total_size_bytes`` (in blocks of 4 KiB), ``apparent_size_bytes`` (the lengths themselves),
        ``by_provider[p]`` and ``by_model[p][m]`` with ``entries`` and ``size_bytes``, and ``entries_by_provider[p]``.

    Raises:
        StoreError: The store could not be listed.
    """
    folders: dict[tuple[str, str], _Count] = {}
    for stored in store.scan():
        at = stored.address
        count = folders.setdefault((at.provider_folder, at.model_folder), _Count(at))
        count.entries += 1
        count.size_bytes += block_size(stored.size_bytes)
        count.apparent_size_bytes += stored.size_bytes
    by_provider: dict[str, dict[str, int]] = defaultdict(lambda: {"entries": 0, "size_bytes": 0})
    by_model: dict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for count in folders.values():
        provider, model = _names(store, count.example)
        by_provider[provider]["entries"] += count.entries
        by_provider[provider]["size_bytes"] += count.size_bytes
        # Added, not set: a copied folder may hold entries of a model that has a folder already.
        figures = by_model[provider].setdefault(model, {"entries": 0, "size_bytes": 0})
        figures["entries"] += count.entries
        figures["size_bytes"] += count.size_bytes
    return {
        "total_entries": sum(count.entries for count in folders.values()),
        "total_size_bytes": sum(count.size_bytes for count in folders.values()),
        "apparent_size_bytes": sum(count.apparent_size_bytes for count in folders.values()),
        "by_provider": dict(by_provider),
        "entries_by_provider": {provider: figures["entries"] for provider, figures in by_provider.items()},
        "by_model": dict(by_model),
    }


def _names(store: Store, at: Address) -> tuple[str, str]:
    """The provider and the model of a folder: its own names, unless they were too unusual for folders."""
    if "~" in at.provider_folder + at.model_folder:
        data = store.read(at, note_use=False)
        described = describe(data, at.name) if isinstance(data, bytes) else None
        if isinstance(described, EntryMeta):
            return described.provider, described.model_id
    return at.provider_folder, at.model_folder
