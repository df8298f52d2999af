"""The check of the index."""

from __future__ import annotations

import shutil
import time

import pytest

from spark_cache import CacheConfig, CacheManager
from spark_cache.events import StructlogSink
from spark_cache.maintenance.doctor import Level, examine

_ANSWER = {"content": "Paris.", "stop_reason": "end_turn", "usage": None}


@pytest.fixture
def root(tmp_path):
    """A cache directory with the entries of two models."""
    manager = CacheManager(CacheConfig(enabled=True, cache_dir=tmp_path / "cache"))
    for number in range(3):
        for model in ("gpt-4o", "o1"):
            manager.set(f"{number:02x}", "openai", model, None, _ANSWER)
    manager.flush()
    return tmp_path / "cache"


def _finding(root):
    config = CacheConfig(enabled=True, cache_dir=root)
    findings = examine(config, clock=time.time, sink=StructlogSink(), mounts=None, step=lambda: None)
    return {finding.check: finding for finding in findings}["index"]


def test_a_correct_index_passes(root):
    """An index that agrees with the directory is ok."""
    found = _finding(root)
    assert (found.level, found.found) == (Level.OK, "agrees with the entries of 2 models")


def test_a_missing_index_is_ok(root):
    """A checkout has no hidden folder and does not need one."""
    for name in ("journal", "index.sqlite3"):
        (root / ".spark-cache" / name).unlink(missing_ok=True)
    assert _finding(root).level is Level.OK
    assert not (root / ".spark-cache" / "journal").exists()


def test_changes_outside_the_cache_are_noted(root):
    """The check notes the models whose entries were removed or copied by other programs."""
    (root / "openai" / "o1" / "01.json").unlink()
    found = _finding(root)
    assert (found.level, found.remedy) == (Level.NOTE, None)
    assert found.found.startswith("of 2 models, 1 changed")
    shutil.copytree(root / "openai" / "o1", root / "openai" / "o3")
    assert _finding(root).found.startswith("of 3 models, 2 changed")


def test_a_damaged_index_is_noted(root):
    """The check names the files of an index that cannot be read, and does not change them."""
    journal = root / ".spark-cache" / "journal"
    journal.write_bytes(b"not a journal" * 100)
    found = _finding(root)
    assert found.level is Level.NOTE
    assert str(journal) in found.remedy
    assert journal.read_bytes() == b"not a journal" * 100
