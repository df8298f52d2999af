"""A lease is had by one process at a time, and never longer than that process lives."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from spark_cache.core.process_lock import KeyLocks
from spark_cache.errors import StoreError

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
    """A process that has a lease, killed at the end."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        asyncio.run(_leases(folder)._acquire_within(name, 0.0))
        os.write(told, b".")
        signal.pause()
        os._exit(1)
    try:
        os.read(ready, 1)
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(told)


pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


async def test_another_process_waits_for_this_key_alone(key_locks, folder):
    """While a process has the lease of a key, no other has it; another key's is free."""
    with _other_process(folder, "a"):
        assert not await _is_free(key_locks, "a")
        assert await _is_free(key_locks, "b")


async def test_a_dead_process_has_no_lease(key_locks, folder):
    """The lease of a process that was killed is free at once."""
    with _other_process(folder, "a") as child:
        os.kill(child, signal.SIGKILL)
        _until_dead(child)
        assert await _is_free(key_locks, "a")


async def test_the_body_runs_after_the_wait(key_locks, folder):
    """Who waits in vain for the patience it has goes on without the lease, and takes nobody's away."""
    with _other_process(folder, "a"):
        async with key_locks.held("a", timeout_seconds=0.05):
            pass
        assert not await _is_free(key_locks, "a")


async def test_a_lease_is_given_back(key_locks, folder):
    """After the body another process has the lease; within it, none."""
    async with key_locks.held("a", timeout_seconds=0.0):
        assert not _free_elsewhere(folder, "a")
    assert _free_elsewhere(folder, "a")


async def test_within_a_process_the_last_one_gives_it_back(key_locks, folder):
    """Two holders in one process: the first to end leaves the lease to the other."""
    async with key_locks.held("a", timeout_seconds=0.0):
        async with key_locks.held("a", timeout_seconds=0.0):
            pass
        assert not _free_elsewhere(folder, "a")
    assert _free_elsewhere(folder, "a")


async def test_a_cancelled_holder_gives_it_back(key_locks, folder):
    """Cancelling who holds a lease frees it."""

    async def hold() -> None:
        async with key_locks.held("a", timeout_seconds=0.0):
            await asyncio.sleep(60)

    holder = asyncio.ensure_future(hold())
    await asyncio.sleep(0)
    assert not _free_elsewhere(folder, "a")
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    assert _free_elsewhere(folder, "a")


async def test_a_forked_child_inherits_none(key_locks, folder):
    """A child may ask as little as any other process, and its end takes nothing from its parent."""
    async with key_locks.held("a", timeout_seconds=0.0):
        child = os.fork()
        if child == 0:
            key_locks.forget()
            # A loop of its own: the parent's goes on in the parent alone.
            asyncio._set_running_loop(None)
            free = asyncio.run(_is_free(key_locks, "a"))
            os._exit(1 if free else 0)
        assert _succeeds(child)
        assert not _free_elsewhere(folder, "a")


async def test_a_deleted_file_is_made_anew(key_locks, folder):
    """Deleting the file costs a lease, not the next one."""
    assert await _is_free(key_locks, "a")
    (folder / "leases").unlink()
    async with key_locks.held("a", timeout_seconds=0.0):
        assert not _free_elsewhere(folder, "a")


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), StoreError("write", "not ours")])
async def test_without_leases_the_body_runs(tmp_path, fault):
    """A directory that offers no leases is told of, and keeps nobody from asking."""
    told = []

    def prepare() -> None:
        raise fault

    key_locks = KeyLocks(str(tmp_path / "missing" / "leases"), prepare=prepare, on_fault=told.append)
    ran = False
    async with key_locks.held("a", timeout_seconds=5.0):
        ran = True
    assert ran
    assert told == [fault]


async def test_a_link_in_place_of_the_file_is_not_followed(folder, tmp_path):
    """Nothing outside the directory is opened, let alone locked."""
    folder.mkdir()
    (folder / "leases").symlink_to(tmp_path / "elsewhere")
    told = []
    async with _leases(folder, told.append).held("a", timeout_seconds=0.0):
        pass
    assert len(told) == 1
    assert not (tmp_path / "elsewhere").exists()


def _free_elsewhere(folder: Path, name: str) -> bool:
    """Whether another process could have a lease now."""
    child = os.fork()
    if child == 0:
        asyncio._set_running_loop(None)
        os._exit(0 if asyncio.run(_is_free(_leases(folder), name)) else 1)
    return _succeeds(child)


def _succeeds(child: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _until_dead(child: int) -> None:
    """Wait for the end of a process, and leave its status to whoever started it."""
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
