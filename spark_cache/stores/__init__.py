"""Stores: where the bytes of entries are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_cache._lazy import lazy_exports
from spark_cache.stores.atomic import failure
from spark_cache.stores.base import (
    FOREIGN,
    Address,
    EntryFormat,
    FolderTotals,
    NewEntry,
    Proof,
    Store,
    Stored,
    Totals,
    added_up,
    address,
    block_size,
)
from spark_cache.stores.file import FileStore
from spark_cache.stores.layout import ORPHAN_AGE
from spark_cache.stores.names import HIDDEN, LOCKS, SCRATCH, entry_name, folder_name

if TYPE_CHECKING:
    from spark_cache.stores.index.database import INDEX_FILE
    from spark_cache.stores.memory import MemoryStore

__all__ = [
    "FOREIGN",
    "HIDDEN",
    "INDEX_FILE",
    "LOCKS",
    "ORPHAN_AGE",
    "SCRATCH",
    "Address",
    "EntryFormat",
    "FileStore",
    "FolderTotals",
    "MemoryStore",
    "NewEntry",
    "Proof",
    "Store",
    "Stored",
    "Totals",
    "added_up",
    "address",
    "block_size",
    "entry_name",
    "failure",
    "folder_name",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "INDEX_FILE": "spark_cache.stores.index.database",
        "MemoryStore": "spark_cache.stores.memory",
    },
)
