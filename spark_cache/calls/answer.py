"""What a call gets, and what its caller wants of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.providers.response import ModelResponse

__all__ = ["TEXT", "AnswerSpec", "Recorded", "StreamBrokenOffError"]


class StreamBrokenOffError(Exception):
    """A stream gave no whole response. Models handle it themselves.

    Attributes:
        reason: ``incomplete`` if the stream ended too early, or ``inconsistent`` if its events say something else than what
            they add up to.
        place: Where they do.
        recorded: What serves later streams: the events, with a response that has no content. None if nothing may be stored.
    """

    def __init__(self, reason: str, place: str = "", recorded: Recorded | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place
        self.recorded = recorded


class Recorded(NamedTuple):
    """A response, and the events it came in.

    Attributes:
        response: The response.
        events: Pairs of the milliseconds since the call and a raw event; None if the response was not streamed.
    """

    response: ModelResponse
    events: list[list[Any]] | None = None


class AnswerSpec(NamedTuple):
    """What a caller wants.

    Attributes:
        parse: Turns a recorded response into the caller's answer; returns None, or a reason, if it does not serve.
        validate: Raises if a new response must not be stored.
        on_event: Receives every raw event of a stream as it arrives; None asks for a response that is not streamed.
    """

    parse: Callable[[Recorded], Any]
    validate: Callable[[ModelResponse], object] | None = None
    on_event: Callable[[Any], None] | None = None


def _text(recorded: Recorded) -> ModelResponse | MissReason:
    # A stream serves a call that was not streamed only if the provider sent its usage.
    if recorded.events is not None and recorded.response.usage is None:
        return MissReason.UNSUITABLE
    return recorded.response


TEXT = AnswerSpec(parse=_text)
"""A whole text response."""
