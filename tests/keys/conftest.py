"""A request to vary."""

from __future__ import annotations

from typing import Any

import pytest

from spark_cache.types import Request


@pytest.fixture(scope="session")
def ask():
    """Make a request of one message; what is given replaces or joins its fields."""

    def make(**fields: Any) -> Request:
        plain = {
            "provider": "openai",
            "model_id": "gpt-4o",
            "messages": [{"role": "user", "content": "Hello"}],
        }
        return Request(**{**plain, **fields})

    return make
