"""Stores: where the bytes of entries are kept."""

from spark_cache.stores.base import Address, Store, Stored, address
from spark_cache.stores.eviction import block_size
from spark_cache.stores.file import FileStore
from spark_cache.stores.memory import MemoryStore
from spark_cache.stores.names import HIDDEN, entry_name, folder_name

__all__ = [
    "HIDDEN",
    "Address",
    "FileStore",
    "MemoryStore",
    "Store",
    "Stored",
    "address",
    "block_size",
    "entry_name",
    "folder_name",
]
