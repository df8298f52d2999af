"""Listeners receive every event, whatever the application logs."""

from __future__ import annotations

import logging

import pytest

from spark_cache import CacheConfig, CacheManager
from spark_cache.events.listeners import listening

ANSWER = {"content": "Yes.", "stop_reason": "end_turn", "usage": None}


class Listener:
    """A sink that records the names of the events it receives."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def wants(self, _level: int) -> bool:
        """Accept every event."""
        return True

    def emit(self, event) -> None:
        """Record the name of the event."""
        self.names.append(event.name)


@pytest.fixture
def manager(tmp_path):
    return CacheManager(CacheConfig(enabled=True, cache_dir=tmp_path / "cache"))


def use(manager):
    """Cause a miss, a store and a hit."""
    key = manager.generate_cache_key("openai", "gpt-4o", [{"role": "user", "content": "Is it?"}])
    manager.get(key)
    manager.set(key, "openai", "gpt-4o", None, ANSWER)
    manager.get(key)


def test_a_listener_receives_events_that_are_not_logged(manager, caplog):
    """The level of the logger does not hide events from a listener."""
    caplog.set_level(logging.ERROR, logger="spark_cache")
    listener = Listener()

    with listening(listener):
        use(manager)

    assert listener.names == ["cache.miss", "cache.store", "cache.hit"]
    assert caplog.records == []


def test_a_listener_receives_events_that_are_logged(manager, caplog):
    """With a listener, each event is still logged once."""
    caplog.set_level(logging.INFO, logger="spark_cache")
    listener = Listener()

    with listening(listener):
        use(manager)

    assert [record.getMessage().split()[0] for record in caplog.records] == listener.names


def test_a_listener_receives_nothing_after_the_block(manager):
    """The end of the ``with`` block removes the listener."""
    listener = Listener()
    with listening(listener):
        pass

    use(manager)

    assert listener.names == []


def test_listeners_can_be_nested(manager):
    """Each listener receives the events of its own block."""
    outer, inner = Listener(), Listener()

    with listening(outer):
        with listening(inner):
            use(manager)
        use(manager)

    assert (len(inner.names), len(outer.names)) == (3, 6)
