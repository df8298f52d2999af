"""One call per missing key across processes, even if the process that makes the call is killed or stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from spark_cache.testing import StandInProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PROCESSES = 8
_TASKS = 50

_ASK = """
import asyncio, json, os, sys, time
from spark_cache import CacheConfig, OpenAIModel
from openai import AsyncOpenAI  # imported before the start, so that all processes call at the same time

cache_dir, base_url, timeout, tasks = sys.argv[1:]

async def main():
    config = CacheConfig(enabled=True, cache_dir=cache_dir, lock_timeout_seconds=float(timeout))
    model = OpenAIModel(
        "gpt-4o", cache_config=config, client_args={"base_url": base_url, "api_key": "test", "max_retries": 0}
    )
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    question = [{"role": "user", "content": "What is Python?"}]
    calls = (model.get_text(question) for _ in range(int(tasks)))
    results = await asyncio.gather(*calls, return_exceptions=True)
    await model.aclose()
    answers = sorted({getattr(result, "content", type(result).__name__) for result in results})
    print(json.dumps({"answers": answers, "seconds": time.monotonic() - begun}), flush=True)

asyncio.run(main())
"""
"""A program that makes many equal calls at the same time."""


class _Caller:
    """A process that makes its calls on request."""

    def __init__(self, cache_dir: Path, base_url: str, *, timeout: float, tasks: int) -> None:
        arguments = [str(cache_dir), base_url, str(timeout), str(tasks)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_ASK), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def call(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        result: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert self.process.wait(10) == 0
        return result


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., list[_Caller]]]:
    """Return a function that starts processes which are ready to call; kill those still running at the end."""
    with ExitStack() as stack:

        def start(base_url: str, *, count: int, timeout: float = 60.0, tasks: int = 1) -> list[_Caller]:
            callers = [
                _Caller(tmp_path / "cache", base_url, timeout=timeout, tasks=tasks) for _ in range(count)
            ]
            for caller in callers:
                stack.enter_context(caller.process)
                stack.callback(caller.process.kill)
            for caller in callers:
                caller.ready()
            return callers

        yield start


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_many_tasks_of_many_processes_make_one_call(start):
    """Eight processes with fifty tasks each request the same missing key: one call is made, and all tasks get its response."""
    with StandInProvider(latency_seconds=1.0) as provider:
        callers = start(provider.base_url, count=_PROCESSES, tasks=_TASKS)
        for caller in callers:
            caller.call()
        answers = [caller.result()["answers"] for caller in callers]
    assert provider.calls == 1
    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0]) == 1


def test_each_process_makes_a_call_without_waiting(start):
    """If nothing waits for another process, each makes its own call, which proves that the test above can fail."""
    with StandInProvider(latency_seconds=1.0) as provider:
        callers = start(provider.base_url, count=3, timeout=0.001)
        for caller in callers:
            caller.call()
        assert all(len(caller.result()["answers"]) == 1 for caller in callers)
    assert provider.calls == 3


def test_the_lease_of_a_killed_process_is_free(start):
    """If the calling process is killed, the waiting process sees it within 1.5 seconds and makes the call."""
    with StandInProvider(latency_seconds=2.0) as provider:
        first, second = start(provider.base_url, count=2, tasks=10)
        first.call()
        _until(lambda: provider.calls == 1)
        second.call()
        time.sleep(0.2)
        first.process.kill()
        result = second.result()
    assert provider.calls == 2
    assert result["seconds"] < 30


@pytest.mark.parametrize("status", [200, 500])
def test_nobody_waits_behind_a_call_that_gives_nothing(start, status):
    """If a call fails, or its response is cut off and not stored, all who waited make their own calls at the same time."""
    cut = {"content": "Once upon", "finish_reason": "length"}
    with StandInProvider(latency_seconds=1.0, answer=lambda _body: cut) as provider:
        callers = start(provider.base_url, count=_PROCESSES)
        if status != 200:
            provider.fail_next(status, times=_PROCESSES)
        for caller in callers:
            caller.call()
        results = [caller.result() for caller in callers]
    assert provider.calls == _PROCESSES
    assert all(
        result["answers"] == ["Once upon" if status == 200 else "InternalServerError"] for result in results
    )
    # One after the other, they would take eight seconds.
    assert max(result["seconds"] for result in results) < 7


def test_a_stopped_process_is_waited_for_no_longer_than_the_lock_timeout(start):
    """If the calling process hangs, the waiting process makes one call after the timeout, for all its tasks."""
    with StandInProvider(latency_seconds=0.5) as provider:
        first, second = start(provider.base_url, count=2, timeout=1.0, tasks=10)
        first.call()
        _until(lambda: provider.calls == 1)
        os.kill(first.process.pid, signal.SIGSTOP)
        second.call()
        result = second.result()
        os.kill(first.process.pid, signal.SIGCONT)
        assert first.result()["answers"] == result["answers"]
    assert provider.calls == 2
    assert 1.0 <= result["seconds"] < 15


def test_a_deleted_lease_does_not_lose_a_response(start, tmp_path):
    """If the record of a lease is deleted while the call is in progress, every caller gets a response."""
    with StandInProvider(latency_seconds=1.0) as provider:
        first, second = start(provider.base_url, count=2)
        first.call()
        _until(lambda: provider.calls == 1)
        (record,) = (tmp_path / "cache" / ".spark-cache" / "locks").glob("*.lease")
        record.unlink()
        second.call()
        assert first.result()["answers"] == second.result()["answers"]
    assert provider.calls == 2
