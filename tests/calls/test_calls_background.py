"""Work in the background: it does not block the loop, it is not lost, and a forked child has its own thread."""

from __future__ import annotations

import asyncio
import os
import signal
import textwrap
import threading
from contextvars import ContextVar

import pytest
from models_world import run_python

from spark_cache.calls.background import in_background

_LABEL: ContextVar[str] = ContextVar("_LABEL")


async def test_the_loop_runs_meanwhile():
    """Work in the background blocks neither the event loop nor its result."""
    go = threading.Event()
    work = asyncio.create_task(in_background(lambda: go.wait(10)))
    await asyncio.sleep(0.01)
    assert not work.done()
    go.set()
    assert await work


async def test_context_and_errors():
    """The work sees the context variables of its caller, and the caller gets its exception."""
    _LABEL.set("mine")
    assert await in_background(_LABEL.get) == "mine"
    with pytest.raises(ZeroDivisionError):
        await in_background(lambda: 1 // 0)


async def test_a_cancelled_caller_loses_nothing():
    """What has begun is finished, although its caller was cancelled."""
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        go.wait(10)
        done.set()

    caller = asyncio.create_task(in_background(work))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go.set()
    assert await asyncio.to_thread(done.wait, 10)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_a_forked_child():
    """A child, which has no threads, starts its own."""
    assert await in_background(lambda: True)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        asyncio._set_running_loop(None)
        os._exit(0 if asyncio.run(in_background(lambda: True)) else 1)
    assert await asyncio.to_thread(lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])) == 0


def test_at_exit():
    """Work that comes after the threads have ended is done at once."""
    program = """
        import asyncio, atexit, threading
        from spark_cache.calls.background import in_background

        asyncio.run(in_background(lambda: None))
        atexit.register(lambda: print(asyncio.run(in_background(lambda: threading.current_thread().name))))
    """
    assert run_python(textwrap.dedent(program)).stdout == "MainThread\n"
