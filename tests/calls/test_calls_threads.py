"""Synchronous callers: one event loop for all threads, and work that the loop has for the thread of a caller."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
import weakref
from contextvars import ContextVar

import pytest

from spark_cache.calls.threads import CallerThread, SyncStream

_SECONDS = 10
"""How long a test waits for another thread before it fails."""

variable = ContextVar("variable", default="default")


async def succeed():
    return "done"


async def fail():
    raise ValueError("no")


@pytest.fixture
def held():
    """A coroutine function that waits until it is cancelled, and the events that mark its start and its end."""

    class Held:
        def __init__(self) -> None:
            self.started, self.ended = threading.Event(), threading.Event()

        async def __call__(self) -> None:
            self.started.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.set()

    return Held()


# -- run ------------------------------------------------------------------------------------------------------


def test_all_threads_share_one_event_loop():
    """The loop runs in a thread of its own."""

    async def where():
        return asyncio.get_running_loop(), threading.get_ident()

    found = []
    threads = [threading.Thread(target=lambda: found.append(CallerThread().run(where()))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {CallerThread().run(where())}
    assert found[0][1] != threading.get_ident()


def test_the_coroutine_sees_the_context_variables_of_the_caller():
    """It works on a copy of them."""

    async def read_and_change():
        found = variable.get()
        variable.set("changed")
        return found, await asyncio.create_task(read())

    async def read():
        return variable.get()

    token = variable.set("mine")
    try:
        assert CallerThread().run(read_and_change()) == ("mine", "changed")
        assert variable.get() == "mine"
    finally:
        variable.reset(token)
    assert CallerThread().run(read()) == "default"


def test_an_error_is_raised_with_its_traceback():
    """It leads from the caller to the line that failed."""
    with pytest.raises(ValueError, match="no") as caught:
        CallerThread().run(fail())
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[0] == "test_an_error_is_raised_with_its_traceback"
    assert names[-1] == "fail"


def test_an_error_is_freed_when_it_has_been_handled():
    """It does not wait for the garbage collector with everything that its frames refer to."""

    class FailedError(Exception):
        pass

    async def fail():
        raise FailedError

    gc.disable()
    try:
        try:
            CallerThread().run(fail())
        except FailedError as error:
            freed = weakref.ref(error)
        CallerThread().run(succeed())
        assert freed() is None
    finally:
        gc.enable()


def test_the_event_loop_cannot_wait_for_itself():
    """The caller is told so instead."""

    async def call():
        return CallerThread().run(succeed())

    with pytest.raises(RuntimeError, match="await the async method instead"):
        CallerThread().run(call())


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_coroutine_that_exits_does_not_end_the_event_loop(kind):
    """Its caller gets the exception. The loop still serves others."""

    async def leave():
        raise kind

    with pytest.raises(kind):
        CallerThread().run(leave())
    assert CallerThread().run(succeed()) == "done"


# -- work in the thread of the caller -------------------------------------------------------------------------


def test_work_runs_in_the_thread_of_the_caller():
    """The event loop gets the result, or the error."""
    thread = CallerThread()

    def refuse():
        raise LookupError("nothing here")

    async def work():
        first = await thread.do(threading.get_ident)
        with pytest.raises(LookupError, match="nothing here"):
            await thread.do(refuse)
        return first, await thread.do(variable.get)

    token = variable.set("mine")
    try:
        assert thread.run(work()) == (threading.get_ident(), "mine")
    finally:
        variable.reset(token)


def test_work_may_make_a_synchronous_call():
    """The event loop is free while it waits for the work."""
    thread = CallerThread()

    async def work():
        return await thread.do(lambda: CallerThread().run(succeed()))

    assert thread.run(work()) == "done"


def test_interrupted_work_cancels_the_coroutine():
    """The coroutine can still clean up in the thread of the caller. The interrupt does not reach the event loop."""
    thread, cleaned_in = CallerThread(), []

    def interrupt():
        raise KeyboardInterrupt

    async def work():
        try:
            await thread.do(interrupt)
        finally:
            await thread.do(lambda: cleaned_in.append(threading.get_ident()))

    with pytest.raises(KeyboardInterrupt):
        thread.run(work())
    assert cleaned_in == [threading.get_ident()]
    assert CallerThread().run(succeed()) == "done"


def test_interrupted_work_for_another_task_is_cancelled():
    """A task that outlasts the call, because others wait for it, does not wait forever."""
    thread, tasks = CallerThread(), []

    def interrupt():
        raise KeyboardInterrupt

    async def work():
        tasks.append(asyncio.create_task(thread.do(interrupt)))
        await asyncio.shield(tasks[0])

    async def end():
        await asyncio.wait(tasks, timeout=_SECONDS)
        return tasks[0].cancelled()

    with pytest.raises(KeyboardInterrupt):
        thread.run(work())
    assert CallerThread().run(end())


def test_work_is_done_elsewhere_after_the_caller_has_left():
    """Others may wait for the response, whether the work was there before or came later."""
    thread, tasks = CallerThread(), []

    async def queue_work():
        tasks.append(asyncio.create_task(thread.do(threading.get_ident)))
        await asyncio.sleep(0)

    async def results():
        return [await tasks[0], await thread.do(threading.get_ident)]

    CallerThread().run(queue_work())
    thread.leave()
    assert threading.get_ident() not in CallerThread().run(results())


# -- streams --------------------------------------------------------------------------------------------------


@pytest.fixture
def numbers(held):
    """A generator function that yields two numbers, and then waits until it is closed."""

    async def generate():
        waiting = asyncio.create_task(held())
        try:
            yield 1
            yield 2
            await waiting
        finally:
            waiting.cancel()
            await asyncio.wait([waiting])

    return generate


def test_a_stream_yields_the_items_of_a_generator():
    """It ends with the generator, and stays at its end."""

    async def generate():
        yield 1
        yield None

    stream = SyncStream(generate())
    assert list(stream) == [1, None]
    assert list(stream) == []


def test_an_error_of_the_generator_is_raised():
    """It is raised where the stream breaks."""

    async def generate():
        yield 1
        raise ValueError("no")

    stream = SyncStream(generate())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="no"):
        next(stream)


def test_a_closed_stream_has_ended(numbers, held):
    """Closing waits for the generator."""
    stream = SyncStream(numbers())
    assert next(stream) == 1
    stream.close()
    assert held.ended.is_set()
    assert list(stream) == []
    stream.close()


def test_a_dropped_stream_is_closed(numbers, held):
    """Nothing waits for it."""
    for _ in SyncStream(numbers()):
        break
    assert held.started.wait(_SECONDS)
    assert held.ended.wait(_SECONDS)


def test_a_stream_may_change_threads(numbers):
    """A web server reads it in whichever thread is free."""
    stream, found = SyncStream(numbers()), []
    for _ in range(2):
        thread = threading.Thread(target=lambda: found.append(next(stream)))
        thread.start()
        thread.join()
    stream.close()
    assert found == [1, 2]
