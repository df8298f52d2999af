"""Build requests from the arguments of a call: a snapshot that no later change of the arguments reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from spark_cache.providers.dialect import Arguments, build_request, given_parameters, plain_arguments
from spark_cache.types import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_cache.providers.base import Provider
    from spark_cache.types import Request

__all__ = ["DEFAULT_MODE", "RequestBuilder", "mode_of_call"]

DEFAULT_MODE = "default"
"""The value of ``cache`` that leaves the mode to the configuration."""


class Asker(Protocol):
    """The model that a request is for. Its attributes may change between two requests."""

    model_id: str
    params: dict[str, Any]


class RequestBuilder:
    """Builds the requests of one model.

    Args:
        provider: The provider.
        model: The model. Parameters of a call take precedence over its ``params``.
    """

    def __init__(self, provider: Provider, model: Asker) -> None:
        self._provider = provider
        self._dialect = provider.dialect
        self._model = model

    def build(
        self,
        messages: Sequence[Any],
        system_prompt: str | None,
        tool_specs: Sequence[Any] | None,
        tool_choice: Any,
        sample: int | None,
        parameters: Mapping[str, Any],
        output_schema: Mapping[str, Any] | None = None,
    ) -> Request:
        """Build a request for text, or for JSON if there is a schema.

        Args:
            messages: The conversation.
            system_prompt: System instructions in addition to the messages.
            tool_specs: The tools that the model may call.
            tool_choice: The tool that the model should call.
            sample: The number of this sample.
            parameters: The parameters of the call.
            output_schema: The schema of a structured answer.

        Raises:
            TypeError: ``messages`` or ``tool_specs`` is not a list, or a parameter must be given elsewhere.
        """
        operation = "text" if output_schema is None else "json"
        arguments = plain_arguments(
            self._dialect,
            self._model.model_id,
            messages,
            system_prompt,
            tool_specs,
            tool_choice,
            output_schema,
            operation,
            self._together(parameters),
        )
        return build_request(self._dialect, self._provider.added(), arguments, sample)

    def embeddings(self, texts: Sequence[str], parameters: Mapping[str, Any]) -> list[Request]:
        """Build requests to embed texts, one for each.

        Args:
            texts: The texts.
            parameters: The parameters of the call.
        """
        given = given_parameters(self._dialect, self._together(parameters), "embedding")
        added = self._provider.added()
        return [
            build_request(
                self._dialect,
                added,
                Arguments(self._model.model_id, str.__str__(text), operation="embedding", parameters=given),
            )
            for text in texts
        ]

    def _together(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        params = self._model.params
        return {**params, **parameters} if params else parameters


def mode_of_call(cache: str) -> Mode | None:
    """Return the mode that a call asks for; None leaves it to the configuration.

    Args:
        cache: A mode, or ``default``.

    Raises:
        ValueError: There is no such mode.
    """
    if cache == DEFAULT_MODE:
        return None
    try:
        return Mode(cache)
    except ValueError:
        raise ValueError(f"cache={cache!r} must be one of {', '.join((DEFAULT_MODE, *Mode))}") from None
