"""Both stores pass the suite that is shipped for every store."""

from __future__ import annotations

import pytest

from spark_cache.stores import MemoryStore
from spark_cache.testing.store_contract import StoreContract


class TestFileStore(StoreContract):
    """Entries as files."""

    @pytest.fixture
    def store(self, open_store):
        """An empty directory."""
        return open_store()


class TestFileStoreWithFsync(StoreContract):
    """The same, waiting for the disk."""

    @pytest.fixture
    def store(self, open_store):
        """An empty directory, synced with every write."""
        return open_store(fsync=True)


class TestMemoryStore(StoreContract):
    """Entries in a dictionary."""

    @pytest.fixture
    def store(self, clock):
        """An empty dictionary."""
        store = MemoryStore(clock=clock, ends_at=lambda _data: float("inf"), on_removed=lambda *_entry: None)
        store.require(fsync=False, cap_bytes=None, cleanup_interval=3600.0)
        return store
