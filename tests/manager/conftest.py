"""Fixtures for the manager's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from manager_world import Clock, manager_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def manager(cache_dir, clock):
    return manager_of(cache_dir, clock=clock)
