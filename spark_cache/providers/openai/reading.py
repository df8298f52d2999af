"""How the responses of OpenAI's two APIs for text are read."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from spark_cache.providers.openai import chat, chat_stream, responses, responses_stream
from spark_cache.providers.reading import Functions, Reading

__all__ = ["OpenAIReading"]

_APIS = MappingProxyType(
    {
        "chat": Functions(
            read=chat.read_answer,
            is_empty=chat.is_empty,
            turn_of=chat.turn_of,
            gather=chat_stream.gather,
            read_event=chat_stream.event_of,
            events_of=chat_stream.events_of,
            form=chat_stream.FORM,
            stop_reasons=lambda response: chat.stop_reasons(response.raw),
        ),
        "responses": Functions(
            read=responses.read_answer,
            is_empty=responses.is_empty,
            turn_of=responses.turn_of,
            gather=responses_stream.gather,
            read_event=responses_stream.event_of,
            events_of=responses_stream.events_of,
            form=responses_stream.FORM,
            stop_reasons=lambda response: responses.stop_reasons(response.raw),
        ),
    }
)


class OpenAIReading(Reading):
    """Reads the responses of one of OpenAI's APIs.

    Args:
        api: ``chat`` or ``responses``.
    """

    name: ClassVar[str] = "openai"
    error_unless = ("choices", "output")

    def __init__(self, api: str) -> None:
        self.functions = _APIS[api]
