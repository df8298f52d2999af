"""The results of get_stats."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from manager_world import ANSWER, QUESTION, fill, manager_of

ANOTHER_PROCESS = """
import sys
from spark_cache import CacheConfig, CacheManager
manager = CacheManager(CacheConfig(enabled=True, cache_dir=sys.argv[1]))
assert manager.get("a") is not None
assert manager.get("nothing") is None
"""


def test_empty_cache(manager, cache_dir):
    """The totals of a cache that does not exist are complete, and reading them creates no directory."""
    assert manager.get_stats() == {
        "cache_dir": str(cache_dir),
        "total_entries": 0,
        "total_size_bytes": 0,
        "apparent_size_bytes": 0,
        "estimated": False,
        "hits": 0,
        "misses": 0,
        "stores": 0,
        "evictions": 0,
        "expirations": 0,
        "hit_rate": 0.0,
        "misses_by_reason": {},
        "tokens_saved": 0,
        "seconds_saved": 0.0,
        "lifetime": {
            "hits": 0,
            "misses": 0,
            "stores": 0,
            "evictions": 0,
            "expirations": 0,
            "hit_rate": 0.0,
            "misses_by_reason": {},
            "tokens_saved": 0,
            "seconds_saved": 0.0,
        },
        "by_provider": {},
        "entries_by_provider": {},
        "by_model": {},
    }
    assert not cache_dir.exists()


def test_sizes_and_counts(manager, cache_dir):
    """Entries are counted by provider and model, with their size in blocks of 4 KiB and their length."""
    fill(manager, "openai/gpt-4o/a", "openai/o3/b")
    manager.set("c", "gemini", "flash", {}, {**ANSWER, "content": "x" * 5000})
    stats = manager.get_stats()
    assert stats["total_entries"] == 3
    assert stats["total_size_bytes"] == 4096 + 4096 + 8192
    assert stats["apparent_size_bytes"] == sum(path.stat().st_size for path in cache_dir.glob("*/*/*.json"))
    assert stats["by_provider"] == {
        "openai": {"entries": 2, "size_bytes": 8192},
        "gemini": {"entries": 1, "size_bytes": 8192},
    }
    assert stats["entries_by_provider"] == {"openai": 2, "gemini": 1}
    assert stats["by_model"]["openai"]["o3"] == {"entries": 1, "size_bytes": 4096}


def test_unusual_names_are_reported_unchanged(manager):
    """A model whose name cannot be a folder name is reported under its own name."""
    manager.set("a", "Azure/OpenAI", "GPT-4o", {}, ANSWER)
    stats = manager.get_stats()
    assert stats["by_model"] == {"Azure/OpenAI": {"GPT-4o": {"entries": 1, "size_bytes": 4096}}}


def test_copied_folder_is_counted(manager, cache_dir):
    """Entries that were copied into another folder are counted for the model that they name."""
    manager.set("a", "openai", "GPT-4o", {}, ANSWER)
    (folder,) = (cache_dir / "openai").iterdir()
    copied = folder.with_name("copied~1")
    copied.mkdir()
    (entry,) = folder.iterdir()
    (copied / entry.name).write_bytes(entry.read_bytes())
    stats = manager.get_stats()
    assert stats["by_model"]["openai"] == {"GPT-4o": {"entries": 2, "size_bytes": 8192}}
    assert stats["total_entries"] == 2


def test_hits_and_misses(manager, clock):
    """Hits, misses with their reasons, and the hit rate are counted."""
    manager.set("a", "openai", "gpt-4o", {}, ANSWER, ttl_seconds=10)
    manager.get("a")
    manager.get(manager.generate_cache_key("openai", "gpt-4o", QUESTION))
    manager.get("nothing")
    clock.now += 10
    manager.get("a")
    stats = manager.get_stats()
    assert (stats["hits"], stats["misses"], stats["stores"]) == (1, 3, 1)
    assert stats["hit_rate"] == 0.25
    assert stats["misses_by_reason"] == {"absent": 2, "expired": 1}


def test_savings_of_hits(manager):
    """The tokens and the seconds that hits saved are added up."""
    manager.set("a", "openai", "gpt-4o", {}, {**ANSWER, "latency_seconds": 1.5})
    manager.get("a")
    manager.get("a")
    stats = manager.get_stats()
    assert (stats["tokens_saved"], stats["seconds_saved"]) == (46, 3.0)


def test_string_key_in_several_folders_is_one_lookup(manager):
    """A string key with entries for several models is one hit."""
    fill(manager, "openai/gpt-4o/k", "openai/o3/k", "gemini/flash/k")
    assert manager.get("k") == ANSWER
    assert (manager.get_stats()["hits"], manager.get_stats()["misses"]) == (1, 0)


@pytest.mark.parametrize("values", [{"enabled": False}, {"mode": "bypass"}], ids=str)
def test_calls_without_a_lookup_are_not_counted(manager, cache_dir, clock, values):
    """A get that the configuration keeps from the cache is neither a hit nor a miss."""
    fill(manager, "openai/gpt-4o/a")
    reader = manager_of(cache_dir, clock=clock, **values)
    reader.get("a")
    reader.get("nothing")
    assert (reader.get_stats()["hits"], reader.get_stats()["misses"]) == (0, 0)


def test_managers_of_one_real_directory_share_totals(cache_dir, tmp_path):
    """Two managers of one real directory, by whatever path, share its store and its totals."""
    link = tmp_path / "link"
    cache_dir.mkdir(mode=0o700)
    link.symlink_to(cache_dir)
    one, other = manager_of(cache_dir), manager_of(link, ttl_seconds=60)
    fill(one, "openai/gpt-4o/a")
    assert other.get("a") == ANSWER
    assert one.get_stats()["hits"] == other.get_stats()["hits"] == 1
    assert one.get_stats()["stores"] == 1


def test_totals_outlive_the_manager(cache_dir):
    """The totals of this process still exist when the manager that collected them is gone."""
    fill(manager_of(cache_dir), "openai/gpt-4o/a")
    assert manager_of(cache_dir).get_stats()["stores"] == 1


def test_lifetime_totals_include_all_processes(cache_dir):
    """The lifetime totals include all processes; the hits and misses next to them, only this one."""
    manager = manager_of(cache_dir)
    fill(manager, "openai/gpt-4o/a")
    subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS, str(cache_dir)], check=True, env=dict(os.environ), timeout=60
    )
    stats = manager.get_stats()
    assert (stats["hits"], stats["misses"]) == (0, 0)
    assert (stats["lifetime"]["hits"], stats["lifetime"]["misses"], stats["lifetime"]["stores"]) == (1, 1, 1)


def test_memory_store(cache_dir):
    """A cache in memory has the same totals, and outlives its manager."""
    fill(manager_of(cache_dir, store="memory"), "openai/gpt-4o/a")
    manager = manager_of(cache_dir, store="memory")
    assert manager.get("a") == ANSWER
    stats = manager.get_stats()
    assert (stats["total_entries"], stats["hits"], stats["lifetime"]["hits"]) == (1, 1, 1)
    assert manager.clear_all() == 1
    assert not cache_dir.exists()


def test_memory_store_and_files_are_separate(manager, cache_dir):
    """Entries in memory are not in the files of the same directory."""
    fill(manager_of(cache_dir, store="memory"), "openai/gpt-4o/a")
    assert manager.get("a") is None
