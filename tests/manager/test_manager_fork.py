"""The state of a forked child."""

from __future__ import annotations

import os
import signal
import time

import pytest

from spark_cache import CacheConfig, CacheManager
from spark_cache.core.directory import open_directory
from spark_cache.events import StructlogSink
from spark_cache.stores import FileStore

_ANSWER = {"content": "Paris.", "stop_reason": "end_turn", "usage": None}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("store", ["file", "memory"])
def test_a_child_does_not_wait_for_locks_that_its_parent_held(tmp_path, store):
    """The child stores and reads responses whatever another thread of the parent was doing."""
    manager = CacheManager(CacheConfig(enabled=True, cache_dir=tmp_path / "cache", store=store))
    directory = open_directory(str(manager.cache_dir), manager.config, clock=time.time, sink=StructlogSink())
    locks = [directory._faults_lock]
    if isinstance(directory.store, FileStore):
        keeper = directory.store._index
        locks += [directory.store._layout._lock, keeper._maintenance._lock, keeper._transaction.lock]
    else:
        locks.append(directory.store._lock)
    for lock in locks:
        lock.acquire()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        works = manager.set("ab", "openai", "gpt-4o", None, _ANSWER) and manager.get("ab") == _ANSWER
        directory.warn_once("write", "a fault", profile=None)
        os._exit(0 if works else 1)
    for lock in locks:
        lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
