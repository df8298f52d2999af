"""One minute of concurrent operations on one directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_HARNESS = Path(__file__).with_name("soak_harness.py")
_SECONDS = 60
_MEMORY_NOISE = 16 * 2**20
"""The allowed growth of a process's memory, in bytes, since the allocator returns little memory to the system."""

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="measures memory and open files in /proc"
)


@pytest.mark.timeout(200)
def test_everything_at_once_for_a_minute():
    """Eight processes with four threads each read, write, evict, clean up and clear: no wrong response, growth or hang."""
    done = subprocess.run(
        [sys.executable, str(_HARNESS), str(_SECONDS)],
        capture_output=True,
        check=True,
        text=True,
        timeout=_SECONDS + 60,
    )
    seen = json.loads(done.stdout)

    assert seen["processes"] == 8
    assert seen["errors"] == []
    assert (seen["torn"], seen["wrong"], seen["lost"]) == (0, 0, 0)
    assert all(seen[name] for name in ("hits", "misses", "stored", "removed", "stats", "cleared"))
    assert seen["largest"] <= seen["allowed"]
    assert seen["miscounted"] == 0
    assert seen["memory_grown"] < _MEMORY_NOISE
    assert seen["files_grown"] <= 0
