"""Simultaneous equal calls are one call, whatever happens to it."""

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
    """A call that counts how often it is made, and ends when told."""

    def __init__(self) -> None:
        self.count = 0
        self.cancelled = 0
        self.started = threading.Event()
        self.go = threading.Event()

    async def __call__(self) -> str:
        self.count += 1
        number = self.count
        self.started.set()
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


async def _share(single_flight: SingleFlight, call, *, key="key", client=_ME, seconds=_LONG):
    async def for_keys(_flight, keys):
        assert keys == [key]
        return {key: await call()}

    results, _ = await single_flight.share([key], for_keys, client=client, timeout_seconds=seconds)
    return results[key]


async def test_equal_calls_are_shared_and_different_ones_are_not():
    """A hundred equal and a hundred different simultaneous calls make a hundred and one."""
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


async def test_a_later_call_is_made_again():
    """Only simultaneous calls are shared: single flight keeps no results."""
    single_flight, calls = SingleFlight(), _Calls()
    calls.go.set()
    assert [await _share(single_flight, calls), await _share(single_flight, calls)] == [
        "answer 1",
        "answer 2",
    ]


async def test_nothing_is_kept_of_a_finished_call():
    """No call is registered when none is running."""
    single_flight, calls = SingleFlight(), _Calls()
    calls.go.set()
    await asyncio.gather(*(_share(single_flight, calls) for _ in range(5)))
    assert single_flight.running_count == 0


def test_threads_with_separate_loops_share_a_call():
    """Event loops in several threads make one call, and each gets its result."""
    single_flight, calls = SingleFlight(), _Calls()

    async def ask():
        return await _share(single_flight, calls)

    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(asyncio.run, ask()) for _ in range(8)]
        assert calls.started.wait(10)
        _wait_for(lambda: _waiting(single_flight) == 8)
        calls.go.set()
        assert [each.result(10) for each in results] == ["answer 1"] * 8
    assert calls.count == 1


async def test_an_exception_is_raised_for_every_waiter_of_the_client():
    """All waiters of a client raise the exception of its call, which is made once."""
    single_flight, made = SingleFlight(), []

    async def fail():
        made.append(1)
        await asyncio.sleep(0.01)
        raise _ProviderError

    results = await asyncio.gather(*(_share(single_flight, fail) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [_ProviderError] * 5
    assert made == [1]


async def test_an_exception_stays_with_its_client():
    """Another client makes its own attempt if the call that it waits for fails."""
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


async def test_a_timeout_error_of_the_call_reaches_every_waiter():
    """A ``TimeoutError`` that the call raises reaches every waiter and is not confused with a timeout of the wait."""
    single_flight, made = SingleFlight(), []

    async def fail():
        made.append(1)
        await asyncio.sleep(0.01)
        raise TimeoutError("provider")

    results = await asyncio.gather(*(_share(single_flight, fail) for _ in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["provider"] * 3
    assert made == [1]


async def test_cancelling_a_waiter_does_not_cancel_the_call():
    """Cancelling one waiter does not affect the others."""
    single_flight, calls = SingleFlight(), _Calls()
    tasks = [asyncio.create_task(_share(single_flight, calls)) for _ in range(3)]
    await _until(lambda: _waiting(single_flight) == 3)
    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    calls.go.set()
    assert [await tasks[0], await tasks[2]] == ["answer 1"] * 2
    assert calls.count == 1


async def test_cancelling_the_first_caller_does_not_cancel_the_call():
    """The call continues after its first caller is cancelled, as long as another waits."""
    single_flight, calls = SingleFlight(), _Calls()
    tasks = [asyncio.create_task(_share(single_flight, calls)) for _ in range(3)]
    await _until(lambda: _waiting(single_flight) == 3)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    calls.go.set()
    assert [await tasks[1], await tasks[2]] == ["answer 1"] * 2
    assert (calls.count, calls.cancelled) == (1, 0)


async def test_cancelling_the_last_waiter_cancels_the_call():
    """A call without waiters is cancelled, and the next one is made again."""
    single_flight, calls = SingleFlight(), _Calls()
    tasks = [asyncio.create_task(_share(single_flight, calls)) for _ in range(3)]
    await _until(lambda: _waiting(single_flight) == 3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await _until(lambda: calls.cancelled == 1)
    calls.go.set()
    assert await _share(single_flight, calls) == "answer 2"


async def test_a_call_that_raises_cancelled_error():
    """A call that itself raises ``CancelledError`` raises it for its caller, and is not made again."""
    single_flight, made = SingleFlight(), []

    async def give_up():
        made.append(1)
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await _share(single_flight, give_up)
    assert made == [1]


async def test_waiters_of_a_cancelled_call_make_their_own():
    """Waiters of a call that was cancelled from outside make their own calls."""
    single_flight, calls = SingleFlight(), _Calls()
    first = asyncio.create_task(_share(single_flight, calls))
    await _until(calls.started.is_set)
    second = asyncio.create_task(_share(single_flight, calls))
    await _until(lambda: _waiting(single_flight) == 2)
    (running,) = single_flight._flights.values()
    running.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    calls.go.set()
    assert await second == "answer 2"


async def test_a_call_cancelled_before_its_first_step_is_removed():
    """A call that never ran does not block others."""
    single_flight, calls = SingleFlight(), _Calls()
    calls.go.set()
    caller = asyncio.create_task(_share(single_flight, calls))
    await asyncio.sleep(0)
    (running,) = single_flight._flights.values()
    running.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert calls.count == 0
    async with asyncio.timeout(5):
        assert await _share(single_flight, calls) == "answer 1"


async def test_a_waiter_that_times_out_makes_its_own_call():
    """After the timeout a waiter makes its own call, and later callers do not wait for the slow one."""
    single_flight, slow, quick = SingleFlight(), _Calls(), _Calls()
    quick.go.set()
    first = asyncio.create_task(_share(single_flight, slow))
    await _until(slow.started.is_set)
    assert await _share(single_flight, quick, seconds=0.02) == "answer 1"
    async with asyncio.timeout(5):
        assert await _share(single_flight, quick) == "answer 2"
    slow.go.set()
    assert await first == "answer 1"


async def test_the_timeout_does_not_limit_the_callers_own_call():
    """The timeout applies to another caller's call only."""
    single_flight, made = SingleFlight(), []

    async def slow():
        made.append(1)
        await asyncio.sleep(0.05)
        return "answer"

    assert await _share(single_flight, slow, seconds=0.001) == "answer"
    assert made == [1]


def test_a_call_of_a_closed_loop_is_made_again():
    """If the event loop of a call was closed, the next caller makes the call again."""
    single_flight, calls = SingleFlight(), _Calls()
    loop = asyncio.new_event_loop()
    task = loop.create_task(_share(single_flight, calls))
    loop.run_until_complete(_until(calls.started.is_set))
    (running,) = single_flight._flights.values()
    loop.close()
    calls.go.set()
    assert asyncio.run(asyncio.wait_for(_share(single_flight, calls), 5)) == "answer 2"
    _discard_tasks(task, running.task)


def test_a_waiter_with_a_closed_loop_is_ignored(caplog, capfd):
    """If a waiter's loop was closed meanwhile, the others get their result and nothing is printed or logged."""
    single_flight, calls = SingleFlight(), _Calls()
    other = asyncio.new_event_loop()

    async def main():
        mine = asyncio.create_task(_share(single_flight, calls))
        await _until(calls.started.is_set)
        waiter = await asyncio.to_thread(_start_waiting_and_close, other, single_flight, calls)
        calls.go.set()
        return await mine, waiter

    with caplog.at_level(logging.INFO):
        answer, waiter = asyncio.run(main())
    assert answer == "answer 1"
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
    _discard_tasks(waiter)


def _start_waiting_and_close(loop, single_flight, calls):
    waiter = loop.create_task(_share(single_flight, calls))
    loop.run_until_complete(_until(lambda: _waiting(single_flight) == 2))
    loop.close()
    return waiter


def _discard_tasks(*tasks) -> None:
    """Discard tasks that can never end, without asyncio's warning about them."""
    for task in tasks:
        task._log_destroy_pending = False
        task.get_coro().close()
    gc.collect()


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="eager tasks came with Python 3.12")
async def test_eager_tasks():
    """A loop with eager tasks runs a call that never waits, and a nested one."""
    single_flight = SingleFlight()
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)

    async def at_once():
        return "inner"

    async def nested():
        return await _share(single_flight, at_once, key="inner")

    assert await _share(single_flight, nested) == "inner"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_starts_with_none():
    """A child process makes its own call while the parent's is running, even if the lock was held at the fork."""
    single_flight, calls = SingleFlight(), _Calls()

    async def main():
        mine = asyncio.create_task(_share(single_flight, calls))
        await _until(calls.started.is_set)
        single_flight._lock.acquire()
        child = os.fork()
        if child == 0:
            # As if another thread held the lock: only the parent has that thread, so the child cannot release it.
            os._exit(0 if _makes_its_own_call(single_flight) else 1)
        single_flight._lock.release()
        calls.go.set()
        assert await mine == "answer 1"
        return child

    child = asyncio.run(main())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _makes_its_own_call(single_flight: SingleFlight) -> bool:
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
        return sum(len(running.waiters) for running in single_flight._flights.values())


def _wait_for(condition) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


async def test_a_batch_joins_the_calls_that_are_running():
    """A batch makes the calls for its other keys itself, in one call, and waits for the rest."""
    single_flight, made = SingleFlight(), []
    go = asyncio.Event()

    async def call(_flight, keys):
        made.append(list(keys))
        await go.wait()
        return {key: f"{key} of {len(keys)}" for key in keys}

    def share(keys):
        return single_flight.share(keys, call, client=_ME, timeout_seconds=_LONG)

    tasks = [asyncio.create_task(share(keys)) for keys in (["a", "b"], ["b", "c", "d"], ["d"])]
    await _until(lambda: len(made) == 2)
    go.set()
    results = [answers for answers, _ in await asyncio.gather(*tasks)]
    assert made == [["a", "b"], ["c", "d"]]
    assert results == [
        {"a": "a of 2", "b": "b of 2"},
        {"b": "b of 2", "c": "c of 2", "d": "d of 2"},
        {"d": "d of 2"},
    ]
    assert single_flight.running_count == 0


async def test_clients_of_a_failed_call_make_theirs_side_by_side():
    """If a call fails, each other client makes one call for all its waiters, at the same time as the others."""
    single_flight = SingleFlight()
    running, most, made, leases = 0, 0, [], []

    async def fail(flight, _keys):
        nonlocal running, most
        made.append(flight.client)
        leases.append(flight.needs_lease)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        raise _ProviderError

    clients = [client for client in "abcd" for _ in range(3)]
    results = await asyncio.gather(
        *(single_flight.share(["key"], fail, client=client, timeout_seconds=_LONG) for client in clients),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [_ProviderError] * 12
    assert made == ["a", "b", "c", "d"]
    assert most == 3
    assert leases == [True, False, False, False]


async def test_waiters_of_other_clients_are_released():
    """If another process failed for which all clients waited, none of them waits for another client too."""
    single_flight, made = SingleFlight(), []
    go = asyncio.Event()

    async def call(flight, keys):
        made.append(flight.client)
        if flight.client == "a":
            await _until(lambda: _waiting(single_flight) == 3)
            single_flight.release_others(flight)
        await go.wait()
        return dict.fromkeys(keys, flight.client)

    tasks = [
        asyncio.create_task(single_flight.share(["key"], call, client=client, timeout_seconds=_LONG))
        for client in "aab"
    ]
    await _until(lambda: len(made) == 2)
    go.set()
    assert [answers["key"] for answers, _ in await asyncio.gather(*tasks)] == ["a", "a", "b"]


def test_a_stopped_loop_frees_its_waiters():
    """If the event loop of a call stops, the callers in other loops make one call of theirs at once."""
    single_flight, calls = SingleFlight(), _Calls()
    loop = asyncio.new_event_loop()
    task = loop.create_task(_share(single_flight, calls))
    loop.run_until_complete(_until(calls.started.is_set))
    (running,) = single_flight._flights.values()
    started, waiting = time.monotonic(), threading.Event()

    def keep_running():
        loop.run_until_complete(asyncio.to_thread(waiting.wait, 10))
        loop.close()

    async def others():
        tasks = [asyncio.create_task(_share(single_flight, calls)) for _ in range(3)]
        await _until(lambda: len(running.waiters) == 4)
        waiting.set()
        await _until(lambda: calls.count == 2)
        calls.go.set()
        return await asyncio.gather(*tasks)

    thread = threading.Thread(target=keep_running)
    thread.start()
    _wait_for(loop.is_running)
    assert asyncio.run(others()) == ["answer 2"] * 3
    thread.join(10)
    assert time.monotonic() - started < _LONG / 2
    _discard_tasks(task, running.task)
