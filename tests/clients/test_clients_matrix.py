"""Every SDK, asked in every way: what is heard is equal to what the SDK hears without the cache."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from clients_cells import SDKS, WAYS, hear_all

from spark_cache.testing import StandInProvider

NAMES = [f"{sdk} {way} {kind}" for sdk in SDKS for way in WAYS for kind in ("sync", "async")]


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """What is heard without the cache, with it, and in a new process after the provider has stopped; and the calls made."""
    cache_dir = str(tmp_path_factory.mktemp("matrix"))
    with StandInProvider() as provider:
        plain = asyncio.run(hear_all(provider.base_url, None))
        calls = provider.calls
        first = asyncio.run(hear_all(provider.base_url, cache_dir))
        made = provider.calls - calls
    here = Path(__file__).parent
    again = subprocess.run(
        [sys.executable, str(here / "clients_cells.py"), provider.base_url, cache_dir],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return plain, first, json.loads(again.stdout), made


@pytest.mark.parametrize("name", NAMES)
def test_what_is_heard(heard, name):
    """The first pass and one in a new process without the provider hear what the SDK hears without the cache."""
    plain, first, again, _ = heard
    assert first[name] == plain[name]
    assert again[name] == plain[name]


def test_sync_and_async_share_entries(heard):
    """The asynchronous client hears what the synchronous one has asked, without a call."""
    plain, *_, made = heard
    # A chat of Gemini asks twice.
    assert made == len(plain) // 2 + 1
