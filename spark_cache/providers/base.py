"""What a provider's model says of itself: the hooks that a new provider fills in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from spark_cache.providers.response import ModelResponse, Usage
    from spark_cache.providers.stream import StreamEvent
    from spark_cache.types import Request

__all__ = ["ProviderHooks"]


class ProviderHooks(ABC):
    """How one provider is asked, and how its answers are understood.

    What a provider says is passed on and stored as JSON values, exactly as it was sent; what is made of them is worked out anew
    from these each time. The functions that make it are pure: they neither call anybody nor look at a clock.
    """

    provider: ClassVar[str]
    """The provider's name in keys, folders and rules."""

    embed_batch: ClassVar[int] = 1
    """How many texts the provider embeds in one call."""

    embed_characters: ClassVar[int | None] = None
    """How many characters the texts of one call may have together; None is no bound."""

    # -- every answer -------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def _endpoint(self) -> str | None:
        """The address that calls go to, normalised; None is the provider's own."""

    @abstractmethod
    async def _call(self, request: Request) -> Any:
        """Ask the provider; its answer as JSON values, complete.

        A request whose ``operation`` is ``json`` has an ``output_schema``, a JSON schema that the answer has to meet: it is asked
        for by the provider's own means, where there are any.
        """

    @abstractmethod
    def _read(self, raw: Any) -> ModelResponse:
        """Understand the provider's JSON."""

    def _stop_reasons(self, response: ModelResponse) -> Sequence[str | None]:
        """Why the model stopped, for every answer that a response holds."""
        return (response.stop_reason,)

    def _turn_of(self, response: ModelResponse) -> Sequence[Any] | None:  # noqa: ARG002 - as of the others below: a hook's default
        """An answer as messages in the provider's own form, with all that ours has no words for; None where there are none."""
        return None

    def _is_left_out(self, value: object) -> bool:  # noqa: ARG002 - a provider whose SDK has such marks knows them
        """Whether a value is one of the SDK's marks for an argument that is not given."""
        return False

    def _state_of(self, request: Request) -> str | None:  # noqa: ARG002 - few providers keep what a request only names
        """Where a request names something that the provider keeps and may change, such as ``messages[2].id``; None if nowhere.

        Parameters whose names say so are known already (:func:`spark_cache.keys.stateful_parameter`).
        """
        return None

    # -- streamed answers ---------------------------------------------------------------------------------------------------------

    def _stream(self, request: Request) -> AsyncGenerator[Any, None]:  # noqa: ARG002
        """Ask the provider for a stream: an asynchronous generator of its events, each as JSON values, as they arrive.

        It closes the connection when it is closed.
        """
        raise self._cannot("stream its answers")

    def _gather(self, events: Sequence[Any]) -> Any | None:  # noqa: ARG002
        """The answer that the events of a stream add up to, as ``_call`` would give it; None when they do not end it cleanly."""
        raise self._cannot("stream its answers")

    def _event(self, raw_event: Any) -> StreamEvent:  # noqa: ARG002
        """Understand one event of a stream; a call of a tool that the provider does not count has the index ``UNCOUNTED``."""
        raise self._cannot("stream its answers")

    def _events_of(self, raw: Any) -> Sequence[Any]:  # noqa: ARG002
        """Events that stand for an answer that was not streamed: what ``_gather`` makes of them reads equal to it."""
        raise self._cannot("stream its answers")

    # -- structured answers -------------------------------------------------------------------------------------------------------

    def _read_json_text(self, response: ModelResponse) -> str:
        """The JSON of a structured answer, as text."""
        return response.content

    # -- embeddings ---------------------------------------------------------------------------------------------------------------

    async def _embed(
        self,
        texts: Sequence[str],  # noqa: ARG002
        parameters: Mapping[str, Any],  # noqa: ARG002
    ) -> tuple[Sequence[Sequence[float]], Usage | None]:
        """Embed at most ``embed_batch`` texts in one call: their vectors in the same order, and what the call consumed."""
        raise self._cannot("embed texts")

    def _cannot(self, what: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} does not {what}")
