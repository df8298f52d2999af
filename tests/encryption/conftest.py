"""Fixtures for the encryption tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from encryption_world import Clock, Sink

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sink():
    return Sink()
