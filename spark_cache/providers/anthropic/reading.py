"""How the responses of Anthropic's Messages API are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from spark_cache.providers.anthropic.messages import is_empty, read_answer, turn_of
from spark_cache.providers.anthropic.stream import FORM, events_of, gather, read_event
from spark_cache.providers.reading import Functions, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spark_cache.providers.response import ModelResponse

__all__ = ["AnthropicReading"]


def _stop_reasons(response: ModelResponse) -> Sequence[str | None]:
    return ("end_turn" if response.stop_reason == "pause_turn" else response.stop_reason,)


class AnthropicReading(Reading):
    """Reads the responses of Anthropic."""

    name: ClassVar[str] = "anthropic"
    functions = Functions(
        read_answer, is_empty, turn_of, gather, read_event, events_of, FORM, stop_reasons=_stop_reasons
    )
    error_unless = ("content",)
