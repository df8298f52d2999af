"""Looking on: what a test tool is told, whatever the application logs."""

from __future__ import annotations

import logging

import pytest

from spark_cache import CacheConfig, CacheManager
from spark_cache.events.listeners import listening

ANSWER = {"content": "Yes.", "stop_reason": "end_turn", "usage": None}


class Watcher:
    """Keeps the names of the events it is given."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def wants(self, _level: int) -> bool:
        """Every event is wanted."""
        return True

    def emit(self, event) -> None:
        """Keep its name."""
        self.names.append(event.name)


@pytest.fixture
def manager(tmp_path):
    return CacheManager(CacheConfig(enabled=True, cache_dir=tmp_path / "cache"))


def use(manager):
    """Miss, store and hit."""
    key = manager.generate_cache_key("openai", "gpt-4o", [{"role": "user", "content": "Is it?"}])
    manager.get(key)
    manager.set(key, "openai", "gpt-4o", None, ANSWER)
    manager.get(key)


def test_a_watcher_sees_what_is_not_logged(manager, caplog):
    """An application that lets nothing through is not asked."""
    caplog.set_level(logging.ERROR, logger="spark_cache")
    watcher = Watcher()

    with listening(watcher):
        use(manager)

    assert watcher.names == ["cache.miss", "cache.store", "cache.hit"]
    assert caplog.records == []


def test_a_watcher_sees_what_is_logged(manager, caplog):
    """What is logged is logged all the same, once."""
    caplog.set_level(logging.INFO, logger="spark_cache")
    watcher = Watcher()

    with listening(watcher):
        use(manager)

    assert [record.getMessage().split()[0] for record in caplog.records] == watcher.names


def test_nobody_is_told_afterwards(manager):
    """With the block the looking ends."""
    watcher = Watcher()
    with listening(watcher):
        pass

    use(manager)

    assert watcher.names == []


def test_several_watch_at_once(manager):
    """Each sees what happens while it looks."""
    outer, inner = Watcher(), Watcher()

    with listening(outer):
        with listening(inner):
            use(manager)
        use(manager)

    assert (len(inner.names), len(outer.names)) == (3, 6)
