"""What a store holds, counted by provider and model."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from spark_cache.entries import describe
from spark_cache.types import EntryMeta

if TYPE_CHECKING:
    from spark_cache.stores import FolderTotals, Store

__all__ = ["statistics"]


def statistics(store: Store, *, write: bool) -> dict[str, Any]:
    """Count the entries of a store and what they occupy.

    Args:
        store: The store.
        write: Whether the store may put down what it finds out on the way.

    Returns:
        ``total_entries``, ``total_size_bytes`` (in blocks of 4 KiB), ``apparent_size_bytes`` (the lengths themselves),
        ``by_provider[p]`` and ``by_model[p][m]`` with ``entries`` and ``size_bytes``, and ``entries_by_provider[p]``.

    Raises:
        StoreError: The store could not be listed.
    """
    folders = store.totals(write=write)
    by_provider: dict[str, dict[str, int]] = defaultdict(lambda: {"entries": 0, "size_bytes": 0})
    by_model: dict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for folder in folders:
        provider, model = _names(store, folder)
        by_provider[provider]["entries"] += folder.entries
        by_provider[provider]["size_bytes"] += folder.occupied_bytes
        # Added, not set: a copied folder may hold entries of a model that has a folder already.
        figures = by_model[provider].setdefault(model, {"entries": 0, "size_bytes": 0})
        figures["entries"] += folder.entries
        figures["size_bytes"] += folder.occupied_bytes
    return {
        "total_entries": sum(folder.entries for folder in folders),
        "total_size_bytes": sum(folder.occupied_bytes for folder in folders),
        "apparent_size_bytes": sum(folder.size_bytes for folder in folders),
        "by_provider": dict(by_provider),
        "entries_by_provider": {provider: figures["entries"] for provider, figures in by_provider.items()},
        "by_model": dict(by_model),
    }


def _names(store: Store, folder: FolderTotals) -> tuple[str, str]:
    """The provider and the model of a folder: its own names, unless they were too unusual for folders."""
    names = folder.provider_folder, folder.model_folder
    if "~" in "".join(names):
        # Any of its entries says whose it is.
        for stored in islice(store.scan(*names), 1):
            data = store.read(stored.address, note_use=False)
            described = describe(data, stored.address.name) if isinstance(data, bytes) else None
            if isinstance(described, EntryMeta):
                return described.provider, described.model_id
    return names
