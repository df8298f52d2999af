"""How the responses of Gemini are read. Pure functions, whatever sends the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from spark_cache.providers.base import Provider
from spark_cache.providers.gemini.answer import (
    FORM,
    events_of,
    gather,
    is_empty,
    read_answer,
    read_event,
    stop_reasons,
    turn_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spark_cache.providers.response import ModelResponse
    from spark_cache.providers.stream import StreamEvent

__all__ = ["GeminiReading"]


class GeminiReading(Provider):
    """Reads the responses of Gemini."""

    name: ClassVar[str] = "gemini"
    stream_form = FORM
    error_unless = ("candidates", "promptFeedback")

    def read(self, raw: Any) -> ModelResponse:
        return read_answer(raw)

    def stop_reasons(self, response: ModelResponse) -> Sequence[str | None]:
        return stop_reasons(response.raw) or (response.stop_reason,)

    def is_empty(self, response: ModelResponse) -> bool:
        return is_empty(response.raw)

    def turn_of(self, response: ModelResponse) -> Sequence[Any] | None:
        return turn_of(response.raw)

    def gather(self, events: Sequence[Any]) -> Any | None:
        return gather(events)

    def read_event(self, raw_event: Any) -> StreamEvent:
        return read_event(raw_event)

    def events_of(self, raw: Any) -> Sequence[Any]:
        return events_of(raw)
