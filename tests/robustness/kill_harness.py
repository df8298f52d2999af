"""Kill writers at random moments while other processes read: ``python kill_harness.py KILLS [careful|naive]``.

Print, as JSON, the number of reads and how many of them were torn or wrong.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from typing import Any

from spark_cache import CacheConfig, CacheManager
from spark_cache.core.directory import open_directory
from spark_cache.events import StructlogSink
from spark_cache.types import CacheKey

_KEYS = 12
_READERS = 2
_AT_ONCE = 2
_CAP_MB = 1
_SWEPT_BY_A_WRITE = 64
_SHORTEST, _LONGEST = 0.001, 0.012
"""The shortest and longest life of a writer, in seconds."""

_NO_FAULT = frozenset({"absent", "expired"})
"""The miss reasons that eviction and expiry explain; any other reason means that a torn entry was read."""


def _config(cache_dir: str) -> CacheConfig:
    # The cap is small, so writers evict constantly, and the interval is short, so they remove expired entries.
    return CacheConfig(
        enabled=True,
        cache_dir=cache_dir,
        max_cache_size_mb=_CAP_MB,
        cleanup_interval_seconds=0.05,
        allow_plaintext=True,
    )


def _key(number: int) -> CacheKey:
    return CacheKey(f"{number:064x}", "openai", "gpt-4o", {})


def _answer(number: int, version: int) -> dict[str, Any]:
    """Return a response that names its entry; its length depends on the version, so that a truncated one is detected."""
    text = f"<{number}:{version}>" * (500 + 97 * (version % 300))
    return {"content": text, "stop_reason": "end_turn", "usage": None}


def _is_whole(number: int, answer: dict[str, Any]) -> bool:
    version = int(answer["content"].split(">", 1)[0].split(":")[1])
    return answer == _answer(number, version)


def _write(cache_dir: str, kind: str, seed: int) -> None:
    """Write until killed."""
    chance = random.Random(seed)
    manager = CacheManager(_config(cache_dir))
    if kind == "naive":
        directory = open_directory(
            str(manager.cache_dir), manager.config, clock=time.time, sink=StructlogSink()
        )

        def write_many(entries, **_):  # type: ignore[no-untyped-def]
            for entry in entries:
                with open(directory.store.path(entry.address), "wb") as file:
                    file.write(entry.data)
            return [True] * len(entries)

        directory.store.write_many = write_many
    while True:
        number, version = chance.randrange(_KEYS), chance.randrange(10**6)
        ttl = chance.choice((None, 0.02))
        manager.set(_key(number), "openai", "gpt-4o", None, _answer(number, version), ttl_seconds=ttl)


def _read(cache_dir: str, out: int) -> None:
    """Read until stopped by SIGTERM, then report the counts."""
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    manager = CacheManager(_config(cache_dir).with_(mode="read-only"))
    reads = hits = wrong = 0
    number = 0
    while not stopped:
        number = (number + 1) % _KEYS
        answer = manager.get(_key(number))
        reads += 1
        hits += answer is not None
        wrong += answer is not None and not _is_whole(number, answer)
    misses = manager.get_stats()["misses_by_reason"]
    torn = sum(count for reason, count in misses.items() if reason not in _NO_FAULT)
    os.write(out, json.dumps({"reads": reads, "hits": hits, "torn": torn, "wrong": wrong}).encode() + b"\n")


def _start(work: Any, *arguments: Any) -> int:
    child = os.fork()
    if child == 0:
        try:
            work(*arguments)
        finally:
            os._exit(0)
    return child


def run(cache_dir: str, kills: int, kind: str) -> dict[str, int]:
    """Kill writers while other processes read, and return what the readers saw and what the writers left behind.

    Args:
        cache_dir: The cache directory, which is emptied first.
        kills: The number of writers to kill.
        kind: ``careful`` for the writers of the package, ``naive`` for writers that write in place.
    """
    chance = random.Random(7)
    shutil.rmtree(cache_dir, ignore_errors=True)
    # Readers need entries from the start, and a naive writer does not create folders.
    first = CacheManager(_config(cache_dir))
    for number in range(_KEYS):
        first.set(_key(number), "openai", "gpt-4o", None, _answer(number, number))
    first.flush()
    incoming, out = os.pipe()
    readers = [_start(_read, cache_dir, out) for _ in range(_READERS)]
    os.close(out)
    writers: list[int] = []
    for number in range(kills):
        writers.append(_start(_write, cache_dir, kind, number))
        time.sleep(chance.uniform(_SHORTEST, _LONGEST))
        if len(writers) == _AT_ONCE:
            _kill(writers.pop(chance.randrange(_AT_ONCE)))
    for writer in writers:
        _kill(writer)
    for reader in readers:
        os.kill(reader, signal.SIGTERM)
    with os.fdopen(incoming) as lines:
        seen = [json.loads(line) for line in lines]
    for reader in readers:
        os.waitpid(reader, 0)
    result = {name: sum(reader[name] for reader in seen) for name in seen[0]}
    return {**result, **_afterwards(cache_dir)}


def _kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def _afterwards(cache_dir: str) -> dict[str, int]:
    """Store more entries two hours after the last kill, until every leftover was seen, and return the state of the directory."""
    later = CacheManager(_config(cache_dir), clock=lambda: time.time() + 7200)
    scratch = os.path.join(cache_dir, ".spark-cache", "temporary")
    left = len(os.listdir(scratch))
    # Each write looks at some of the leftovers.
    stored = [
        later.set(_key(_KEYS), "openai", "gpt-4o", None, _answer(_KEYS, number))
        for number in range(1 + left // _SWEPT_BY_A_WRITE)
    ]
    stats = later.get_stats()
    counted = sum(1 for _ in later.entries())
    return {
        "temporary_files": left,
        "temporary_files_after_the_sweep": len(os.listdir(scratch)),
        "stored_afterwards": int(all(stored)),
        "miscounted": stats["total_entries"] - counted,
        "over_the_cap": max(0, stats["total_size_bytes"] - _CAP_MB * 2**20),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        kind = sys.argv[2] if len(sys.argv) > 2 else "careful"
        print(json.dumps(run(os.path.join(folder, "cache"), int(sys.argv[1]), kind)))
