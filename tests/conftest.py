"""Fixtures for tests that call a model: the provider's real SDK against a stand-in on loopback."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import pytest
from models_world import Clock

from spark_cache import CacheManager, OpenAIModel
from spark_cache.testing import StandInProvider

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def level_of_the_logger():
    """Restore the level of the cache's logger, which a configuration may set, so that later tests see warnings."""
    logger = logging.getLogger("spark_cache")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def provider():
    with StandInProvider() as running:
        yield running


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def client_args(provider):
    return {"base_url": provider.base_url, "api_key": "test", "max_retries": 0}


@pytest.fixture
async def make_model(client_args, cache_dir):
    """Return a function that creates models of the stand-in with the cache on, and close them after the test."""
    async with contextlib.AsyncExitStack() as stack:

        def make(model_id="gpt-4o", *, clock=None, sink=None, **options):
            options = {"enable_cache": True, "cache_dir": cache_dir, **options}
            if "client" not in options:
                options = {"client_args": client_args, **options}
            model = OpenAIModel(model_id, **options)
            if clock is not None or sink is not None:
                injected = {"clock": clock} if clock is not None else {}
                manager = CacheManager(model.cache.config, sink=sink, **injected)
                cache_options = ("enable_cache", "cache_dir", "cache_ttl_seconds", "cache_config")
                own = {name: value for name, value in options.items() if name not in cache_options}
                model = OpenAIModel(model_id, cache_manager=manager, **own)
            stack.push_async_callback(model.aclose)
            return model

        yield make


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def warned(caplog):
    """Return a function that returns the messages of the cache's warnings so far."""
    caplog.set_level(logging.INFO, logger="spark_cache")
    return lambda: [
        record.getMessage()
        for record in caplog.records
        if record.name == "spark_cache" and record.levelno >= logging.WARNING
    ]
