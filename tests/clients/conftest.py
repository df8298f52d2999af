"""Fixtures for tests of clients: clients of the official SDKs that go through a cache of their own."""

from __future__ import annotations

import pytest
from clients_world import client_of, close

import spark_cache


@pytest.fixture
def settings(cache_dir):
    return {"enabled": True, "cache_dir": cache_dir}


@pytest.fixture
async def make(provider, settings):
    """Return a function that makes a client of an SDK which goes through the cache, and closes it after the test."""
    made = []

    def make(sdk, base_url=None, *, is_async=False, cache=None, **options):
        client = client_of(sdk, base_url or provider.base_url, is_async=is_async, **options)
        made.append(client)
        return spark_cache.cached(client, **{**settings, **(cache or {})})

    yield make
    for client in made:
        await close(client)


@pytest.fixture
def entries(cache_dir):
    """Return a function that counts the entries."""
    return lambda: (
        len([path for path in cache_dir.rglob("*.json") if path.is_file()]) if cache_dir.exists() else 0
    )
