"""The base class of providers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from spark_cache.providers.dialect import Added, generic_dialect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from spark_cache.providers.dialect import Dialect
    from spark_cache.providers.heard import StreamForm
    from spark_cache.providers.response import ModelResponse, Usage
    from spark_cache.providers.stream import StreamEvent
    from spark_cache.types import Request

__all__ = ["Provider"]


class Provider(ABC):
    """How one provider is called, and how its responses are read.

    A provider's JSON is passed on and stored exactly as it was sent. Everything else is derived from it each time, so the
    methods that read it must be pure: no I/O, no clock.
    """

    name: ClassVar[str]
    """The name of the provider in keys, folders and rules."""

    embed_characters: ClassVar[int | None] = None
    """The maximum number of characters in the texts of one embedding call; None is no limit."""

    stream_form: StreamForm | None = None
    """The form of streams, to compare a whole response with its events. None compares the text and the tool calls alone."""

    error_unless: ClassVar[tuple[str, ...]] = ()
    """The fields of which a response has one, unless it is nothing but an error that was sent with a status of success."""

    shared_errors: ClassVar[tuple[type[Exception], ...]] = (Exception,)
    """The errors of a call that equal calls of the same client get too. After any other error they call the provider themselves."""

    # -- requests ----------------------------------------------------------------------------------------------

    def endpoint(self) -> str | None:
        """Return the normalised address that calls go to. The default is None, the provider's own."""
        return None

    def added(self) -> Added:
        """Return what the client adds to every request: its address, headers, query and body. The default is the address alone."""
        return Added(self.endpoint())

    @property
    def dialect(self) -> Dialect:
        """The way requests are written. By default, a body holds the arguments of the call by their names."""
        return generic_dialect(self.name)

    # -- whole responses ---------------------------------------------------------------------------------------

    @abstractmethod
    async def call(self, request: Request) -> Any:
        """Call the provider and return its whole response as JSON values.

        Args:
            request: The request. If its ``operation`` is ``json``, the response has to meet the schema in its body.
        """

    @abstractmethod
    def read(self, raw: Any) -> ModelResponse:
        """Read a response.

        Args:
            raw: The provider's JSON.
        """

    def stop_reasons(self, response: ModelResponse) -> Sequence[str | None]:
        """Return why the model stopped, for every candidate in a response.

        Args:
            response: The response.
        """
        return (response.stop_reason,)

    def is_empty(self, response: ModelResponse) -> bool:
        """Return whether a response has nothing in it: no text, no tool call, and no other content.

        Args:
            response: The response.
        """
        return not response.content and not response.tool_calls

    def turn_of(self, response: ModelResponse) -> Sequence[Any] | None:  # noqa: ARG002 - a default
        """Return a response as messages in the provider's own form; None if the common form is enough.

        Args:
            response: The response.
        """
        return None

    def json_text(self, response: ModelResponse) -> str:
        """Return the JSON text of a structured response.

        Args:
            response: The response.
        """
        return response.content

    # -- streams -----------------------------------------------------------------------------------------------

    def stream(self, request: Request) -> AsyncGenerator[Any, None]:  # noqa: ARG002 - a default
        """Call the provider and yield the events of its response as JSON values, as they arrive.

        The generator closes the connection when it is closed.

        Args:
            request: The request.
        """
        raise self._unsupported("stream responses")

    def read_event(self, raw_event: Any) -> StreamEvent:  # noqa: ARG002 - a default
        """Read one event. A tool call that the provider does not number has the index ``UNCOUNTED``.

        Args:
            raw_event: The event as JSON values.
        """
        raise self._unsupported("stream responses")

    def gather(self, events: Sequence[Any]) -> Any | None:  # noqa: ARG002 - a default
        """Return the response that the events of a stream add up to, in the form of :meth:`call`; None if incomplete.

        Args:
            events: All events of the stream.
        """
        raise self._unsupported("stream responses")

    def events_of(self, raw: Any) -> Sequence[Any]:  # noqa: ARG002 - a default
        """Return events for a response that was not streamed. :meth:`gather` must turn them into an equal response.

        Args:
            raw: The response.
        """
        raise self._unsupported("stream responses")

    # -- embeddings --------------------------------------------------------------------------------------------

    def embed_batch(self, model_id: str) -> int:  # noqa: ARG002 - a default
        """Return the maximum number of texts in one embedding call.

        Args:
            model_id: The model.
        """
        return 1

    async def embed(
        self,
        request: Request,  # noqa: ARG002 - a default
        texts: Sequence[str],  # noqa: ARG002 - the same
    ) -> tuple[Sequence[Sequence[float]], Usage | None]:
        """Embed texts in one call and return their vectors, in the same order, and what the call consumed.

        Args:
            request: The request for the first of the texts. The requests for the others differ only in the text.
            texts: At most as many texts as :meth:`embed_batch` says.
        """
        raise self._unsupported("embed texts")

    async def aclose(self) -> None:  # noqa: B027 - a provider without connections has nothing to close
        """Close the connections that were opened on the running event loop. The provider can still be used."""

    def _unsupported(self, what: str) -> NotImplementedError:
        return NotImplementedError(f"the provider {self.name!r} does not {what}")
