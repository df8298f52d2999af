"""Fixtures for the savings tests."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from savings_world import ScriptedCache


@pytest.fixture
def cache(tmp_path):
    """A cache whose clock is set to noon on 3 November 2025."""
    return ScriptedCache(tmp_path / "cache", datetime(2025, 11, 3, 12, tzinfo=UTC))


@pytest.fixture
def fernet_key():
    """A new encryption key."""
    return Fernet.generate_key().decode()
