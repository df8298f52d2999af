"""Streams that go through the cache: passed on as they arrive, and given again as they were."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from spark_cache.calls.call import AnswerSpec, CachedCalls, Recorded, StreamBrokenOffError
from spark_cache.core.plan import Hit
from spark_cache.providers.copies import copied
from spark_cache.providers.stream import Counting, StreamEvent, ToolCallPiece

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence

    from spark_cache.providers.response import ModelResponse
    from spark_cache.types import Mode, Request

__all__ = ["StreamedCalls"]

Timed = tuple[float, StreamEvent]
"""An event, and how many milliseconds after the call it came."""


class StreamedCalls(CachedCalls):
    """Calls whose answers come in events."""

    _sleep: Callable[[float], Awaitable[None]] = staticmethod(asyncio.sleep)

    async def _streamed(
        self, request: Request, *, mode: Mode | None, sensitive: bool | None, replay_timing: bool
    ) -> AsyncGenerator[StreamEvent, None]:
        arrived: asyncio.Queue[Any] = asyncio.Queue()
        spec = AnswerSpec(parse=self._replayed, on_event=lambda raw: arrived.put_nowait((raw,)))
        plan = self._plan(request, mode, sensitive)
        found = self._look_up(request, plan, spec)
        if isinstance(found, Hit):
            async for event in self._at_pace(found.answer, replay_timing=replay_timing):
                yield event
            return
        # The call is a task of its own: others may come to wait for the same answer, and outlast this caller.
        call = asyncio.create_task(self._fetch(request, plan, found, spec))
        call.add_done_callback(lambda _: arrived.put_nowait(None))
        heard, counted = False, Counting()
        try:
            while (item := await arrived.get()) is not None:
                heard = True
                # A copy: the event itself is stored at the end.
                yield counted(self._event(copied(item[0])))
            recorded = call.result()
        except StreamBrokenOffError:
            return
        finally:
            await _ended(call)
        if heard:
            yield StreamEvent("end", response=recorded.response)
            return
        async for event in self._at_pace(self._replayed(recorded) or [], replay_timing=replay_timing):
            yield event

    def _replayed(self, recorded: Recorded) -> list[Timed] | None:
        """The events of an answer that was kept; None where they are of another shape."""
        response, events = recorded
        counted = Counting()
        try:
            if events is not None:
                replayed = [(float(after), counted(self._event(raw))) for after, raw in events]
            elif response.raw is not None:
                replayed = [(0.0, counted(self._event(raw))) for raw in self._events_of(response.raw)]
            else:
                replayed = [(0.0, event) for event in _events_of_text(response)]
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            # Somebody else stored it, or edited it.
            return None
        last = replayed[-1][0] if replayed else 0.0
        return [*replayed, (last, StreamEvent("end", response=response))]

    async def _at_pace(
        self, events: Sequence[Timed], *, replay_timing: bool
    ) -> AsyncGenerator[StreamEvent, None]:
        so_far = 0.0
        for after, event in events:
            if replay_timing and after > so_far:
                await self._sleep((after - so_far) / 1000)
                so_far = after
            yield event


def _events_of_text(response: ModelResponse) -> Iterator[StreamEvent]:
    """The events of an answer of which there is no more than what was understood: somebody put it into the cache by hand."""
    if response.content:
        yield StreamEvent("text", response.content)
    for index, call in enumerate(response.tool_calls):
        piece = ToolCallPiece(index, call.id, call.name, call.arguments_text)
        yield StreamEvent("tool_call", tool_calls=(piece,))
    yield StreamEvent("stop")


async def _ended(call: asyncio.Task[Any]) -> None:
    """Take a call along that nobody waits for any more, and see it end."""
    if not call.done():
        call.cancel()
        await asyncio.wait((call,))
    if not call.cancelled():
        # Looked at, so that nobody is told of an exception that came too late to be raised.
        call.exception()
