"""Tasks that are killed. They run as a separate program, so that the process of the tests is neither killed nor forked.

python encryption_harness.py steps TASK FOLDER    kill TASK at each of its system calls in turn
python encryption_harness.py traffic FOLDER SEED  rotate under live traffic, with processes killed and restarted
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from typing import TYPE_CHECKING

from encryption_world import CANARY, NEW, OLD, ask, encrypt_all, manager_of, put, turn

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = (
    *("open", "read", "write", "close", "replace", "link", "unlink", "mkdir", "rmdir", "chmod", "fchmod"),
    *("utime", "fsync", "stat", "lstat", "fstat", "scandir", "lseek", "pread", "pwrite", "ftruncate"),
)
"""The functions of ``os`` that make system calls when an entry is written or moved."""

QUESTIONS = 40
ROUNDS = 25


def store_sensitive(folder: str) -> None:
    """Store two sensitive responses, one of which replaces a plain one."""
    cache = manager_of(folder, NEW, encryption="sensitive", store_requests=True, fsync=True)
    for text in ("was plain", CANARY):
        put(cache, text, f"{CANARY} is the answer", sensitive=True)


def rotate_three(folder: str) -> None:
    """Rotate three entries."""
    turn(manager_of(folder, NEW, OLD), NEW, OLD)


def encrypt_plain(folder: str) -> None:
    """Encrypt plain entries."""
    encrypt_all(manager_of(folder, NEW), NEW)


TASKS = {"store": store_sensitive, "rotate": rotate_three, "encrypt": encrypt_plain}
BEFORE: dict[str, Callable[[str], object]] = {
    "store": lambda folder: put(manager_of(folder), "was plain", "in plain text"),
    "rotate": lambda folder: [put(manager_of(folder, OLD), text) for text in ("one", "two", "three")],
    "encrypt": lambda folder: [put(manager_of(folder), text) for text in ("one", "two", "three")],
}


def kill_at_each_step(name: str, folder: str) -> int:
    """Run a task in a fresh folder for each of its system calls, killed at that call. Return the number of runs."""
    step = 0
    while True:
        step += 1
        cache_dir = f"{folder}/{step:03}"
        BEFORE[name](cache_dir)
        child = os.fork()
        if child == 0:
            _kill_at(step)
            TASKS[name](cache_dir)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return step


def _kill_at(step: int) -> None:
    made = 0

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def called(*arguments: object, **options: object) -> object:
            nonlocal made
            made += 1
            if made == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return called

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def rotate_under_traffic(folder: str, seed: int) -> int:
    """Rotate while four processes read and write, and kill all of them at random. Return the number of wrong responses."""
    chance = random.Random(seed)
    old = manager_of(folder, OLD)
    for number in range(QUESTIONS):
        put(old, f"question {number}", f"question {number} at first")
    wrong_read, wrong_write = os.pipe()
    traffic = [_start(lambda: _use(folder, wrong_write)) for _ in range(4)]
    for _ in range(ROUNDS):
        rotating = _start(lambda: turn(manager_of(folder, NEW, OLD), NEW, OLD))
        time.sleep(chance.uniform(0.0, 0.02))
        _kill(rotating)
        victim = chance.randrange(4)
        _kill(traffic[victim])
        traffic[victim] = _start(lambda: _use(folder, wrong_write))
    os.waitpid(_start(lambda: turn(manager_of(folder, NEW, OLD), NEW, OLD)), 0)
    for process in traffic:
        _kill(process)
    os.close(wrong_write)
    return len(os.read(wrong_read, 65536))


def _use(folder: str, wrong: int) -> None:
    """Read and write for ever. Write a byte to the pipe for each wrong response."""
    cache = manager_of(folder, NEW, OLD)
    chance = random.Random(os.getpid())
    while True:
        text = f"question {chance.randrange(QUESTIONS)}"
        found = cache.get(ask(cache, text))
        if found is not None and not found["content"].startswith(f"{text} at"):
            os.write(wrong, b"!")
        if chance.random() < 0.2:
            put(cache, text, f"{text} at {time.time()}")


def _start(task: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        try:
            task()
        finally:
            os._exit(0)
    return child


def _kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


if __name__ == "__main__":
    if sys.argv[1] == "steps":
        print(kill_at_each_step(*sys.argv[2:]))
    else:
        print(rotate_under_traffic(sys.argv[2], int(sys.argv[3])))
