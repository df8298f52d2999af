"""Fixtures of the tests of savings."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from savings_world import ScriptedCache


@pytest.fixture
def cache(tmp_path):
    """A cache whose clock says noon of 3 November 2025."""
    return ScriptedCache(tmp_path / "cache", datetime(2025, 11, 3, 12, tzinfo=UTC))


@pytest.fixture
def fernet_key():
    """A fresh encryption key."""
    return Fernet.generate_key().decode()
