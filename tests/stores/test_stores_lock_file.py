"""The lock between processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from spark_cache.stores.lock_file import LockFile

if TYPE_CHECKING:
    from pathlib import Path

PROCESSES = 4
STEPS = 150

COUNT = f"""
import sys, types
path, naive = sys.argv[1], sys.argv[2] == "naive"
if naive:
    stub = types.ModuleType("filelock")
    stub.Timeout = type("Timeout", (Exception,), {{}})
    stub.FileLock = lambda *_, **__: types.SimpleNamespace(acquire=lambda *_, **__: None, release=lambda: None)
    sys.modules["filelock"] = stub
from pathlib import Path
from spark_cache.stores.lock_file import LockFile
lock, counter = LockFile(path + ".lock"), Path(path)
for _ in range({STEPS}):
    lock.acquire(60)
    number = int(counter.read_text())
    counter.write_text(f"{{number + 1:06}}")
    lock.release()
"""

HOLD = """
import sys, time
from spark_cache.stores.lock_file import LockFile
lock = LockFile(sys.argv[1])
lock.acquire(60)
print("held", flush=True)
time.sleep(600)
"""

WITHOUT = """
import asyncio, sys

class NoFilelock:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "filelock":
            raise ModuleNotFoundError("No module named 'filelock'", name="filelock")

sys.meta_path.insert(0, NoFilelock())
from spark_cache import CacheConfig, CacheManager

manager = CacheManager(CacheConfig(enabled=True, cache_dir=sys.argv[1], max_cache_size_mb=1))
for number in range(20):
    key = manager.generate_cache_key("openai", "gpt-4o", [{"role": "user", "content": str(number)}])
    manager.set(key, "openai", "gpt-4o", None, {"content": "x", "number": number})
    assert manager.get(key)["number"] == number
assert manager.get_stats()["total_entries"] == 20
assert manager.remove_entry(key)
print(manager.cleanup_expired(), manager.clear_all())
"""


def counted(path: Path, kind: str) -> bool:
    """Count in several processes at once. Return whether no step was lost."""
    path.write_text("000000")
    command = [sys.executable, "-c", COUNT, str(path), kind]
    running = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(PROCESSES)]
    codes = [process.wait() for process in running]
    # Without a lock, a process may also read a number that another one is writing.
    return codes == [0] * PROCESSES and int(path.read_text()) == PROCESSES * STEPS


def test_the_lock_excludes_other_processes(tmp_path: Path) -> None:
    """Processes that count under the lock lose no step, and without it they do."""
    assert not counted(tmp_path / "naive", "naive")
    assert counted(tmp_path / "counter", "real")


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """The lock cannot be taken while its holder lives, and is free once the holder was killed."""
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    lock = LockFile(str(path))
    with pytest.raises(BlockingIOError):
        lock.acquire(0.05)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lock.acquire(10)
    lock.release()
    holder.stdout.close()


def test_the_cache_works_without_filelock(tmp_path: Path) -> None:
    """Every verb works without filelock, which only the rewriting of entries takes."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path / "cache")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 19\n", "")
