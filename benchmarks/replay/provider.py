"""The interface of a provider in the replay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from spark_cache import Model

__all__ = ["FIRST_ERROR", "Exchange", "Provider", "RecordedContent"]

Exchange = dict[str, Any]
"""One recorded exchange: ``id``, ``path``, ``request``, ``status``, ``response``, ``encoding``, ``stream``."""

FIRST_ERROR = 400


class RecordedContent(NamedTuple):
    """The content of a recorded response, extracted without the library's models."""

    content: str
    tool_calls: list[list[Any]]
    stop_reason: str
    provider_stop_reason: str
    usage: list[int | None]
    """Input, output, total, cached and reasoning tokens."""


class Provider(Protocol):
    """A provider, implemented as a module of this package."""

    def endpoint(self, exchange: Exchange) -> str | None:
        """Return the name of the endpoint of an exchange, or None if it belongs to another provider.

        Args:
            exchange: The recorded exchange.
        """

    def model(self, exchange: Exchange, server: str) -> Model:
        """Return the model of an exchange.

        Args:
            exchange: The recorded exchange.
            server: The URL of the server.
        """

    def arguments(self, exchange: Exchange) -> dict[str, Any]:
        """Return the arguments of ``get_text`` for the recorded request.

        Args:
            exchange: The recorded exchange.
        """

    def status_of(self, error: Exception) -> int | None:
        """Return the HTTP status of an error of the provider's SDK, or None for any other error.

        Args:
            error: The error.
        """

    def recorded_content(self, exchange: Exchange) -> RecordedContent:
        """Return the content of a recorded response.

        Args:
            exchange: The recorded exchange.
        """

    def events(self, exchange: Exchange) -> list[Any]:
        """Return the recorded events of a stream, as a model yields them.

        Args:
            exchange: The recorded exchange.
        """

    def not_stored(self, exchange: Exchange) -> str | None:
        """Return why a response must not be stored, or None if it may be stored.

        Args:
            exchange: The recorded exchange.
        """
