"""Only one process at a time holds a lease, and nobody waits for a process that has nothing to give."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import threading
import time
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from spark_cache.core.entry_format import ENTRY_FORMAT
from spark_cache.errors import StoreError
from spark_cache.stores import ORPHAN_AGE, FileStore
from spark_cache.stores.leases import FileLeases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

_LONG = 30.0


def _never(error: Exception) -> None:
    raise AssertionError(error)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "locks"


@pytest.fixture
def leases(folder) -> FileLeases:
    return _leases(folder)


def _leases(folder: Path, on_fault=_never, clock=time.time) -> FileLeases:
    return FileLeases(
        str(folder), prepare=lambda: folder.mkdir(exist_ok=True), clock=clock, on_fault=on_fault
    )


async def _waits(leases: FileLeases, name: str, timeout_seconds: float = 0.0) -> bool:
    """Return whether a caller has to wait for another process."""
    async with leases.held(name, timeout_seconds=timeout_seconds) as has_waited:
        return has_waited


async def _seconds_of_a_wait(leases: FileLeases, name: str) -> float:
    started = time.monotonic()
    assert await _waits(leases, name, _LONG)
    return time.monotonic() - started


def _waits_elsewhere(folder: Path, name: str) -> bool:
    """Return whether another process would have to wait now."""
    with _child(lambda: asyncio.run(_waits(_leases(folder), name))) as child:
        return _is_true(child)


@contextmanager
def _child(work: Callable[[], object]) -> Iterator[int]:
    """Run some work in a forked child, whose exit code says whether the result is true."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        # The loop of the parent continues only in the parent.
        asyncio._set_running_loop(None)
        code = 2
        try:
            code = int(bool(work()))
        finally:
            os._exit(code)
    yield child


def _is_true(child: int) -> bool:
    """Wait for a child and return the result of its work."""
    code = _collect(child)
    assert code in (0, 1)
    return code == 1


def _collect(child: int) -> int:
    """Wait for a child to end and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextmanager
def _holder(folder: Path, *names: str) -> Iterator[int]:
    """Run a process that holds leases, and kill it at the end."""
    ready, signal_ready = os.pipe()

    async def hold() -> None:
        leases = _leases(folder)
        async with AsyncExitStack() as stack:
            for name in names:
                await stack.enter_async_context(leases.held(name, timeout_seconds=0.0))
            os.write(signal_ready, b".")
            await asyncio.sleep(60)

    with _child(lambda: asyncio.run(hold())) as child:
        try:
            os.read(ready, 1)
            yield child
        finally:
            _kill(child)
            _collect(child)
            os.close(ready)
            os.close(signal_ready)


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    _until_dead(child)


def _until_dead(child: int) -> None:
    """Wait for a child to end, without collecting its status."""
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)


async def test_another_process_waits_for_this_key_only(leases, folder):
    """A process waits for the holder of its key. The leases of other keys are free."""
    with _holder(folder, "a"):
        assert await _waits(leases, "a")
        assert not await _waits(leases, "b")


async def test_a_lease_ends_with_its_body(leases, folder):
    """Another process waits while the body runs and not afterwards, and no file is left."""
    async with leases.held("a", timeout_seconds=0.0) as has_waited:
        assert not has_waited
        assert _waits_elsewhere(folder, "a")
    assert not _waits_elsewhere(folder, "a")
    assert list(folder.iterdir()) == []


async def test_the_body_runs_after_the_timeout(leases, folder):
    """After the timeout the body runs without the lease, and the holder keeps it."""
    with _holder(folder, "a"):
        assert await _waits(leases, "a", 0.05)
        assert _waits_elsewhere(folder, "a")


async def test_all_who_wait_are_released_together(folder):
    """When the holder ends, all waiters run at once and without a lease, even if the key has a new one."""
    first, second = _leases(folder), _leases(folder)
    waiters = [_leases(folder) for _ in range(8)]
    async with asyncio.timeout(10):
        async with first.held("a", timeout_seconds=0.0):
            waits = [asyncio.create_task(_seconds_of_a_wait(each, "a")) for each in waiters]
            await asyncio.sleep(0.1)
        async with second.held("a", timeout_seconds=0.0) as has_waited:
            assert not has_waited
            assert max(await asyncio.gather(*waits)) < _LONG / 2


async def test_a_killed_holder_frees_those_who_wait(leases, folder):
    """A waiter sees within 1.5 seconds that the holder is dead, and the next caller gets the lease."""
    with _holder(folder, "a") as child:
        wait = asyncio.create_task(_seconds_of_a_wait(leases, "a"))
        await asyncio.sleep(0.1)
        killed = time.monotonic()
        _kill(child)
        await wait
        assert time.monotonic() - killed < 1.5
    assert not await _waits(leases, "a")


async def test_the_record_of_a_dead_process_stops_nobody(leases, folder):
    """A caller that finds the record of a dead process takes the lease at once."""
    with _holder(folder, "a") as child:
        _kill(child)
        async with leases.held("a", timeout_seconds=_LONG) as has_waited:
            assert not has_waited
            assert _waits_elsewhere(folder, "a")


async def test_a_stopped_holder_keeps_its_lease(leases, folder):
    """A process that is stopped holds its lease until the timeout of the waiter."""
    with _holder(folder, "a") as child:
        os.kill(child, signal.SIGSTOP)
        started = time.monotonic()
        assert await _waits(leases, "a", 0.7)
        assert time.monotonic() - started >= 0.7


async def test_a_closed_loop_frees_those_who_wait(folder):
    """A lease whose event loop stopped is released, although the process lives and nothing continues the call."""
    loop = asyncio.new_event_loop()
    leases = _leases(folder)
    context = leases.held("a", timeout_seconds=0.0)
    await asyncio.to_thread(loop.run_until_complete, context.__aenter__())
    loop.close()
    assert await _seconds_of_a_wait(_leases(folder), "a") < _LONG / 2
    async with _leases(folder).held("a", timeout_seconds=0.0):
        # The end of the body that nothing waited for does not end another lease.
        await context.__aexit__(None, None, None)
        assert _waits_elsewhere(folder, "a")


async def test_a_copied_directory_changes_nothing(leases, folder, tmp_path):
    """A program that copies the cache while it holds a lease keeps the lease, and the copy stops nobody."""
    async with leases.held("a", timeout_seconds=0.0):
        shutil.copytree(folder, tmp_path / "copy")
        assert _waits_elsewhere(folder, "a")
        assert not await _waits(_leases(tmp_path / "copy"), "a", _LONG)


async def test_a_process_does_not_wait_for_itself(leases, folder):
    """Within a process leases exclude nobody. The first body ends the lease."""
    async with leases.held("a", timeout_seconds=_LONG):
        assert not await _waits(leases, "a", _LONG)
        assert _waits_elsewhere(folder, "a")


async def test_a_cancelled_holder_releases_the_lease(leases, folder):
    """Cancelling the holder of a lease releases it."""

    async def hold() -> None:
        async with leases.held("a", timeout_seconds=0.0):
            await asyncio.sleep(60)

    holder = asyncio.create_task(hold())
    await asyncio.sleep(0)
    assert _waits_elsewhere(folder, "a")
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    assert not _waits_elsewhere(folder, "a")


async def test_a_forked_child_inherits_no_lease(leases, folder):
    """A child waits like any other process, and neither its exit nor its life changes the lease of the parent."""

    def child_waits() -> bool:
        leases.forget()
        return asyncio.run(_waits(leases, "a"))

    async with leases.held("a", timeout_seconds=0.0):
        with _child(child_waits) as child:
            assert _is_true(child)
        assert _waits_elsewhere(folder, "a")


async def test_a_lease_ends_with_its_process_and_not_with_its_children(leases, folder):
    """A child that outlives the process that held a lease does not keep the lease alive."""
    pids, sent = os.pipe()

    async def hold_and_fork() -> None:
        inner = _leases(folder)
        async with inner.held("a", timeout_seconds=0.0):
            if os.fork() == 0:
                inner.forget()
                os.write(sent, os.getpid().to_bytes(8, "big"))
                signal.alarm(30)
                signal.pause()
            signal.pause()

    with _child(lambda: asyncio.run(hold_and_fork())) as child:
        grandchild = int.from_bytes(os.read(pids, 8), "big")
        _kill(child)
        _collect(child)
    try:
        assert (folder / "a.lease").exists()
        assert not await _waits(leases, "a", _LONG)
    finally:
        os.kill(grandchild, signal.SIGKILL)
        os.close(pids)
        os.close(sent)


def test_threads(folder):
    """Threads with their own loops take and release leases at the same time, and none is left."""
    leases = _leases(folder)

    async def take_some(thread: int) -> None:
        for number in range(50):
            async with leases.held(f"{thread}-{number}", timeout_seconds=0.0) as has_waited:
                assert not has_waited
                await asyncio.sleep(0)

    failed: list[BaseException] = []

    def run(thread: int) -> None:
        try:
            asyncio.run(take_some(thread))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert leases.held_count == 0
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"nonsense", b"../../../etc/passwd 1", b"\xff" * 100], ids=range(4))
async def test_a_record_that_names_nobody_is_removed(leases, folder, content):
    """A record that its process did not finish, or that something else wrote, stops nobody for long."""
    folder.mkdir()
    (folder / "a.lease").write_bytes(content)
    assert await _seconds_of_a_wait(leases, "a") < _LONG / 2
    assert list(folder.iterdir()) == []


async def test_a_deleted_folder_is_created_again(leases, folder):
    """Deleting the folder loses the current lease, but not the next one."""
    async with leases.held("a", timeout_seconds=0.0):
        shutil.rmtree(folder)
        assert not _waits_elsewhere(folder, "a")
        async with leases.held("b", timeout_seconds=0.0):
            assert _waits_elsewhere(folder, "b")


async def test_leftovers_are_removed(folder):
    """The files of processes that were killed are removed after an hour, and those of a living process are not."""
    with _holder(folder, "dead", "forgotten") as dead, _holder(folder, "alive"):
        _kill(dead)
        assert len(list(folder.iterdir())) == 5
        for wait, left in ((ORPHAN_AGE / 2, 5), (ORPHAN_AGE * 2, 2)):
            later = _leases(folder, clock=lambda wait=wait: time.time() + wait)
            assert not await _waits(later, "other")
            assert len(list(folder.iterdir())) == left
        assert _waits_elsewhere(folder, "alive")


@pytest.mark.parametrize(
    "fault", [OSError(errno.ENOSPC, "No space left on device"), StoreError("write", "not ours")]
)
async def test_without_leases_the_body_runs(tmp_path, fault):
    """A directory that cannot have leases is reported, and the body still runs."""
    faults = []

    def prepare() -> None:
        raise fault

    leases = FileLeases(
        str(tmp_path / "missing" / "locks"), prepare=prepare, clock=time.time, on_fault=faults.append
    )
    assert not await _waits(leases, "a", _LONG)
    assert faults == [fault]


async def test_a_link_in_place_of_a_record_is_not_followed(leases, folder, tmp_path):
    """Nothing outside the folder is read or written."""
    folder.mkdir()
    outside = tmp_path / "outside"
    outside.write_text("0123456789abcdef 1")
    (folder / "a.lease").symlink_to(outside)
    await _seconds_of_a_wait(leases, "a")
    assert outside.read_text() == "0123456789abcdef 1"
    assert list(folder.iterdir()) == []


async def test_a_folder_that_leads_elsewhere_is_refused(tmp_path):
    """A folder for leases that is a link is reported, and nothing is written where it leads."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "cache" / ".spark-cache").mkdir(parents=True)
    (tmp_path / "cache" / ".spark-cache" / "locks").symlink_to(outside)
    faults = []
    store = FileStore(
        str(tmp_path / "cache"),
        clock=time.time,
        commit_entries=False,
        entry_format=ENTRY_FORMAT,
        on_removed=lambda *_: None,
        on_lease_fault=faults.append,
    )
    async with store.leases.held("a", timeout_seconds=_LONG) as has_waited:
        assert not has_waited
        assert list(outside.iterdir()) == []
    assert len(faults) == 1
