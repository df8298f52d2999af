"""The entries of a store, counted by provider and model."""

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
    """Count the entries of a store and the space that they occupy.

    Args:
        store: The store.
        write: Whether the store may save the totals that it computes.

    Returns:
        ``total_entries``, ``total_size_bytes`` (in blocks of 4 KiB), ``apparent_size_bytes`` (the sum of the file sizes),
        ``estimated`` (whether these figures are estimates),
        ``by_provider[p]`` and ``by_model[p][m]`` with ``entries`` and ``size_bytes``, and ``entries_by_provider[p]``.

    Raises:
        StoreError: The store could not be listed.
    """
    totals = store.totals(write=write)
    folders = totals.folders
    by_provider: dict[str, dict[str, int]] = defaultdict(lambda: {"entries": 0, "size_bytes": 0})
    by_model: dict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for folder in folders:
        provider, model = _names(store, folder)
        by_provider[provider]["entries"] += folder.entries
        by_provider[provider]["size_bytes"] += folder.occupied_bytes
        # Added, not set: a copied folder may hold entries of a model that already has a folder.
        model_totals = by_model[provider].setdefault(model, {"entries": 0, "size_bytes": 0})
        model_totals["entries"] += folder.entries
        model_totals["size_bytes"] += folder.occupied_bytes
    return {
        "total_entries": sum(folder.entries for folder in folders),
        "total_size_bytes": sum(folder.occupied_bytes for folder in folders),
        "apparent_size_bytes": sum(folder.size_bytes for folder in folders),
        "estimated": totals.estimated,
        "by_provider": dict(by_provider),
        "entries_by_provider": {provider: figures["entries"] for provider, figures in by_provider.items()},
        "by_model": dict(by_model),
    }


def _names(store: Store, folder: FolderTotals) -> tuple[str, str]:
    """Return the provider and the model of a folder, from an entry if their names cannot be folder names."""
    names = folder.provider_folder, folder.model_folder
    if "~" in "".join(names):
        # Every entry holds the real names.
        for stored in islice(store.scan(*names), 1):
            data = store.read(stored.address, note_use=False)
            described = describe(data, stored.address.name) if isinstance(data, bytes) else None
            if isinstance(described, EntryMeta):
                return described.provider, described.model_id
    return names
