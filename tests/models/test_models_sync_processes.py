"""The synchronous methods in forked children, in interrupted programs, and at the end of a program."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from subprocess import PIPE

import pytest
from models_world import QUESTION, ask, send_next, server_sent
from sync_world import NAMES, SECONDS, model_of

from spark_cache.testing import StandInProvider


@pytest.fixture(autouse=True)
def aws_keys(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", NAMES)
def test_a_forked_child_makes_calls_of_its_own(provider, cache_dir, name):
    """It does so whatever other threads of the parent do, whose calls go on."""
    model = model_of(name, provider.base_url, cache_dir)
    model.get_text_sync(QUESTION)
    provider._latency_seconds = 0.3
    slow, results = ask("Slow?"), []
    thread = threading.Thread(target=lambda: results.append(model.get_text_sync(slow)))
    thread.start()
    while provider.calls < 2:
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        works = model.get_text_sync(QUESTION).cached and not model.get_text_sync(ask("Child?")).cached
        model.close()
        os._exit(0 if works else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join(SECONDS)
    assert not results[0].cached
    assert model.get_text_sync(ask("Child?")).cached
    assert model.get_text_sync(ask("Parent?")).content
    model.close()


@contextlib.contextmanager
def program(code, *arguments):
    """Run a program of which the first lines are those of :data:`_START`, and end it if it does not end by itself."""
    command = [sys.executable, "-c", _START + code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


_START = """
import os, sys, threading, time
from spark_cache import OpenAIModel

args = {"base_url": sys.argv[1], "api_key": "test", "max_retries": 0}
model = OpenAIModel("gpt-4o", enable_cache=True, cache_dir=sys.argv[2], client_args=args)
slow = [{"role": "user", "content": "Slow?"}]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("call", ["model.get_text_sync(slow)", "list(model.stream_text_sync(slow))"])
def test_an_interrupt_cancels_the_call(cache_dir, call):
    """The program can go on. Its next call is one of its own."""
    code = f"""
try:
    {call}
except KeyboardInterrupt:
    print("interrupted")
while model.cache.calls.single_flight.running_count:
    time.sleep(0.01)
args["base_url"] = sys.argv[3]
with OpenAIModel("gpt-4o", enable_cache=True, cache_dir=sys.argv[2], client_args=args) as other:
    print(other.get_text_sync(slow).cached)
model.close()
"""
    with (
        StandInProvider(latency_seconds=60) as slow,
        StandInProvider() as fast,
        program(code, slow.base_url, cache_dir, fast.base_url) as running,
    ):
        wait_for_call(slow, running)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=SECONDS)
    assert (out.split(), err, running.returncode) == (["interrupted", "False"], "", 0)


def wait_for_call(provider, running):
    """Wait until a program has sent a request."""
    while provider.calls == 0 and running.poll() is None:
        time.sleep(0.01)
    # The signal arrives while the program waits for the response.
    time.sleep(0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_an_interrupted_program_ends(cache_dir):
    """It reports the interrupt as any other program."""
    with (
        StandInProvider(latency_seconds=60) as slow,
        program("model.get_text_sync(slow)", slow.base_url, cache_dir) as running,
    ):
        wait_for_call(slow, running)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=SECONDS)
    assert running.returncode == -signal.SIGINT
    assert err.count("Traceback") == 1
    assert err.endswith("KeyboardInterrupt\n")


@pytest.mark.parametrize(
    "code",
    [
        "threading.Thread(target=model.get_text_sync, args=(slow,), daemon=True).start()",
        "stream = model.stream_text_sync(slow); threading.Thread(target=next, args=(stream,), daemon=True).start()",
    ],
    ids=["call", "stream"],
)
def test_a_program_ends_while_a_call_runs(cache_dir, code):
    """A daemon thread does not keep it, and nothing is reported."""
    with (
        StandInProvider(latency_seconds=60) as slow,
        program(code + "\nsys.stdin.readline()", slow.base_url, cache_dir) as running,
    ):
        wait_for_call(slow, running)
        out, err = running.communicate(timeout=SECONDS)
    assert (out, err, running.returncode) == ("", "", 0)


def test_a_program_ends_with_an_open_stream(cache_dir, provider):
    """Nothing is reported."""
    gate = send_next(
        provider, server_sent([{"choices": [{"index": 0, "delta": {"content": "Python"}}]}]), None
    )
    with program(
        "stream = model.stream_text_sync(slow)\nprint(next(stream).text)", provider.base_url, cache_dir
    ) as running:
        out, err = running.communicate(timeout=SECONDS)
    gate.set()
    assert (out, err, running.returncode) == ("Python\n", "", 0)
