"""What the replay has to know of a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from spark_cache import Model

__all__ = ["FIRST_ERROR", "Exchange", "Provider", "Said"]

Exchange = dict[str, Any]
"""One recorded exchange: ``id``, ``path``, ``request``, ``status``, ``response``, ``encoding``, ``stream``."""

FIRST_ERROR = 400


class Said(NamedTuple):
    """What a recorded answer says, worked out from the recording without the models."""

    content: str
    tool_calls: list[list[Any]]
    stop_reason: str
    provider_stop_reason: str
    usage: list[int | None]
    """Input, output, total, cached and reasoning tokens."""


class Provider(Protocol):
    """A module of this package."""

    def endpoint(self, exchange: Exchange) -> str | None:
        """The name of the endpoint that an exchange was recorded from; None where it is not this provider's."""

    def model(self, exchange: Exchange, server: str) -> Model:
        """The model to ask, at a server."""

    def arguments(self, exchange: Exchange) -> dict[str, Any]:
        """The arguments of ``get_text`` that mean the recorded request."""

    def status_of(self, error: Exception) -> int | None:
        """The HTTP status of an error of the provider's SDK; None for any other error."""

    def said(self, exchange: Exchange) -> Said:
        """What a recorded answer says."""

    def events(self, exchange: Exchange) -> list[Any]:
        """The recorded events of a stream, as a model passes them on."""

    def not_stored(self, exchange: Exchange) -> str | None:
        """Why an answer must not be stored; None where it may be."""
