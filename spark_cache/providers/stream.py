"""The events of streamed responses, from the provider or replayed from an entry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from spark_cache.providers.response import ModelResponse

__all__ = ["UNCOUNTED", "Counting", "StreamEvent", "ToolCallPiece", "is_another_call"]

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


def is_another_call(known_id: str, piece_id: str, piece_name: str) -> bool:
    """Return whether a piece begins another tool call than the one that was begun under the same index.

    Some services number all calls of a response with 0, but begin each with an ID and a name of its own. Others change the
    ID within one call, without repeating its name.

    Args:
        known_id: The ID of the call that was begun.
        piece_id: The ID in the piece, or an empty string.
        piece_name: The name of the tool in the piece, or an empty string.
    """
    return bool(known_id and piece_id and piece_name) and piece_id != known_id


class Counting:
    """Numbers the tool calls of one stream, where the provider does not number them or gives several the same number."""

    def __init__(self) -> None:
        self._next = 0
        self._begun: dict[int, tuple[int, str]] = {}
        """The number and the ID of the call that was last begun under each index of the provider."""

    def __call__(self, event: StreamEvent) -> StreamEvent:
        """Return an event in which every piece has the number of its call. Must be called with every event, in order.

        Args:
            event: The event.
        """
        if not event.tool_calls:
            return event
        pieces = tuple(map(self._numbered, event.tool_calls))
        return event if pieces == event.tool_calls else replace(event, tool_calls=pieces)

    def _numbered(self, piece: ToolCallPiece) -> ToolCallPiece:
        number, known_id = self._begun.get(piece.index, (UNCOUNTED, ""))
        if piece.index == UNCOUNTED or is_another_call(known_id, piece.id, piece.name):
            number = self._next
        elif number == UNCOUNTED:
            taken = any(number == piece.index for number, _ in self._begun.values())
            number = self._next if taken else piece.index
        if piece.index != UNCOUNTED:
            known_id = piece.id if is_another_call(known_id, piece.id, piece.name) else known_id or piece.id
            self._begun[piece.index] = (number, known_id)
        self._next = max(self._next, number + 1)
        return piece if piece.index == number else replace(piece, index=number)
