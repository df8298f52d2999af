"""Both stores pass the suite that every store must pass."""

from __future__ import annotations

import pytest

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
    def store(self, open_memory_store):
        """An empty dictionary."""
        return open_memory_store()
