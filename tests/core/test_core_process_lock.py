"""Only one process at a time holds a lease, and a lease ends with its process."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from spark_cache.errors import StoreError
from spark_cache.stores.leases import KeyLocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _never(error: Exception) -> None:
    raise AssertionError(error)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "hidden"


@pytest.fixture
def key_locks(folder) -> KeyLocks:
    return _leases(folder)


def _leases(folder: Path, on_fault=_never) -> KeyLocks:
    return KeyLocks(
        str(folder / "leases"), prepare=lambda: folder.mkdir(exist_ok=True, parents=True), on_fault=on_fault
    )


async def _is_free(key_locks: KeyLocks, name: str) -> bool:
    had = await key_locks._acquire_within(name, 0.0)
    if had:
        key_locks._release(name)
    return had


@contextmanager
def _other_process(folder: Path, name: str) -> Iterator[int]:
    """Run a process that holds a lease, and kill it at the end."""
    ready, signal_ready = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        asyncio.run(_leases(folder)._acquire_within(name, 0.0))
        os.write(signal_ready, b".")
        signal.pause()
        os._exit(1)
    try:
        os.read(ready, 1)
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(signal_ready)


pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


async def test_another_process_waits_for_this_key_only(key_locks, folder):
    """While a process holds the lease for a key, no other process can take it. The leases of other keys are free."""
    with _other_process(folder, "a"):
        assert not await _is_free(key_locks, "a")
        assert await _is_free(key_locks, "b")


async def test_a_dead_process_has_no_lease(key_locks, folder):
    """The lease of a killed process is free at once."""
    with _other_process(folder, "a") as child:
        os.kill(child, signal.SIGKILL)
        _until_dead(child)
        assert await _is_free(key_locks, "a")


async def test_the_body_runs_after_the_timeout(key_locks, folder):
    """After the timeout the body runs without the lease, and the holder keeps it."""
    with _other_process(folder, "a"):
        async with key_locks.held("a", timeout_seconds=0.05):
            pass
        assert not await _is_free(key_locks, "a")


async def test_a_lease_is_released(key_locks, folder):
    """Another process can take the lease after the body, but not while it runs."""
    async with key_locks.held("a", timeout_seconds=0.0):
        assert not _is_free_elsewhere(folder, "a")
    assert _is_free_elsewhere(folder, "a")


async def test_the_last_holder_in_a_process_releases_the_lease(key_locks, folder):
    """If two callers in a process hold a lease, the first to finish leaves it to the other."""
    async with key_locks.held("a", timeout_seconds=0.0):
        async with key_locks.held("a", timeout_seconds=0.0):
            pass
        assert not _is_free_elsewhere(folder, "a")
    assert _is_free_elsewhere(folder, "a")


async def test_a_cancelled_holder_releases_the_lease(key_locks, folder):
    """Cancelling the holder of a lease releases it."""

    async def hold() -> None:
        async with key_locks.held("a", timeout_seconds=0.0):
            await asyncio.sleep(60)

    holder = asyncio.ensure_future(hold())
    await asyncio.sleep(0)
    assert not _is_free_elsewhere(folder, "a")
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    assert _is_free_elsewhere(folder, "a")


async def test_a_forked_child_inherits_no_lease(key_locks, folder):
    """A child is excluded like any other process, and its exit does not release the parent's lease."""
    async with key_locks.held("a", timeout_seconds=0.0):
        child = os.fork()
        if child == 0:
            key_locks.forget()
            # The child needs a new loop: the parent's continues only in the parent.
            asyncio._set_running_loop(None)
            free = asyncio.run(_is_free(key_locks, "a"))
            os._exit(1 if free else 0)
        assert _succeeds(child)
        assert not _is_free_elsewhere(folder, "a")


async def test_a_deleted_file_is_created_again(key_locks, folder):
    """Deleting the file loses the current lease, but not the next one."""
    assert await _is_free(key_locks, "a")
    (folder / "leases").unlink()
    async with key_locks.held("a", timeout_seconds=0.0):
        assert not _is_free_elsewhere(folder, "a")


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), StoreError("write", "not ours")])
async def test_without_leases_the_body_runs(tmp_path, fault):
    """A directory that does not support locks is reported, and the body still runs."""
    faults = []

    def prepare() -> None:
        raise fault

    key_locks = KeyLocks(str(tmp_path / "missing" / "leases"), prepare=prepare, on_fault=faults.append)
    ran = False
    async with key_locks.held("a", timeout_seconds=5.0):
        ran = True
    assert ran
    assert faults == [fault]


async def test_a_link_in_place_of_the_file_is_not_followed(folder, tmp_path):
    """Nothing outside the directory is opened, let alone locked."""
    folder.mkdir()
    (folder / "leases").symlink_to(tmp_path / "elsewhere")
    faults = []
    async with _leases(folder, faults.append).held("a", timeout_seconds=0.0):
        pass
    assert len(faults) == 1
    assert not (tmp_path / "elsewhere").exists()


def _is_free_elsewhere(folder: Path, name: str) -> bool:
    """Return whether another process could take a lease now."""
    child = os.fork()
    if child == 0:
        asyncio._set_running_loop(None)
        os._exit(0 if asyncio.run(_is_free(_leases(folder), name)) else 1)
    return _succeeds(child)


def _succeeds(child: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _until_dead(child: int) -> None:
    """Wait for a process to end, without collecting its status."""
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
