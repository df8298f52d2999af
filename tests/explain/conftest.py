"""Fixtures for the tests of explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from explain_world import Clock, World

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def make_world(cache_dir, clock):
    """Return a function that makes caches in one directory, each with its own configuration."""

    def make(**values):
        return World(cache_dir, clock, **values)

    return make


@pytest.fixture
def world(make_world):
    return make_world()
