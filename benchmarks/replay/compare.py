"""What differs between a recorded exchange and what came of it in the two passes."""

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
    """Whether the answer may be stored."""
    return exchange["status"] < FIRST_ERROR and provider_of(exchange).not_stored(exchange) is None


def deviations(exchange: Exchange, first: list[Any], second: list[Any]) -> Iterator[str]:
    """What differs from the recording in either pass."""
    if exchange["status"] >= FIRST_ERROR:
        if [outcome.get("status") for outcome in first] != [exchange["status"]] * 2:
            yield f"recorded {exchange['status']}, sent twice, gave {first}"
        return
    fresh, again = first[0], second[0]
    if fresh.get("cached") is not False:
        yield f"first pass: not answered by the server ({fresh.get('error')})"
        return
    yield from _from_recording(exchange, fresh)
    if is_stored(exchange):
        yield from _from_first(fresh, again)
    elif "error" not in again:
        yield "second pass: answered, though the first answer must not be stored"


def _from_recording(exchange: Exchange, fresh: dict[str, Any]) -> Iterator[str]:
    provider = provider_of(exchange)
    for name, value in provider.said(exchange)._asdict().items():
        if fresh[name] != value:
            yield f"first pass: {name} is not as recorded"
    if not exchange["stream"]:
        if fresh["raw"] != json.loads(exchange["response"]):
            yield "first pass: raw is not as recorded"
        return
    if fresh["events"] != provider.events(exchange):
        yield "first pass: the events are not as recorded"
    if fresh["text_of_events"] != fresh["content"]:
        yield "first pass: the texts of the events are not the text of the answer"


def _from_first(fresh: dict[str, Any], again: dict[str, Any]) -> Iterator[str]:
    if again.get("cached") is not True:
        yield f"second pass: not answered from the cache ({again.get('error')})"
        return
    for name in sorted(fresh.keys() - _NOT_COMPARED):
        if fresh[name] != again[name]:
            yield f"second pass: {name} is not that of the first"
    for name, value in again["other_way"].items():
        if value != again[name]:
            yield f"second pass, the other way round: {name} differs"
