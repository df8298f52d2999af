"""How the responses of OpenAI's two APIs for text are read. Pure functions, whatever sends the requests."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from spark_cache.providers.base import Provider
from spark_cache.providers.openai import chat, chat_stream, responses, responses_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spark_cache.providers.heard import StreamForm
    from spark_cache.providers.response import ModelResponse
    from spark_cache.providers.stream import StreamEvent

__all__ = ["OpenAIReading"]


class _Api(NamedTuple):
    """What differs between the two APIs: how their JSON is read."""

    read: Callable[[Any], ModelResponse]
    stop_reasons: Callable[[Any], Sequence[str | None]]
    is_empty: Callable[[Any], bool]
    turn: Callable[[Any], Sequence[Any] | None]
    form: StreamForm
    read_event: Callable[[Any], StreamEvent]
    gather: Callable[[Sequence[Any]], Any | None]
    events_of: Callable[[Any], Sequence[Any]]


_APIS = MappingProxyType(
    {
        "chat": _Api(
            read=chat.read_answer,
            stop_reasons=chat.stop_reasons,
            is_empty=chat.is_empty,
            turn=chat.turn_of,
            form=chat_stream.FORM,
            read_event=chat_stream.event_of,
            gather=chat_stream.gather,
            events_of=chat_stream.events_of,
        ),
        "responses": _Api(
            read=responses.read_answer,
            stop_reasons=responses.stop_reasons,
            is_empty=responses.is_empty,
            turn=responses.turn_of,
            form=responses_stream.FORM,
            read_event=responses_stream.event_of,
            gather=responses_stream.gather,
            events_of=responses_stream.events_of,
        ),
    }
)


class OpenAIReading(Provider):
    """Reads the responses of one of OpenAI's APIs.

    Args:
        api: ``chat`` or ``responses``.
    """

    name: ClassVar[str] = "openai"
    error_unless = ("choices", "output")

    def __init__(self, api: str) -> None:
        self._reading = _APIS[api]
        self.stream_form = self._reading.form

    def read(self, raw: Any) -> ModelResponse:
        return self._reading.read(raw)

    def stop_reasons(self, response: ModelResponse) -> Sequence[str | None]:
        return self._reading.stop_reasons(response.raw)

    def is_empty(self, response: ModelResponse) -> bool:
        return self._reading.is_empty(response.raw)

    def turn_of(self, response: ModelResponse) -> Sequence[Any] | None:
        return self._reading.turn(response.raw)

    def read_event(self, raw_event: Any) -> StreamEvent:
        return self._reading.read_event(raw_event)

    def gather(self, events: Sequence[Any]) -> Any | None:
        return self._reading.gather(events)

    def events_of(self, raw: Any) -> Sequence[Any]:
        return self._reading.events_of(raw)
