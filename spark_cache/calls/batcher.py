"""Send together what is asked together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

__all__ = ["Batcher"]

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Batcher(Generic[Asked, Answer]):
    """Collects the questions of one turn of the event loop, and sends them in as few calls as the limits allow.

    Args:
        send: Sends a batch and returns the answers in the same order.
        most: The maximum number of questions in a batch.
        most_characters: The maximum length of a batch; None is no limit. A longer question is a batch of its own.
        length: Returns the length of a question in characters.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]],
        *,
        most: int,
        most_characters: int | None,
        length: Callable[[Asked], int],
    ) -> None:
        self._send = send
        self._most = most
        self._most_characters = most_characters
        self._length = length
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._under_way: set[asyncio.Task[None]] = set()

    async def join(self, asked: Asked) -> Answer:
        """Send a question with the others of this turn and return its answer. A call that all have left is cancelled.

        Args:
            asked: The question.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            # Runs after everything that is ready now, so that tasks that were started together join first.
            loop.call_soon(self._send_all)
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((asked, answer))
        return await answer

    def _send_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for batch in self._cut([one for one in waiting if not one[1].done()]):
            call = asyncio.get_running_loop().create_task(self._ask(batch))
            self._under_way.add(call)
            call.add_done_callback(self._under_way.discard)
            _cancel_when_abandoned(call, [answer for _, answer in batch])

    def _cut(
        self, waiting: Sequence[tuple[Asked, asyncio.Future[Answer]]]
    ) -> Iterator[list[tuple[Asked, asyncio.Future[Answer]]]]:
        batch: list[tuple[Asked, asyncio.Future[Answer]]] = []
        characters = 0
        for one in waiting:
            length = self._length(one[0])
            too_long = self._most_characters is not None and characters + length > self._most_characters
            if batch and (len(batch) == self._most or too_long):
                yield batch
                batch, characters = [], 0
            batch.append(one)
            characters += length
        if batch:
            yield batch

    async def _ask(self, batch: Sequence[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._send([asked for asked, _ in batch])
        except asyncio.CancelledError:
            for _, waiting in batch:
                waiting.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - everyone who waits for the call gets it
            for _, waiting in batch:
                if not waiting.done():
                    waiting.set_exception(error)
            return
        for (_, waiting), answer in zip(batch, answers, strict=True):
            if not waiting.done():
                waiting.set_result(answer)


def _cancel_when_abandoned(call: asyncio.Task[None], answers: Sequence[asyncio.Future[Answer]]) -> None:
    still_waiting = len(answers)

    def left(_: asyncio.Future[Answer]) -> None:
        nonlocal still_waiting
        still_waiting -= 1
        if not still_waiting:
            call.cancel()

    for answer in answers:
        answer.add_done_callback(left)
