"""Prove the cache on recorded traffic: every answer comes back complete, first from a server and then from the cache.

usage: replay_recorded_traffic.py EXCHANGES.jsonl REPLAY_SERVER.py

EXCHANGES.jsonl holds one recorded exchange a line: ``path``, ``request``, ``status``, ``response``, ``encoding``.
REPLAY_SERVER.py, started with that file, prints ``listening on http://HOST:PORT`` and answers each recorded request as
recorded; ``GET /__stats__`` tells how many requests matched a recorded one.

Every distinct chat completion that is not streamed is sent through ``OpenAIModel.get_text``, in a process of its own for
each pass: the first against the server, the second with the server stopped and another port in the address. Recorded errors
are sent twice while the server is up. The exit code is 1 when anything differs from the recording.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHAT = "/chat/completions"
_NAMED = ("model", "messages", "tools", "tool_choice")
_WHOLE = ("stop", "tool_calls", "function_call")
_FIRST_ERROR = 400


def recordings(path: str) -> list[dict[str, Any]]:
    """The distinct recorded chat completions that are not streamed; of two recordings of a request, the last."""
    found: dict[str, dict[str, Any]] = {}
    with open(path, encoding="utf-8") as lines:
        for exchange in map(json.loads, filter(str.strip, lines)):
            body = exchange["request"]
            if exchange["path"].endswith(_CHAT) and not body.get("stream"):
                asked = {name: value for name, value in body.items() if name != "stream"}
                found[exchange["path"] + json.dumps(asked, sort_keys=True)] = exchange
    return list(found.values())


# -- one pass, in a process of its own ------------------------------------------------------------


async def send_all(exchanges: list[dict[str, Any]], server: str, times_for_errors: int) -> list[Any]:
    """Send every recorded request in turn; for each, what came of it each time."""
    outcomes = []
    for exchange in exchanges:
        times = times_for_errors if exchange["status"] >= _FIRST_ERROR else 1
        outcomes.append([await send(exchange, server) for _ in range(times)])
    return outcomes


async def send(exchange: dict[str, Any], server: str) -> dict[str, Any]:
    """Send one recorded request; the answer or the SDK's error, as JSON values."""
    from openai import OpenAIError  # noqa: PLC0415 - the parent process has no use for the SDK

    from spark_cache import OpenAIModel  # noqa: PLC0415 - likewise

    body = exchange["request"]
    base_url = server + exchange["path"].removesuffix(_CHAT)
    async with OpenAIModel(
        body["model"], client_args={"base_url": base_url, "api_key": "x", "max_retries": 0}
    ) as model:
        started = time.perf_counter()
        try:
            response = await model.get_text(
                body["messages"],
                tool_specs=body.get("tools"),
                tool_choice=body.get("tool_choice"),
                **parameters(body),
            )
        except OpenAIError as error:
            return {"error": type(error).__name__, "status": getattr(error, "status_code", None)}
        seconds = time.perf_counter() - started
    usage = response.usage
    return {
        "content": response.content,
        "tool_calls": [[call.id, call.name, call.arguments_text] for call in response.tool_calls],
        "stop_reason": response.stop_reason,
        "provider_stop_reason": response.provider_stop_reason,
        "usage": None if usage is None else [usage.input_tokens, usage.output_tokens, usage.total_tokens],
        "raw": response.raw,
        "cached": response.cached,
        "key": response.cache_key,
        "seconds": seconds,
    }


def parameters(body: dict[str, Any]) -> dict[str, Any]:
    """The rest of a request: what the SDK does not know by name goes through its ``extra_body``."""
    from openai.resources.chat.completions import AsyncCompletions  # noqa: PLC0415 - see send

    known = signature(AsyncCompletions.create).parameters
    rest = {name: value for name, value in body.items() if name not in _NAMED}
    named = {name: value for name, value in rest.items() if name in known}
    unnamed = {name: value for name, value in rest.items() if name not in known}
    return {**named, "extra_body": unnamed} if unnamed else named


def run_pass(exchanges_path: str, server: str, cache_dir: str, times_for_errors: int) -> list[Any]:
    """Run one pass in a new process; its outcomes."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "OPENAI_"))
    }
    environ.pop("ENVIRONMENT", None)
    environ |= {
        "SPARK_ENABLE_CACHE": "true",
        "SPARK_CACHE_DIR": cache_dir,
        "SPARK_CACHE_ENDPOINT": "recorded",
    }
    command = [
        sys.executable,
        os.path.abspath(__file__),
        exchanges_path,
        "--pass",
        server,
        str(times_for_errors),
    ]
    done = subprocess.run(command, check=True, env=environ, cwd=cache_dir, stdout=subprocess.PIPE)
    return list(json.loads(done.stdout))


# -- the whole ------------------------------------------------------------------------------------


@contextmanager
def serving(server_path: str, exchanges_path: str) -> Iterator[str]:
    """Run the replay server; its address without a path."""
    command = [sys.executable, server_path, exchanges_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline() if server.stdout is not None else ""
            yield line.rpartition(" ")[2].strip()
        finally:
            server.terminate()


def unused_address() -> str:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def expected(exchange: dict[str, Any]) -> dict[str, Any]:
    """What a recorded answer says, in the terms of an outcome."""
    raw = json.loads(exchange["response"])
    choice = raw["choices"][0]
    message, usage = choice["message"], raw.get("usage")
    calls = message.get("tool_calls") or []
    return {
        "content": message.get("content") or "",
        "tool_calls": [
            [call["id"], call["function"]["name"], call["function"]["arguments"]] for call in calls
        ],
        "provider_stop_reason": choice["finish_reason"],
        "usage": usage and [usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]],
        "raw": raw,
    }


def is_stored(exchange: dict[str, Any]) -> bool:
    """Whether the answer may be stored: not an error, and whole."""
    if exchange["status"] >= _FIRST_ERROR:
        return False
    choice = json.loads(exchange["response"])["choices"][0]
    return choice["finish_reason"] in _WHOLE and not choice["message"].get("refusal")


def deviations(exchange: dict[str, Any], first: list[Any], second: list[Any]) -> Iterator[str]:
    """What differs from the recording in either pass."""
    if exchange["status"] >= _FIRST_ERROR:
        if [outcome.get("status") for outcome in first] != [exchange["status"]] * 2:
            yield f"recorded {exchange['status']}, sent twice, gave {first}"
        return
    fresh, again = first[0], second[0]
    for name, value in expected(exchange).items():
        if fresh.get(name) != value:
            yield f"first pass: {name} is not as recorded"
    if fresh.get("cached") is not False:
        yield "first pass: not answered by the server"
    if is_stored(exchange):
        yield from _differences(fresh, again)
    elif again.get("error") != "APIConnectionError":
        yield "second pass: answered, though the first answer must not be stored"


def _differences(fresh: dict[str, Any], again: dict[str, Any]) -> Iterator[str]:
    if again.get("cached") is not True:
        yield f"second pass: not answered from the cache ({again.get('error')})"
    for name in sorted(fresh.keys() - {"cached", "seconds"}):
        if fresh[name] != again.get(name):
            yield f"second pass: {name} is not that of the first"


def entry_count(cache_dir: str) -> int:
    """How many entries the cache directory holds."""
    return sum(
        name.endswith(".json")
        for folder, _, names in os.walk(cache_dir)
        if ".spark-cache" not in folder
        for name in names
    )


def main() -> int:
    """Run both passes, print the figures and what deviates; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("exchanges")
    parser.add_argument("server", nargs="?")
    parser.add_argument("--pass", dest="one_pass", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    exchanges_path = os.path.abspath(given.exchanges)
    exchanges = recordings(exchanges_path)
    if given.one_pass:
        address, times = given.one_pass
        print(json.dumps(asyncio.run(send_all(exchanges, address, int(times)))))
        return 0
    if given.server is None:
        parser.error("the path of a replay server is needed")

    with tempfile.TemporaryDirectory() as cache_dir:
        with serving(given.server, exchanges_path) as address:
            first = run_pass(exchanges_path, address, cache_dir, times_for_errors=2)
            with urlopen(f"{address}/__stats__") as answer:
                served = json.load(answer)
        entries = entry_count(cache_dir)
        second = run_pass(exchanges_path, unused_address(), cache_dir, times_for_errors=1)

    return report(exchanges, first, second, served=served, entries=entries)


def report(
    exchanges: list[dict[str, Any]],
    first: list[Any],
    second: list[Any],
    *,
    served: dict[str, int],
    entries: int,
) -> int:
    """Print a table of figures, what is not stored and what deviates; the exit code."""
    differing = {
        exchange["id"]: list(deviations(exchange, *passes))
        for exchange, *passes in zip(exchanges, first, second, strict=True)
    }
    found = [f"{name}: {deviation}" for name, listed in differing.items() for deviation in listed]
    sent = sum(map(len, first))
    if served != {"matched": sent, "unmatched": 0}:
        found.append(f"the server was asked {served}, for {sent} requests that were sent")
    stored = [exchange for exchange in exchanges if is_stored(exchange)]
    if entries != len(stored):
        found.append(f"{entries} entries were stored, for {len(stored)} answers that may be")
    keys = {outcome[0]["key"] for outcome in first if "key" in outcome[0]}
    answers = [exchange for exchange in exchanges if exchange["status"] < _FIRST_ERROR]
    if len(keys) != len(answers):
        found.append(f"{len(answers)} different requests have {len(keys)} keys")

    hits = [outcome[0] for outcome in second if outcome[0].get("cached")]
    calls = [outcome[0] for outcome in first if "seconds" in outcome[0]]
    figures = {
        "distinct recorded requests": len(exchanges),
        "requests sent in the first pass": sent,
        "matched a recorded request": served["matched"],
        "answers complete and as recorded": sum(not differing[exchange["id"]] for exchange in answers),
        "  of them with tool calls": sum(bool(call["tool_calls"]) for call in calls),
        "recorded errors, raised both times": len(exchanges) - len(answers),
        "entries stored": entries,
        "second pass: answered from the cache": len(hits),
        "second pass: not stored, so not answered": len(exchanges) - len(hits),
        "median of a call, first pass": _milliseconds(calls),
        "median of a call, second pass": _milliseconds(hits),
    }
    for name, value in figures.items():
        print(f"{name:42}{value:>12}")
    for exchange in exchanges:
        if not is_stored(exchange):
            print(f"not stored: {exchange['id']} (status {exchange['status']})")
    for line in found:
        print(f"DEVIATION {line}")
    return 1 if found else 0


def _milliseconds(outcomes: list[dict[str, Any]]) -> str:
    return (
        f"{statistics.median(outcome['seconds'] for outcome in outcomes) * 1000:.2f} ms" if outcomes else "-"
    )


if __name__ == "__main__":
    sys.exit(main())
