"""What an encrypted hit costs beyond a plain one, against what Fernet alone adds to it for the same answer.

    python benchmarks/encrypted_hit.py

The promise: an encrypted hit costs at most the plain hit plus 1.3 times a Fernet decryption of the same size. The decryption is
measured where it takes place: right after a plain hit. (In a loop of its own it is faster, as the processor then has nothing
else to keep at hand; that time is shown too.)

All are measured in turns, round after round, in short batches whose order changes, by the processor time of the thread. What
counts is the median of the differences within a round: a machine that is busy, or slows down, does so for the whole of a round.
Every hit is for another request than the one before.

Ends with exit code 1 when the promise is broken.
"""

from __future__ import annotations

import json
import sys
import tempfile
from itertools import cycle
from pathlib import Path
from statistics import median
from time import thread_time
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet

from spark_cache import CacheConfig, CacheManager

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache import CacheKey

SIZES = (200, 1_000, 4_000, 20_000, 100_000)
"""Lengths of the answer, in characters."""

REQUESTS = 16
ALLOWED = 1.3
ROUNDS = 200
BATCH_SECONDS = 0.001


def main() -> int:
    """Measure, print a table, and return the exit code."""
    print(f"{'':>9} {'plain':>8} {'encrypted':>10} {'Fernet after':>13} {'alone in':>9} {'extra /':>8}")
    print(f"{'answer':>9} {'hit':>8} {'hit':>10} {'a plain hit':>13} {'a loop':>9} {'Fernet':>8}")
    worst = max(measured(size) for size in SIZES)
    print(f"\nat most {worst:.2f} times a Fernet decryption on top of a plain hit; allowed is {ALLOWED}")
    return 0 if worst <= ALLOWED else 1


def measured(size: int) -> float:
    """Measure one size, print its row, and return the extra cost of encryption in Fernet decryptions."""
    key = Fernet.generate_key().decode()
    with tempfile.TemporaryDirectory() as plain_dir, tempfile.TemporaryDirectory() as sealed_dir:
        plain = CacheManager(CacheConfig(enabled=True, cache_dir=plain_dir))
        encrypted = CacheManager(
            CacheConfig(enabled=True, cache_dir=sealed_dir, encryption="all", encryption_keys=key)
        )
        keys = cycle([filled(number, size, plain, encrypted) for number in range(REQUESTS)])
        fernet, token = Fernet(key), token_in(Path(sealed_dir))
        rounds = timed_in_turns(
            lambda: plain.get(next(keys)),
            lambda: (plain.get(next(keys)), fernet.decrypt(token)),
            lambda: encrypted.get(next(keys)),
            lambda: fernet.decrypt(token),
        )
    plain_cost, _, sealed_cost, loop_cost = (median(costs) for costs in zip(*rounds, strict=True))
    fernet_cost = median(both - hit for hit, both, _, _ in rounds)
    extra = median(encrypted - hit for hit, _, encrypted, _ in rounds) / fernet_cost
    times = [f"{cost * 1e6:.1f} µs" for cost in (plain_cost, sealed_cost, fernet_cost, loop_cost)]
    print(f"{size:>9,} {times[0]:>8} {times[1]:>10} {times[2]:>13} {times[3]:>9} {extra:>8.2f}")
    return extra


def filled(number: int, size: int, *caches: CacheManager) -> CacheKey:
    """Store the answer of a request in each cache; its key."""
    key = caches[0].generate_cache_key("openai", "gpt-4o", [{"role": "user", "content": f"Hello {number}"}])
    usage = {"input_tokens": 15, "output_tokens": 8, "total_tokens": 23}
    response = {"content": "x" * size, "stop_reason": "end_turn", "usage": usage}
    for cache in caches:
        cache.set(key, "openai", "gpt-4o", None, response)
        if cache.get(key) != response:
            raise RuntimeError("the cache does not answer")
    return key


def token_in(cache_dir: Path) -> str:
    """The token of one of the encrypted entries."""
    token: str = json.loads(next(cache_dir.glob("openai/*/*.json")).read_bytes())["token"]
    return token


def timed_in_turns(*calls: Callable[[], object]) -> list[list[float]]:
    """The processor time of each call in seconds, once for each round; the calls take turns, and another one begins every time."""
    repeats = [max(1, int(BATCH_SECONDS / timed(call, 3))) for call in calls]
    rounds = []
    for number in range(ROUNDS):
        costs = [0.0] * len(calls)
        for turn in range(len(calls)):
            place = (number + turn) % len(calls)
            costs[place] = timed(calls[place], repeats[place])
        rounds.append(costs)
    return rounds


def timed(call: Callable[[], object], times: int) -> float:
    """The mean processor time of a call, in seconds."""
    started = thread_time()
    for _ in range(times):
        call()
    return (thread_time() - started) / times


if __name__ == "__main__":
    sys.exit(main())
