"""Streamed answers: the events that a caller sees, and how those of a recording are given again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from spark_cache.models.response import ModelResponse

__all__ = ["StreamEvent", "ToolCallPiece"]


@dataclass(frozen=True, slots=True)
class ToolCallPiece:
    """A piece of a tool call; pieces of one ``index`` belong together. Its ``repr`` shows no arguments.

    Attributes:
        index: Which of the answer's tool calls it belongs to, in the provider's own counting.
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
        tool_call: The piece of a tool call that it adds.
        response: The whole answer, at the ``end``.
        reasoning: The piece of visible reasoning that it adds.
    """

    type: Literal["text", "reasoning", "tool_call", "stop", "other", "end"]
    text: str = ""
    raw: Any = None
    tool_call: ToolCallPiece | None = None
    response: ModelResponse | None = None
    reasoning: str = ""

    __hash__ = None  # type: ignore[assignment]  # it holds the provider's JSON

    def __repr__(self) -> str:
        return f"StreamEvent({self.type!r}, {len(self.text)} characters)"
