"""The state of a forked child."""

from __future__ import annotations

import os
import signal
import threading
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
    opened = directory.store
    locks = [directory._faults_lock]
    if isinstance(opened, FileStore):
        parts = opened._layout, opened._index, opened._scan_maintenance, opened.leases
        locks += [opened._one_writer, *(part._lock for part in parts)]
    else:
        locks.append(opened._lock)
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


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_waits_for_a_write_of_the_savings(tmp_path):
    """No fork happens while a thread uses SQLite, because the child would wait forever for a mutex of the library."""
    manager = CacheManager(CacheConfig(enabled=True, cache_dir=tmp_path / "cache"))
    directory = open_directory(str(manager.cache_dir), manager.config, clock=time.time, sink=StructlogSink())
    begun, written = threading.Event(), threading.Event()

    def write():
        with directory.savings._writing:
            begun.set()
            time.sleep(0.2)
            written.set()

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        os._exit(0)
    waited = written.is_set()
    writer.join()
    os.waitpid(child, 0)
    assert waited
