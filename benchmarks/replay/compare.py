"""Compare a recorded exchange with its results in the two passes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.replay.passes import provider_of
from benchmarks.replay.provider import FIRST_ERROR, Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["deviations", "is_stored"]

_NOT_COMPARED = {"cached", "seconds", "other_way"}


def is_stored(exchange: Exchange) -> bool:
    """Return whether the response may be stored.

    Args:
        exchange: The recorded exchange.
    """
    return exchange["status"] < FIRST_ERROR and provider_of(exchange).not_stored(exchange) is None


def deviations(exchange: Exchange, first: list[Any], second: list[Any]) -> Iterator[str]:
    """Yield the differences from the recording in either pass.

    Args:
        exchange: The recorded exchange.
        first: Its results in the first pass.
        second: Its results in the second pass.
    """
    if exchange["status"] >= FIRST_ERROR:
        if [outcome.get("status") for outcome in first] != [exchange["status"]] * 2:
            yield f"the recorded status is {exchange['status']}, but two requests gave {first}"
        return
    fresh, again = first[0], second[0]
    if fresh.get("cached") is not False:
        yield f"first pass: not answered by the server ({fresh.get('error')})"
        return
    yield from _from_recording(exchange, fresh)
    if is_stored(exchange):
        yield from _from_first(fresh, again)
    elif "error" not in again:
        yield "second pass: answered, although the first response must not be stored"


def _from_recording(exchange: Exchange, fresh: dict[str, Any]) -> Iterator[str]:
    provider = provider_of(exchange)
    for name, value in provider.recorded_content(exchange)._asdict().items():
        if fresh[name] != value:
            yield f"first pass: {name} differs from the recording"
    if not exchange["stream"]:
        if fresh["raw"] != json.loads(exchange["response"]):
            yield "first pass: raw differs from the recording"
        return
    if fresh["events"] != provider.events(exchange):
        yield "first pass: the events differ from the recording"
    if fresh["text_of_events"] != fresh["content"]:
        yield "first pass: the text of the events differs from the text of the response"


def _from_first(fresh: dict[str, Any], again: dict[str, Any]) -> Iterator[str]:
    if again.get("cached") is not True:
        yield f"second pass: not answered from the cache ({again.get('error')})"
        return
    for name in sorted(fresh.keys() - _NOT_COMPARED):
        if fresh[name] != again[name]:
            yield f"second pass: {name} differs from the first pass"
    for name, value in again["other_way"].items():
        if value != again[name]:
            yield f"second pass, opposite call: {name} differs"
