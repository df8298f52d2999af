"""Stores: where the bytes of entries are kept."""

from spark_cache.stores.atomic import failure
from spark_cache.stores.base import Address, FolderTotals, Store, Stored, added_up, address, block_size
from spark_cache.stores.file import FileStore
from spark_cache.stores.index.database import INDEX_FILE
from spark_cache.stores.index.transaction import JOURNAL_FILE
from spark_cache.stores.layout import ORPHAN_AGE
from spark_cache.stores.memory import MemoryStore
from spark_cache.stores.names import HIDDEN, SCRATCH, entry_name, folder_name

__all__ = [
    "HIDDEN",
    "INDEX_FILE",
    "JOURNAL_FILE",
    "ORPHAN_AGE",
    "SCRATCH",
    "Address",
    "FileStore",
    "FolderTotals",
    "MemoryStore",
    "Store",
    "Stored",
    "added_up",
    "address",
    "block_size",
    "entry_name",
    "failure",
    "folder_name",
]
