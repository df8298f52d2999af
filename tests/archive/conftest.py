"""Fixtures for the archive tests."""

from __future__ import annotations

import pytest
from archive_world import Cache


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def other(tmp_path):
    return Cache(tmp_path / "other")


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "entries.tar.gz"
