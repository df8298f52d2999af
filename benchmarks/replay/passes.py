"""One pass over recorded traffic: send every request through its model, in a separate process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks.replay import anthropic, bedrock, gemini, openai
from benchmarks.replay.provider import FIRST_ERROR, Exchange, Provider

if TYPE_CHECKING:
    from spark_cache import Model, ModelResponse

__all__ = ["PROVIDERS", "provider_of", "recordings", "run_pass"]

PROVIDERS: tuple[Provider, ...] = (anthropic, bedrock, gemini, openai)
"""The providers whose traffic is replayed; each is a module."""

_VARIABLES = ("SPARK_", "OPENAI_", "ANTHROPIC_", "AWS_", "GEMINI_", "GOOGLE_")
_TIMES_FOR_ERRORS = 2


def recordings(path: str) -> list[Exchange]:
    """Return the distinct recorded exchanges of these providers; the last recording of a request wins.

    Args:
        path: The file of the exchanges.
    """
    found: dict[str, Exchange] = {}
    with open(path, encoding="utf-8") as lines:
        for exchange in map(json.loads, filter(str.strip, lines)):
            if any(provider.endpoint(exchange) for provider in PROVIDERS):
                request = {
                    name: value for name, value in exchange["request"].items() if name != "stream" or value
                }
                found[exchange["path"] + json.dumps(request, sort_keys=True)] = exchange
    return list(found.values())


def provider_of(exchange: Exchange) -> Provider:
    """Return the provider of a recorded exchange.

    Args:
        exchange: The recorded exchange.
    """
    return next(provider for provider in PROVIDERS if provider.endpoint(exchange))


def run_pass(exchanges_path: str, server: str, cache_dir: str, *, offline: bool) -> list[Any]:
    """Run one pass in a new process, and return the results of each exchange.

    Args:
        exchanges_path: The file of the recorded exchanges.
        server: The URL of the replay server.
        cache_dir: The cache directory.
        offline: Whether the server is stopped. Then each request is sent once, and successful ones are repeated with the
            opposite call.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_VARIABLES)}
    environ.pop("ENVIRONMENT", None)
    environ |= {
        "SPARK_ENABLE_CACHE": "true",
        "SPARK_CACHE_DIR": cache_dir,
        "SPARK_CACHE_ENDPOINT": "recorded",
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", __name__, exchanges_path, server, "offline" if offline else "online"]
    done = subprocess.run(command, check=True, env=environ, stdout=subprocess.PIPE)
    return list(json.loads(done.stdout))


async def _send_all(exchanges: list[Exchange], server: str, *, offline: bool) -> list[Any]:
    outcomes = []
    for exchange in exchanges:
        is_error = exchange["status"] >= FIRST_ERROR
        times = 1 if offline or not is_error else _TIMES_FOR_ERRORS
        outcomes.append([await _send(exchange, server, offline=offline) for _ in range(times)])
    return outcomes


async def _send(exchange: Exchange, server: str, *, offline: bool) -> dict[str, Any]:
    provider = provider_of(exchange)
    async with provider.model(exchange, server) as model:
        # A request that was recorded streamed and unstreamed has one key, so ``sample`` keeps the two entries apart.
        arguments = {**provider.arguments(exchange), "sample": int(exchange["stream"])}
        try:
            outcome = await (_streamed if exchange["stream"] else _whole)(model, arguments)
        except Exception as error:  # noqa: BLE001 - every exception is compared with the recording
            return {"error": type(error).__name__, "status": provider.status_of(error)}
        if offline:
            other = await (_whole if exchange["stream"] else _streamed)(model, arguments)
            named = ("content", "tool_calls", "stop_reason", "usage", "cached")
            outcome["other_way"] = {name: other[name] for name in named}
    return outcome


async def _whole(model: Model, arguments: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    response = await model.get_text(**arguments)
    return {**_described(response), "seconds": time.perf_counter() - started}


async def _streamed(model: Model, arguments: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    events = [event async for event in model.stream_text(**arguments)]
    seconds = time.perf_counter() - started
    pieces = [[event.type, event.text, event.reasoning] for event in events[:-1]]
    response = events[-1].response
    if response is None:
        raise ValueError("the stream broke off")
    return {
        **_described(response),
        "seconds": seconds,
        "events": [event.raw for event in events[:-1]],
        "pieces": pieces,
        "text_of_events": "".join(event.text for event in events),
    }


def _described(response: ModelResponse) -> dict[str, Any]:
    usage = response.usage
    return {
        "content": response.content,
        "tool_calls": [[call.id, call.name, call.arguments] for call in response.tool_calls],
        "stop_reason": response.stop_reason,
        "provider_stop_reason": response.provider_stop_reason,
        "usage": usage
        and [
            usage.input_tokens,
            usage.output_tokens,
            usage.total_tokens,
            usage.cached_tokens,
            usage.reasoning_tokens,
        ],
        "raw": response.raw,
        "cached": response.cached,
        "key": response.cache_key,
    }


if __name__ == "__main__":
    _path, _server, _network = sys.argv[1:]
    print(json.dumps(asyncio.run(_send_all(recordings(_path), _server, offline=_network == "offline"))))
