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


def _findings(root, **values):
    config = CacheConfig(enabled=True, cache_dir=root, **values)

    def clock():
        # A clock of its own, so that the store is not shared with an earlier check.
        return time.time()

    findings = examine(config, clock=clock, sink=StructlogSink(), mounts=None, step=lambda: None)
    return {finding.check: finding for finding in findings}


def _finding(root):
    return _findings(root)["index"]


def _listing(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


def test_a_correct_index_passes(root):
    """An index that agrees with the directory is ok."""
    found = _finding(root)
    assert (found.level, found.found) == (Level.OK, "agrees with the entries of 2 models")


def test_a_missing_index_is_ok(root):
    """A checkout has no hidden folder and does not need one."""
    index = root / ".spark-cache" / "index.sqlite3"
    index.unlink()
    assert _finding(root).level is Level.OK
    assert not index.exists()


def test_changes_outside_the_cache_are_noted(root):
    """The check notes the models whose entries were removed or copied by other programs."""
    (root / "openai" / "o1" / "01.json").unlink()
    found = _finding(root)
    assert (found.level, found.remedy) == (Level.NOTE, None)
    assert found.found.startswith("of 2 models, 1 changed")
    shutil.copytree(root / "openai" / "o1", root / "openai" / "o3")
    assert _finding(root).found.startswith("of 3 models, 2 changed")


def test_a_damaged_index_is_noted(root):
    """The check names the file of an index that cannot be read, and does not change it."""
    index = root / ".spark-cache" / "index.sqlite3"
    index.write_bytes(b"not an index" * 100)
    found = _finding(root)
    assert found.level is Level.NOTE
    assert str(index) in found.remedy
    assert index.read_bytes() == b"not an index" * 100


def test_the_index_is_only_read(root):
    """The check changes no file of the hidden folder, even if the index is out of date."""
    (root / "openai" / "o1" / "01.json").unlink()
    before = _listing(root / ".spark-cache")
    assert _finding(root).level is Level.NOTE
    assert _listing(root / ".spark-cache") == before


def test_a_reader_has_no_index(root):
    """A configuration that does not write does not use the index, so it is not checked."""
    assert "index" not in _findings(root, mode="read-only")


def test_a_network_file_system_has_no_index(root, monkeypatch):
    """The check says that entries are listed on a network file system."""
    monkeypatch.setattr("spark_cache.stores.index.index.is_remote", lambda _path: True)
    found = _finding(root)
    assert found.level is Level.NOTE
    assert found.found.startswith("none, because the directory is on a network file system")
