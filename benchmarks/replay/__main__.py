"""Prove the cache on recorded traffic: every answer comes back complete, first from a server and then from the cache.

usage: python -m benchmarks.replay EXCHANGES.jsonl REPLAY_SERVER.py

EXCHANGES.jsonl holds one recorded exchange a line: ``path``, ``request``, ``status``, ``response``, ``encoding``, ``stream``.
REPLAY_SERVER.py, started with that file, prints ``listening on http://HOST:PORT`` and answers each recorded request as
recorded; ``GET /__stats__`` tells how many requests matched a recorded one.

Every distinct exchange is sent through its provider's model, by ``get_text`` or ``stream_text`` as it was recorded, in a process
of its own for each pass: the first against the server, the second with the server stopped and another port in the address. The
second also asks the other way round: what was streamed by ``get_text``, and what was not by ``stream_text``. Recorded errors are
sent twice while the server is up. The exit code is 1 when anything differs from the recording.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from benchmarks.replay.compare import deviations, is_stored
from benchmarks.replay.passes import provider_of, recordings, run_pass
from benchmarks.replay.provider import FIRST_ERROR, Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIGURES = ("requests", "as recorded", "raised twice", "stored", "second pass: hits", "first, ms", "hit, ms")


@contextmanager
def _serving(server_path: str, exchanges_path: str) -> Iterator[str]:
    """Run the replay server; its address without a path."""
    command = [sys.executable, server_path, exchanges_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline() if server.stdout is not None else ""
            yield line.rpartition(" ")[2].strip()
        finally:
            server.terminate()


def _unused_address() -> str:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def _entry_count(cache_dir: str) -> int:
    """How many entries the cache directory holds."""
    return sum(
        name.endswith(".json")
        for folder, _, names in os.walk(cache_dir)
        if ".spark-cache" not in folder
        for name in names
    )


def main() -> int:
    """Run both passes, print the figures and what deviates; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.replay", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("exchanges")
    parser.add_argument("server")
    given = parser.parse_args()
    path = os.path.abspath(given.exchanges)
    exchanges = recordings(path)
    with tempfile.TemporaryDirectory() as cache_dir:
        with _serving(given.server, path) as address:
            first = run_pass(path, address, cache_dir, offline=False)
            with urlopen(f"{address}/__stats__") as answer:
                served = json.load(answer)
        entries = _entry_count(cache_dir)
        second = run_pass(path, _unused_address(), cache_dir, offline=True)
    found = {
        exchange["id"]: list(deviations(exchange, *passes))
        for exchange, *passes in zip(exchanges, first, second, strict=True)
    }
    lines = [f"{name}: {deviation}" for name, listed in found.items() for deviation in listed]
    lines += _sums(exchanges, first, served=served, entries=entries)
    deviating = {name for name, listed in found.items() if listed}
    _report(exchanges, first, second, deviating)
    for line in lines:
        print(f"DEVIATION {line}")
    return 1 if lines else 0


def _sums(
    exchanges: list[Exchange], first: list[Any], *, served: dict[str, int], entries: int
) -> Iterator[str]:
    """What is wrong with the whole: requests that missed their recording, keys that are shared, entries too many or too few."""
    sent = sum(map(len, first))
    if served != {"matched": sent, "unmatched": 0}:
        yield f"the server was asked {served}, for {sent} requests that were sent"
    stored = sum(map(is_stored, exchanges))
    if entries != stored:
        yield f"{entries} entries were stored, for {stored} answers that may be"
    keys = [outcome[0]["key"] for outcome in first if outcome[0].get("key")]
    if len(set(keys)) != len(keys):
        yield f"{len(keys)} different requests have {len(set(keys))} keys"


def _report(exchanges: list[Exchange], first: list[Any], second: list[Any], deviating: set[str]) -> None:
    """Print the figures of each endpoint, and what is not stored."""
    rows: dict[str, list[int]] = {}
    for index, exchange in enumerate(exchanges):
        rows.setdefault(str(provider_of(exchange).endpoint(exchange)), []).append(index)
    print(f"{'':18}" + "".join(f"{name:>19}" for name in _FIGURES))
    for name, indices in sorted(rows.items()):
        errors = [index for index in indices if exchanges[index]["status"] >= FIRST_ERROR]
        hits = [second[index][0] for index in indices if second[index][0].get("cached")]
        figures = (
            len(indices),
            sum(exchanges[index]["id"] not in deviating for index in indices) - len(errors),
            sum(exchanges[index]["id"] not in deviating for index in errors),
            sum(is_stored(exchanges[index]) for index in indices),
            len(hits),
            _milliseconds([first[index][0] for index in indices if "seconds" in first[index][0]]),
            _milliseconds(hits),
        )
        print(f"{name:18}" + "".join(f"{figure:>19}" for figure in figures))
    for exchange in exchanges:
        if exchange["status"] < FIRST_ERROR and not is_stored(exchange):
            print(f"not stored: {exchange['id']}: {provider_of(exchange).not_stored(exchange)}")


def _milliseconds(outcomes: list[Any]) -> str:
    if not outcomes:
        return "-"
    return f"{statistics.median(outcome['seconds'] for outcome in outcomes) * 1000:.2f}"


if __name__ == "__main__":
    sys.exit(main())
