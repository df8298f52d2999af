"""Run all operations on one directory from many processes and threads: ``soak_harness.py SECONDS [PROCESSES THREADS]``.

Print the results as JSON.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from typing import Any

from spark_cache import CacheConfig, CacheManager
from spark_cache.stores import block_size
from spark_cache.types import CacheKey

_KEYS = 300
_CAP_MB = 2
_LARGEST = 60_000
"""The length of the longest response, in characters."""

_NO_FAULT = frozenset({"absent", "expired"})
_MODELS = ("gpt-4o", "gpt-4o-mini")


def _config(cache_dir: str) -> CacheConfig:
    return CacheConfig(
        enabled=True,
        cache_dir=cache_dir,
        max_cache_size_mb=_CAP_MB,
        cleanup_interval_seconds=0.5,
        allow_plaintext=True,
    )


def _key(number: int) -> CacheKey:
    return CacheKey(f"{number:064x}", "openai", _MODELS[number % len(_MODELS)], {})


def _answer(number: int, version: int) -> dict[str, Any]:
    part = f"<{number}:{version}>"
    return {
        "content": part * (1 + version * _LARGEST // 1000 // len(part)),
        "stop_reason": "end_turn",
        "usage": None,
    }


def _is_whole(number: int, answer: dict[str, Any]) -> bool:
    version = int(answer["content"].split(">", 1)[0].split(":")[1])
    return answer == _answer(number, version)


def _work(manager: CacheManager, seed: int, until: float, done: Counter[str]) -> None:
    """Run random operations, mostly reads and writes."""
    chance = random.Random(seed)
    while time.monotonic() < until:
        number = chance.randrange(_KEYS)
        key = _key(number)
        operation = chance.random()
        if operation < 0.6:
            answer = manager.get(key)
            done["hits" if answer is not None else "misses"] += 1
            done["wrong"] += answer is not None and not _is_whole(number, answer)
        elif operation < 0.95:
            ttl = chance.choice((None, None, 0.5))
            answer = _answer(number, chance.randrange(1000))
            done[
                "stored"
                if manager.set(key, "openai", key.model_id, None, answer, ttl_seconds=ttl)
                else "lost"
            ] += 1
        elif operation < 0.97:
            done["removed"] += manager.remove_entry(key)
        elif operation < 0.98:
            done["stats"] += manager.get_stats()["total_entries"] >= 0
        elif operation < 0.99:
            done["cleaned"] += manager.cleanup_expired()
        elif operation < 0.993:
            done["cleared"] += manager.clear_model("openai", _MODELS[0])


def _process(cache_dir: str, threads: int, seconds: float, seed: int, out: int) -> None:
    manager = CacheManager(_config(cache_dir))
    until = time.monotonic() + seconds
    counts = [Counter[str]() for _ in range(threads)]
    errors: list[str] = []

    def work(number: int) -> None:
        try:
            _work(manager, seed * 100 + number, until, counts[number])
        except BaseException as error:
            errors.append(repr(error))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    # By now every operation has run, so memory and open files should not grow any further.
    time.sleep(seconds / 3)
    memory, files = _memory(), _open_files()
    for worker in workers:
        worker.join()
    manager.flush()
    total = sum(counts, Counter[str]())
    misses = manager.get_stats()["misses_by_reason"]
    result = {
        **total,
        "wrong": total["wrong"],
        "lost": total["lost"],
        "torn": sum(count for reason, count in misses.items() if reason not in _NO_FAULT),
        "errors": errors,
        "memory_grown": _memory() - memory,
        "files_grown": _open_files() - files,
    }
    os.write(out, json.dumps(result).encode() + b"\n")


def _memory() -> int:
    """Return the resident memory of this process, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _occupied(cache_dir: str) -> int:
    """Return the number of bytes that the entries currently occupy."""
    total = 0
    for model in _MODELS:
        folder = os.path.join(cache_dir, "openai", model)
        try:
            with os.scandir(folder) as listing:
                for item in listing:
                    try:
                        total += block_size(item.stat(follow_symlinks=False).st_size)
                    except FileNotFoundError:
                        continue
        except FileNotFoundError:
            continue
    return total


def run(cache_dir: str, seconds: float, processes: int, threads: int) -> dict[str, Any]:
    """Run the processes, and monitor the size of the directory meanwhile.

    Args:
        cache_dir: The cache directory.
        seconds: The duration of the run.
        processes: The number of processes.
        threads: The number of threads in each process.
    """
    incoming, out = os.pipe()
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            try:
                _process(cache_dir, threads, seconds, number, out)
            finally:
                os._exit(0)
        children.append(child)
    os.close(out)
    largest = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        largest = max(largest, _occupied(cache_dir))
        time.sleep(0.02)
    with os.fdopen(incoming) as lines:
        seen = [json.loads(line) for line in lines]
    for child in children:
        os.waitpid(child, 0)
    names = {name for result in seen for name in result} - {"errors", "memory_grown", "files_grown"}
    stats = CacheManager(_config(cache_dir)).get_stats()
    return {
        "processes": len(seen),
        **{name: sum(result.get(name, 0) for result in seen) for name in sorted(names)},
        "errors": [error for result in seen for error in result["errors"]],
        "memory_grown": max(result["memory_grown"] for result in seen),
        "files_grown": max(result["files_grown"] for result in seen),
        "largest": largest,
        "allowed": _CAP_MB * 2**20 + processes * threads * block_size(_LARGEST + 4096),
        "miscounted": stats["total_size_bytes"] - _occupied(cache_dir),
    }


if __name__ == "__main__":
    arguments = [float(argument) for argument in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        workers = (int(number) for number in arguments[1:] or (8, 4))
        print(json.dumps(run(os.path.join(folder, "cache"), arguments[0], *workers)))
