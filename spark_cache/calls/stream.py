"""Streams through the cache: events are passed on as they arrive, and replayed as they were."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from spark_cache.calls.answer import AnswerSpec, Recorded, StreamBrokenOffError
from spark_cache.core.plan import Hit
from spark_cache.providers.json_values import copied
from spark_cache.providers.stream import Counting, StreamEvent, ToolCallPiece

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from spark_cache.calls.caller import Caller
    from spark_cache.providers.response import ModelResponse
    from spark_cache.types import Mode, Request

__all__ = ["Streamer"]

Timed = tuple[float, StreamEvent]
"""The milliseconds since the call, and an event."""


class Streamer:
    """Streams the answers of one model.

    Args:
        caller: Calls the provider through the cache.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def stream(
        self, request: Request, *, mode: Mode | None, sensitive: bool | None, replay_timing: bool
    ) -> AsyncGenerator[StreamEvent, None]:
        """Yield the events of an answer.

        Args:
            request: The request.
            mode: The mode that the call asks for.
            sensitive: Whether the request is sensitive.
            replay_timing: Whether events from the cache keep their original timing.
        """
        arrived: asyncio.Queue[Any] = asyncio.Queue()
        spec = AnswerSpec(parse=self._replayed, on_event=lambda raw: arrived.put_nowait((raw,)))
        caller = self._caller
        calls = caller.calls
        plan = calls.plan(request, mode=mode, sensitive=sensitive)
        found = caller.look_up(calls, request, plan, spec)
        if isinstance(found, Hit):
            async for event in _at_pace(found.answer, replay_timing=replay_timing):
                yield event
            return
        # The call is a task of its own, because equal calls may wait for its response and outlast this caller.
        call = asyncio.create_task(caller.fetch(calls, request, plan, found, spec))
        call.add_done_callback(lambda _: arrived.put_nowait(None))
        streamed, counted = False, Counting()
        try:
            while (item := await arrived.get()) is not None:
                streamed = True
                # A copy: the event itself is stored at the end.
                yield counted(caller.provider.read_event(copied(item[0])))
            recorded = call.result()
        except StreamBrokenOffError:
            return
        finally:
            await _end(call)
        if streamed:
            yield StreamEvent("end", response=recorded.response)
            return
        async for event in _at_pace(self._replayed(recorded) or [], replay_timing=replay_timing):
            yield event

    def _replayed(self, recorded: Recorded) -> list[Timed] | None:
        """Return the events of a recorded response; None if they cannot be read."""
        response, events = recorded
        read, counted = self._caller.provider.read_event, Counting()
        try:
            if events is not None:
                replayed = [(float(after), counted(read(raw))) for after, raw in events]
            elif response.raw is not None:
                raw_events = self._caller.provider.events_of(response.raw)
                replayed = [(0.0, counted(read(raw))) for raw in raw_events]
            else:
                replayed = [(0.0, event) for event in _events_of_text(response)]
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            # The entry was stored by another program, or edited.
            return None
        if events is not None and response.raw is None:
            # The events do not add up to a response.
            return replayed
        last = replayed[-1][0] if replayed else 0.0
        return [*replayed, (last, StreamEvent("end", response=response))]


async def _at_pace(events: Sequence[Timed], *, replay_timing: bool) -> AsyncGenerator[StreamEvent, None]:
    so_far = 0.0
    for after, event in events:
        if replay_timing and after > so_far:
            await asyncio.sleep((after - so_far) / 1000)
            so_far = after
        yield event


def _events_of_text(response: ModelResponse) -> Iterator[StreamEvent]:
    """Yield events for a response without the provider's JSON, which a program stored by hand."""
    if response.content:
        yield StreamEvent("text", response.content)
    for index, call in enumerate(response.tool_calls):
        piece = ToolCallPiece(index, call.id, call.name, call.arguments_text)
        yield StreamEvent("tool_call", tool_calls=(piece,))
    yield StreamEvent("stop")


async def _end(call: asyncio.Task[Any]) -> None:
    """Cancel a call that nothing waits for any more, and wait for its end."""
    if not call.done():
        call.cancel()
        await asyncio.wait((call,))
    if not call.cancelled():
        # Retrieved, so that asyncio does not report an exception that came too late to be raised.
        call.exception()
