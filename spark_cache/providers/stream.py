"""Streamed answers: the events that a caller sees, and how those of a recording are given again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from spark_cache.providers.response import ModelResponse

__all__ = ["UNCOUNTED", "Counting", "StreamEvent", "ToolCallPiece"]

UNCOUNTED = -1
"""The ``index`` of a whole call that its provider does not count; it is counted before anybody sees it."""


@dataclass(frozen=True, slots=True)
class ToolCallPiece:
    """A piece of a tool call; pieces of one ``index`` belong together. Its ``repr`` shows no arguments.

    Attributes:
        index: Which of the answer's tool calls it belongs to, in the provider's own counting; in order, where it has none.
        id: The provider's name for the call; empty in a piece that does not tell it.
        name: The tool; empty in a piece that does not tell it.
        arguments_text: What this piece adds to the text of the arguments.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments_text: str = ""

    def __repr__(self) -> str:
        return f"ToolCallPiece(index={self.index}, name={self.name!r})"


@dataclass(frozen=True, slots=True, repr=False)
class StreamEvent:
    """One event of a streamed answer. Equality ignores how it was obtained; its ``repr`` shows no content.

    The pieces of ``text`` add up to the ``content`` of the whole answer.

    Attributes:
        type: ``text``, ``reasoning``, ``tool_call``, ``stop`` (the model stopped), ``other``; the last one is ``end``.
        text: The piece of visible text that it adds.
        raw: The provider's own event, complete; None at the ``end``, which is ours.
        tool_calls: The pieces of tool calls that it adds.
        response: The whole answer, at the ``end``.
        reasoning: The piece of visible reasoning that it adds.
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
    """Counts the tool calls of one stream, where its provider does not."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, event: StreamEvent) -> StreamEvent:
        """The event, in which every piece has the number of its call; to be given all events in their order."""
        pieces = event.tool_calls
        for at, piece in enumerate(pieces):
            if piece.index == UNCOUNTED:
                pieces = (*pieces[:at], replace(piece, index=self._next), *pieces[at + 1 :])
            self._next = max(self._next, pieces[at].index + 1)
        return event if pieces is event.tool_calls else replace(event, tool_calls=pieces)
