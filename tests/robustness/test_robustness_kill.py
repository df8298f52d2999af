"""Programs killed while they store, evict and clean up do not affect readers and leave nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_HARNESS = Path(__file__).with_name("kill_harness.py")
_KILLS = 1000
_KILLS_OF_NAIVE_WRITERS = 50


def _run(kills: int, kind: str) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, str(_HARNESS), str(kills), kind],
        capture_output=True,
        check=True,
        text=True,
        timeout=300,
    )
    result: dict[str, int] = json.loads(done.stdout)
    return result


@pytest.mark.timeout(300)
def test_nothing_is_torn_wrong_or_left_behind():
    """After a thousand writers are killed, every read was complete and correct, the store works, and leftovers are removed."""
    result = _run(_KILLS, "careful")

    assert result["hits"] > _KILLS
    assert (result["torn"], result["wrong"]) == (0, 0)
    assert result["temporary_files"] > 0
    assert result["temporary_files_after_the_sweep"] == 0
    assert result["stored_afterwards"] == 1
    assert (result["miscounted"], result["over_the_cap"]) == (0, 0)


def test_the_harness_catches_a_naive_writer():
    """The same reads detect a writer that writes in place, which proves that the test above can fail."""
    assert _run(_KILLS_OF_NAIVE_WRITERS, "naive")["torn"] > 0
