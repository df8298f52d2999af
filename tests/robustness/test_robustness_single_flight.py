"""One call per missing key, across processes and whatever becomes of the one that makes it."""

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
from openai import AsyncOpenAI  # loaded before the start, so that all ask at once

cache_dir, base_url, patience, tasks = sys.argv[1:]

async def main():
    config = CacheConfig(enabled=True, cache_dir=cache_dir, lock_timeout_seconds=float(patience))
    model = OpenAIModel(
        "gpt-4o", cache_config=config, client_args={"base_url": base_url, "api_key": "test", "max_retries": 0}
    )
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    question = [{"role": "user", "content": "What is Python?"}]
    responses = await asyncio.gather(*(model.get_text(question) for _ in range(int(tasks))))
    await model.aclose()
    answers = sorted({response.content for response in responses})
    print(json.dumps({"answers": answers, "seconds": time.monotonic() - begun}), flush=True)

asyncio.run(main())
"""
"""A program that asks one question many times at once."""


class _Asker:
    """A process that asks when it is told to."""

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

    def ask(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        result: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert self.process.wait(10) == 0
        return result


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., list[_Asker]]]:
    """Starts processes that are ready to ask; what still runs at the end is killed."""
    with ExitStack() as stack:

        def start(base_url: str, *, count: int, timeout: float = 60.0, tasks: int = 1) -> list[_Asker]:
            askers = [
                _Asker(tmp_path / "cache", base_url, timeout=timeout, tasks=tasks) for _ in range(count)
            ]
            for asker in askers:
                stack.enter_context(asker.process)
                stack.callback(asker.process.kill)
            for asker in askers:
                asker.ready()
            return askers

        yield start


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_many_tasks_of_many_processes_make_one_call(start):
    """Eight processes with fifty tasks each ask for the same missing key: one call, and its answer for everybody."""
    with StandInProvider(latency_seconds=1.0) as provider:
        askers = start(provider.base_url, count=_PROCESSES, tasks=_TASKS)
        for asker in askers:
            asker.ask()
        answers = [asker.result()["answers"] for asker in askers]
    assert provider.calls == 1
    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0]) == 1


def test_the_calls_would_meet_without_leases(start, tmp_path):
    """The same processes make a call each where the directory offers no leases: the test above could fail."""
    hidden = tmp_path / "cache" / ".spark-cache"
    hidden.mkdir(parents=True, mode=0o700)
    hidden.parent.chmod(0o700)
    (hidden / "leases").mkdir()
    with StandInProvider(latency_seconds=1.0) as provider:
        askers = start(provider.base_url, count=3, tasks=2)
        for asker in askers:
            asker.ask()
        assert all(len(asker.result()["answers"]) == 1 for asker in askers)
    assert provider.calls == 3


def test_the_lease_of_a_killed_process_is_free(start):
    """While the process that asks is killed, the one that waits asks in its place at once."""
    with StandInProvider(latency_seconds=2.0) as provider:
        first, second = start(provider.base_url, count=2, tasks=10)
        first.ask()
        _until(lambda: provider.calls == 1)
        second.ask()
        time.sleep(0.2)
        first.process.kill()
        result = second.result()
    assert provider.calls == 2
    assert result["seconds"] < 30


def test_a_stopped_process_is_waited_for_no_longer_than_the_lock_timeout(start):
    """The process that asks hangs: all tasks of the one that waits have their answer, by one call, after the timeout."""
    with StandInProvider(latency_seconds=0.5) as provider:
        first, second = start(provider.base_url, count=2, timeout=1.0, tasks=10)
        first.ask()
        _until(lambda: provider.calls == 1)
        os.kill(first.process.pid, signal.SIGSTOP)
        second.ask()
        result = second.result()
        os.kill(first.process.pid, signal.SIGCONT)
        assert first.result()["answers"] == result["answers"]
    assert provider.calls == 2
    assert 1.0 <= result["seconds"] < 15


def test_a_lease_file_that_was_deleted_costs_no_answer(start, tmp_path):
    """Somebody deletes the hidden folder while calls are under way: everybody gets an answer."""
    with StandInProvider(latency_seconds=1.0) as provider:
        first, second = start(provider.base_url, count=2)
        first.ask()
        _until(lambda: provider.calls == 1)
        (tmp_path / "cache" / ".spark-cache" / "leases").unlink()
        second.ask()
        assert first.result()["answers"] == second.result()["answers"]
    assert provider.calls == 2
