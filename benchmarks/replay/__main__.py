"""Verify the cache with recorded traffic: every response must be complete, first from a server and then from the cache.

usage: python -m benchmarks.replay EXCHANGES.jsonl REPLAY_SERVER.py

EXCHANGES.jsonl contains one recorded exchange per line: ``path``, ``request``, ``status``, ``response``, ``encoding``,
``stream``. REPLAY_SERVER.py, started with that file, prints ``listening on http://HOST:PORT`` and answers each recorded request
with its recorded response; ``GET /__stats__`` returns how many requests matched a recorded one.

Every distinct exchange is sent through the model of its provider, with ``get_text`` or ``stream_text`` as recorded. Each pass
runs in a separate process: the first against the server, the second with the server stopped and another port in the address. The
second pass also makes the opposite call: ``get_text`` for recorded streams, and ``stream_text`` for the others. Recorded errors
are requested twice while the server runs. The exit code is 1 if anything differs from the recording.
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
    """Run the replay server, and yield its URL without a path."""
    command = [sys.executable, server_path, exchanges_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline() if server.stdout is not None else ""
            yield line.rpartition(" ")[2].strip()
        finally:
            server.terminate()


def _unused_address() -> str:
    """Return a URL that no server listens on."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def _entry_count(cache_dir: str) -> int:
    """Return the number of entries in the cache directory."""
    return sum(
        name.endswith(".json")
        for folder, _, names in os.walk(cache_dir)
        if ".spark-cache" not in folder
        for name in names
    )


def main() -> int:
    """Run both passes, print the figures and the deviations, and return the exit code."""
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
    lines += _total_deviations(exchanges, first, served=served, entries=entries)
    deviating = {name for name, listed in found.items() if listed}
    _report(exchanges, first, second, deviating)
    for line in lines:
        print(f"DEVIATION {line}")
    return 1 if lines else 0


def _total_deviations(
    exchanges: list[Exchange], first: list[Any], *, served: dict[str, int], entries: int
) -> Iterator[str]:
    """Yield the deviations of the totals: requests without a recording, shared keys, and missing or extra entries."""
    sent = sum(map(len, first))
    if served != {"matched": sent, "unmatched": 0}:
        yield f"{sent} requests were sent, but the server counted {served}"
    stored = sum(map(is_stored, exchanges))
    if entries != stored:
        yield f"{entries} entries were stored for {stored} responses that may be stored"
    keys = [outcome[0]["key"] for outcome in first if outcome[0].get("key")]
    if len(set(keys)) != len(keys):
        yield f"{len(keys)} different requests have only {len(set(keys))} keys"


def _report(exchanges: list[Exchange], first: list[Any], second: list[Any], deviating: set[str]) -> None:
    """Print the figures of each endpoint, and the responses that are not stored."""
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
