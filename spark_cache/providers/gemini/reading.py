"""How the responses of Gemini are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

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
from spark_cache.providers.reading import Functions, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spark_cache.providers.response import ModelResponse

__all__ = ["GeminiReading"]


def _stop_reasons(response: ModelResponse) -> Sequence[str | None]:
    return stop_reasons(response.raw) or (response.stop_reason,)


class GeminiReading(Reading):
    """Reads the responses of Gemini."""

    name: ClassVar[str] = "gemini"
    functions = Functions(
        read_answer, is_empty, turn_of, gather, read_event, events_of, FORM, stop_reasons=_stop_reasons
    )
    error_unless = ("candidates", "promptFeedback")
