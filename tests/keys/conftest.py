"""A factory for requests."""

from __future__ import annotations

from typing import Any

import pytest

from spark_cache.types import Request


@pytest.fixture(scope="session")
def ask():
    """Return a factory for requests with one message. Its arguments override or add fields."""

    def make(**fields: Any) -> Request:
        plain = {
            "provider": "openai",
            "model_id": "gpt-4o",
            "messages": [{"role": "user", "content": "Hello"}],
        }
        return Request(**{**plain, **fields})

    return make
