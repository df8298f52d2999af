"""How the responses of an API are read, whatever sends the requests: one table of pure functions for each API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.providers.base import Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spark_cache.providers.heard import StreamForm
    from spark_cache.providers.response import ModelResponse
    from spark_cache.providers.stream import StreamEvent

__all__ = ["Functions", "Reading"]


def _own_stop_reason(response: ModelResponse) -> Sequence[str | None]:
    return (response.stop_reason,)


class Functions(NamedTuple):
    """The functions that read the JSON of one API. Most are the method of :class:`Provider` with the same name.

    Attributes:
        read: Reads a whole response.
        is_empty: Whether the JSON has nothing in it.
        turn_of: Returns the JSON as messages in the provider's own form.
        gather: Returns the response that events add up to.
        read_event: Reads one event.
        events_of: Returns events for a response that was not streamed.
        form: The form of streams.
        stop_reasons: Returns why the model stopped, for every candidate in a response.
    """

    read: Callable[[Any], ModelResponse]
    is_empty: Callable[[Any], bool]
    turn_of: Callable[[Any], Sequence[Any] | None]
    gather: Callable[[Sequence[Any]], Any | None]
    read_event: Callable[[Any], StreamEvent]
    events_of: Callable[[Any], Sequence[Any]]
    form: StreamForm
    stop_reasons: Callable[[ModelResponse], Sequence[str | None]] = _own_stop_reason


class Reading(Provider):
    """A provider whose responses are read by functions."""

    functions: Functions

    @property
    def stream_form(self) -> StreamForm:  # type: ignore[override]  # derived here, set elsewhere
        return self.functions.form

    def read(self, raw: Any) -> ModelResponse:
        return self.functions.read(raw)

    def stop_reasons(self, response: ModelResponse) -> Sequence[str | None]:
        return self.functions.stop_reasons(response)

    def is_empty(self, response: ModelResponse) -> bool:
        return self.functions.is_empty(response.raw)

    def turn_of(self, response: ModelResponse) -> Sequence[Any] | None:
        return self.functions.turn_of(response.raw)

    def gather(self, events: Sequence[Any]) -> Any | None:
        return self.functions.gather(events)

    def read_event(self, raw_event: Any) -> StreamEvent:
        return self.functions.read_event(raw_event)

    def events_of(self, raw: Any) -> Sequence[Any]:
        return self.functions.events_of(raw)
