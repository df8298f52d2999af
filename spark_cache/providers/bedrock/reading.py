"""How the responses of Bedrock's Converse API are read. Pure functions, whatever sends the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from spark_cache.providers.base import Provider
from spark_cache.providers.bedrock.converse import is_empty, read_answer, turn_of
from spark_cache.providers.bedrock.stream import FORM, events_of, gather, read_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spark_cache.providers.response import ModelResponse
    from spark_cache.providers.stream import StreamEvent

__all__ = ["BedrockReading"]


class BedrockReading(Provider):
    """Reads the responses of Amazon Bedrock."""

    name: ClassVar[str] = "bedrock"
    stream_form = FORM

    def read(self, raw: Any) -> ModelResponse:
        return read_answer(raw)

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
