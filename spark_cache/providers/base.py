"""The base class of providers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from spark_cache.providers.snapshot import dumped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

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

    # -- requests ----------------------------------------------------------------------------------------------

    @abstractmethod
    def endpoint(self) -> str | None:
        """Return the normalised address that calls go to; None for the provider's own."""

    def parameters(self, given: dict[str, Any], operation: str) -> dict[str, Any]:  # noqa: ARG002 - a default
        """Return the parameters of a request, with everything the client adds that can change the response.

        Args:
            given: The parameters of the model and the call, in a new dictionary.
            operation: ``text``, ``json`` or ``embedding``.

        Raises:
            TypeError: A parameter must be given elsewhere.
        """
        return given

    def dump(self, value: Any) -> Any:
        """Return the content of a pydantic model in a request, as the provider's SDK sends it.

        Args:
            value: The model.
        """
        return dumped(value)

    def is_not_given(self, value: object) -> bool:  # noqa: ARG002 - a default
        """Whether a value is one of the SDK's markers for an argument that is not given.

        Args:
            value: The value.
        """
        return False

    def state_path(self, request: Request) -> str | None:  # noqa: ARG002 - a default
        """Return the path of a reference to state at the provider, such as ``messages[2].id``; None if there is none.

        Parameters that are known to refer to state by their names are recognised without it.

        Args:
            request: The request.
        """
        return None

    # -- whole responses ---------------------------------------------------------------------------------------

    @abstractmethod
    async def call(self, request: Request) -> Any:
        """Call the provider and return its whole response as JSON values.

        Args:
            request: The request. If its ``operation`` is ``json``, the response has to meet its ``output_schema``.
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
        model_id: str,  # noqa: ARG002 - a default
        texts: Sequence[str],  # noqa: ARG002 - the same
        parameters: Mapping[str, Any],  # noqa: ARG002 - the same
    ) -> tuple[Sequence[Sequence[float]], Usage | None]:
        """Embed texts in one call and return their vectors, in the same order, and what the call consumed.

        Args:
            model_id: The model.
            texts: At most as many texts as :meth:`embed_batch` says.
            parameters: The parameters of the request.
        """
        raise self._unsupported("embed texts")

    async def aclose(self) -> None:  # noqa: B027 - a provider without connections has nothing to close
        """Close the connections that were opened on the running event loop. The provider can still be used."""

    def _unsupported(self, what: str) -> NotImplementedError:
        return NotImplementedError(f"the provider {self.name!r} does not {what}")
