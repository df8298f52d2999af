"""Factories for requests."""

from __future__ import annotations

from typing import Any

import pytest
from keys_world import request_of

from spark_cache.types import Request


@pytest.fixture(scope="session")
def ask():
    """Return a factory for the requests of calls with one message. Its arguments are those of the call."""
    return request_of


@pytest.fixture(scope="session")
def sent():
    """Return a factory for requests with one message. Its arguments are fields of the request, or else of its body."""

    def make(**fields: Any) -> Request:
        own = {name: value for name, value in fields.items() if name in Request._fields}
        body = {name: value for name, value in fields.items() if name not in own}
        plain = {
            "provider": "openai",
            "model_id": "gpt-4o",
            "body": {"messages": [{"role": "user", "content": "Hello"}], **body},
        }
        return Request(**{**plain, **own})

    return make
