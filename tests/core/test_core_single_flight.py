"""Equal calls that come together are one call, whatever happens to it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from spark_cache.core.single_flight import SingleFlight

_LONG = 30.0
_ME = object()


class _Calls:
    """A call that counts how often it is made, and ends when it is told to."""

    def __init__(self) -> None:
        self.count = 0
        self.cancelled = 0
        self.begun = threading.Event()
        self.go = threading.Event()

    async def __call__(self) -> str:
        self.count += 1
        number = self.count
        self.begun.set()
        try:
            while not self.go.is_set():  # noqa: ASYNC110 - set from any thread
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return f"answer {number}"


class _ProviderError(Exception):
    pass


async def _until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.001)


def _share(single_flight: SingleFlight, call, *, key="key", client=_ME, timeout=_LONG):
    return single_flight.share(key, call, client=client, timeout_seconds=timeout)


async def test_equal_calls_are_one_and_different_ones_are_not():
    """A hundred equal and a hundred different calls at once make a hundred and one."""
    single_flight, made = SingleFlight(), []

    def call(name):
        async def make():
            made.append(name)
            await asyncio.sleep(0.01)
            return name

        return make

    names = ["same"] * 100 + [f"other {number}" for number in range(100)]
    answers = await asyncio.gather(*(_share(single_flight, call(name), key=name) for name in names))
    assert answers == names
    assert sorted(made) == sorted(set(names))


async def test_a_later_call_is_made_anew():
    """Only calls that come together are shared: flights keep no answers."""
    single_flight, calls = SingleFlight(), _Calls()
    calls.go.set()
    assert [await _share(single_flight, calls), await _share(single_flight, calls)] == [
        "answer 1",
        "answer 2",
    ]


async def test_nothing_is_kept_of_a_call_that_is_over():
    """The board of calls under way is empty when none is."""
    single_flight, calls = SingleFlight(), _Calls()
    calls.go.set()
    await asyncio.gather(*(_share(single_flight, calls) for _ in range(5)))
    assert single_flight._calls == {}


def test_threads_with_loops_of_their_own_share_a_call():
    """Event loops in several threads make one call, and each gets its answer."""
    single_flight, calls = SingleFlight(), _Calls()

    async def ask():
        return await _share(single_flight, calls)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(asyncio.run, ask()) for _ in range(8)]
        assert calls.begun.wait(10)
        _wait_for(lambda: _waiting(single_flight) == 8)
        calls.go.set()
        assert [each.result(10) for each in asked] == ["answer 1"] * 8
    assert calls.count == 1


async def test_an_exception_goes_to_every_waiter_of_the_client():
    """What one client's call raises, all its waiters raise, after a single call."""
    single_flight, made = SingleFlight(), []

    async def fail():
        made.append(1)
        await asyncio.sleep(0.01)
        raise _ProviderError

    results = await asyncio.gather(*(_share(single_flight, fail) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [_ProviderError] * 5
    assert made == [1]


async def test_an_exception_stays_with_its_client():
    """Another client makes its own attempt when the call it waited for fails."""
    single_flight = SingleFlight()
    started = asyncio.Event()

    async def fail():
        started.set()
        await asyncio.sleep(0.01)
        raise _ProviderError

    async def answer():
        return "mine"

    failing = asyncio.create_task(_share(single_flight, fail, client="one"))
    await started.wait()
    assert await _share(single_flight, answer, client="two") == "mine"
    with pytest.raises(_ProviderError):
        await failing


async def test_a_timeout_of_the_call_is_an_exception_like_others():
    """A ``TimeoutError`` that the call itself raises reaches every waiter, and is not taken for lost patience."""
    single_flight, made = SingleFlight(), []

    async def fail():
        made.append(1)
        await asyncio.sleep(0.01)
        raise TimeoutError("provider")

    results = await asyncio.gather(*(_share(single_flight, fail) for _ in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["provider"] * 3
    assert made == [1]


async def test_cancelling_a_waiter_leaves_the_call_to_the_others():
    """One who stops waiting takes nothing from the rest."""
    single_flight, calls = SingleFlight(), _Calls()
    tasks = [asyncio.create_task(_share(single_flight, calls)) for _ in range(3)]
    await _until(lambda: _waiting(single_flight) == 3)
    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    calls.go.set()
    assert [await tasks[0], await tasks[2]] == ["answer 1"] * 2
    assert calls.count == 1


async def test_cancelling_the_one_who_made_the_call_leaves_it_to_the_others():
    """The call goes on when its first asker is cancelled, as long as somebody waits."""
    single_flight, calls = SingleFlight(), _Calls()
    tasks = [asyncio.create_task(_share(single_flight, calls)) for _ in range(3)]
    await _until(lambda: _waiting(single_flight) == 3)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    calls.go.set()
    assert [await tasks[1], await tasks[2]] == ["answer 1"] * 2
    assert (calls.count, calls.cancelled) == (1, 0)


async def test_the_last_waiter_takes_the_call_along():
    """A call that nobody waits for any more is cancelled, and the next one is made anew."""
    single_flight, calls = SingleFlight(), _Calls()
    tasks = [asyncio.create_task(_share(single_flight, calls)) for _ in range(3)]
    await _until(lambda: _waiting(single_flight) == 3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await _until(lambda: calls.cancelled == 1)
    calls.go.set()
    assert await _share(single_flight, calls) == "answer 2"


async def test_a_call_that_cancels_itself_raises_that():
    """A call that raises ``CancelledError`` of its own accord raises it to its asker, and is not made again."""
    single_flight, made = SingleFlight(), []

    async def give_up():
        made.append(1)
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await _share(single_flight, give_up)
    assert made == [1]


async def test_a_cancelled_call_is_no_answer_for_others():
    """Those who waited for a call that was cancelled from outside make their own."""
    single_flight, calls = SingleFlight(), _Calls()
    first = asyncio.create_task(_share(single_flight, calls))
    await _until(calls.begun.is_set)
    second = asyncio.create_task(_share(single_flight, calls))
    await _until(lambda: _waiting(single_flight) == 2)
    (flight,) = single_flight._calls.values()
    flight.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    calls.go.set()
    assert await second == "answer 2"


async def test_a_call_cancelled_before_its_first_step_is_off_the_board():
    """A call that never came to run holds up nobody."""
    single_flight, calls = SingleFlight(), _Calls()
    calls.go.set()
    asking = asyncio.create_task(_share(single_flight, calls))
    await asyncio.sleep(0)
    (flight,) = single_flight._calls.values()
    flight.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert calls.count == 0
    async with asyncio.timeout(5):
        assert await _share(single_flight, calls) == "answer 1"


async def test_patience_ends_in_a_call_of_ones_own():
    """A waiter whose patience ends makes its own call, and whoever comes next does not wait for the slow one."""
    single_flight, slow, quick = SingleFlight(), _Calls(), _Calls()
    quick.go.set()
    first = asyncio.create_task(_share(single_flight, slow))
    await _until(slow.begun.is_set)
    assert await _share(single_flight, quick, timeout=0.02) == "answer 1"
    async with asyncio.timeout(5):
        assert await _share(single_flight, quick) == "answer 2"
    slow.go.set()
    assert await first == "answer 1"


async def test_patience_does_not_bound_ones_own_call():
    """Patience is for somebody else's call: one's own takes as long as it takes."""
    single_flight, made = SingleFlight(), []

    async def slow():
        made.append(1)
        await asyncio.sleep(0.05)
        return "answer"

    assert await _share(single_flight, slow, timeout=0.001) == "answer"
    assert made == [1]


def test_a_closed_loop_holds_up_nobody():
    """A call whose event loop was closed under it is made anew by the next who asks."""
    single_flight, calls = SingleFlight(), _Calls()
    loop = asyncio.new_event_loop()
    task = loop.create_task(_share(single_flight, calls))
    loop.run_until_complete(_until(calls.begun.is_set))
    (flight,) = single_flight._calls.values()
    loop.close()
    calls.go.set()
    assert asyncio.run(asyncio.wait_for(_share(single_flight, calls), 5)) == "answer 2"
    _forget_quietly(task, flight.task)


def test_an_answer_for_a_closed_loop_is_no_fault(caplog, capfd):
    """Where a waiter's loop was closed meanwhile, the others get their answer and nothing is printed or logged."""
    single_flight, calls = SingleFlight(), _Calls()
    other = asyncio.new_event_loop()

    async def main():
        mine = asyncio.create_task(_share(single_flight, calls))
        await _until(calls.begun.is_set)
        waiter = await asyncio.to_thread(_begin_waiting_and_close, other, single_flight, calls)
        calls.go.set()
        return await mine, waiter

    with caplog.at_level(logging.INFO):
        answer, waiter = asyncio.run(main())
    assert answer == "answer 1"
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
    _forget_quietly(waiter)


def _begin_waiting_and_close(loop, single_flight, calls):
    waiter = loop.create_task(_share(single_flight, calls))
    loop.run_until_complete(_until(lambda: _waiting(single_flight) == 2))
    loop.close()
    return waiter


def _forget_quietly(*tasks) -> None:
    """Let go of tasks that can never end, without the complaint that asyncio makes of them."""
    for task in tasks:
        task._log_destroy_pending = False
        task.get_coro().close()
    gc.collect()


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="eager tasks came with Python 3.12")
async def test_eager_tasks_are_welcome():
    """A loop that begins tasks at once runs a call that never waits, and one that asks again."""
    single_flight = SingleFlight()
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)

    async def at_once():
        return "inner"

    async def nested():
        return await _share(single_flight, at_once, key="inner")

    assert await _share(single_flight, nested) == "inner"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_begins_with_none():
    """A child process makes its own call while the parent's is under way, also where the lock was held at the fork."""
    single_flight, calls = SingleFlight(), _Calls()

    async def main():
        mine = asyncio.create_task(_share(single_flight, calls))
        await _until(calls.begun.is_set)
        single_flight._lock.acquire()
        child = os.fork()
        if child == 0:
            # As if the thread that holds the lock had stayed behind: nobody releases it here.
            os._exit(0 if _answers_alone(single_flight) else 1)
        single_flight._lock.release()
        calls.go.set()
        assert await mine == "answer 1"
        return child

    child = asyncio.run(main())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _answers_alone(single_flight: SingleFlight) -> bool:
    answers = []

    def ask():
        calls = _Calls()
        calls.go.set()
        answers.append(asyncio.run(_share(single_flight, calls)))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(10)
    return answers == ["answer 1"]


def _waiting(single_flight: SingleFlight) -> int:
    with single_flight._lock:
        return sum(len(flight.waiting) for flight in single_flight._calls.values())


def _wait_for(condition) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)
