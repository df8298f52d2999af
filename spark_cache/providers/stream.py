"""The events of streamed responses, from the provider or replayed from an entry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from spark_cache.providers.response import ModelResponse

__all__ = ["UNCOUNTED", "Counting", "StreamEvent", "ToolCallPiece"]

UNCOUNTED = -1
"""The ``index`` of a complete tool call that the provider does not number. :class:`Counting` replaces it."""


@dataclass(frozen=True, slots=True)
class ToolCallPiece:
    """A piece of a tool call. Pieces with the same ``index`` belong together. Its ``repr`` shows no arguments.

    Attributes:
        index: The number of the tool call, as the provider counts. If the provider does not count, calls are numbered in order.
        id: The provider's ID of the call. Empty if this piece does not contain it.
        name: The name of the tool. Empty if this piece does not contain it.
        arguments_text: The part of the arguments' text that this piece adds.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments_text: str = ""

    def __repr__(self) -> str:
        return f"ToolCallPiece(index={self.index}, name={self.name!r})"


@dataclass(frozen=True, slots=True, repr=False)
class StreamEvent:
    """An event of a streamed response. Equality ignores where it came from. Its ``repr`` shows no content.

    The ``text`` of all events adds up to the ``content`` of the whole response.

    Attributes:
        type: ``text``, ``reasoning``, ``tool_call``, ``stop`` (the model stopped) or ``other``. The last event is ``end``.
        text: The piece of visible text that the event adds.
        raw: The provider's own event, complete. None for ``end``, which the provider does not send.
        tool_calls: The pieces of tool calls that the event adds.
        response: The whole response, in the ``end`` event.
        reasoning: The piece of visible reasoning that the event adds.
    """

    type: Literal["text", "reasoning", "tool_call", "stop", "other", "end"]
    text: str = ""
    raw: Any = None
    tool_calls: tuple[ToolCallPiece, ...] = ()
    response: ModelResponse | None = None
    reasoning: str = ""

    __hash__ = None  # type: ignore[assignment]  # it holds the provider's JSON

    def __repr__(self) -> str:
        return f"StreamEvent({self.type!r}, {len(self.text)} characters)"


class Counting:
    """Numbers the tool calls of one stream if the provider does not."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, event: StreamEvent) -> StreamEvent:
        """Return an event in which every piece has the number of its call. Must be called with every event, in order.

        Args:
            event: The event.
        """
        pieces = event.tool_calls
        for at, piece in enumerate(pieces):
            if piece.index == UNCOUNTED:
                pieces = (*pieces[:at], replace(piece, index=self._next), *pieces[at + 1 :])
            self._next = max(self._next, pieces[at].index + 1)
        return event if pieces is event.tool_calls else replace(event, tool_calls=pieces)
