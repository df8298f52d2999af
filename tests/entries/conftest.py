"""A factory for entries."""

from __future__ import annotations

from typing import Any

import pytest

from spark_cache.entries import CacheEntry

KEY = "3f2a" * 16


@pytest.fixture(scope="session")
def entry_of():
    """Return a factory for entries. Its arguments override fields."""

    def make(response: Any = None, **fields: Any) -> CacheEntry:
        plain = {
            "key": KEY,
            "provider": "openai",
            "model_id": "gpt-4o",
            "response": {"content": "Paris.", "stop_reason": "end_turn", "usage": {"total_tokens": 23}}
            if response is None
            else response,
            "timestamp": 1638360000.123,
            "ttl": 86400,
            "profile": "testing",
            "digests": {"messages": "0011223344556677"},
        }
        return CacheEntry(**{**plain, **fields})

    return make
