"""Build requests from the arguments of a call: a snapshot that no later change of the arguments reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from spark_cache.providers.snapshot import snapshot
from spark_cache.types import Mode, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spark_cache.providers.base import Provider

__all__ = ["DEFAULT_MODE", "RequestBuilder", "mode_of_call"]

DEFAULT_MODE = "default"
"""The value of ``cache`` that leaves the mode to the configuration."""

_ORDINARY = frozenset({bool, dict, float, int, list, str, type(None)})
"""Types that are never an SDK's marker for an argument that is not given."""


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
        provider = self._provider
        plain = None if isinstance(messages, str | bytes) else snapshot(messages, provider.dump, read=True)
        if type(plain) is not list:
            raise TypeError(
                "messages must be a list of messages, such as [{'role': 'user', 'content': 'Hello'}], "
                f"not a {type(messages).__name__}"
            )
        tools = None if tool_specs is None else self._given(tool_specs)
        if tools is not None and type(tools) is not list:
            raise TypeError(
                "tool_specs must be a list of tools, such as [{'name': …, 'description': …, 'parameters': …}], "
                f"not a {type(tool_specs).__name__}"
            )
        operation = "text" if output_schema is None else "json"
        return Request(
            provider.name,
            self._model.model_id,
            plain,
            None if system_prompt is None else self._given(system_prompt),
            tools,
            None if tool_choice is None else self._given(tool_choice),
            output_schema,
            operation,
            provider.endpoint(),
            sample,
            self.parameters(parameters, operation),
        )

    def parameters(self, given: Mapping[str, Any], operation: str) -> dict[str, Any]:
        """Return the parameters of a request as plain values, without markers for arguments that are not given.

        Args:
            given: The parameters of the call.
            operation: ``text``, ``json`` or ``embedding``.
        """
        params = self._model.params
        together = {**params, **given} if params else given
        provider = self._provider
        complete = provider.parameters(
            {
                name: value
                for name, value in together.items()
                if type(value) in _ORDINARY or not provider.is_not_given(value)
            },
            operation,
        )
        if not complete:
            return complete
        plain = {name: snapshot(value, provider.dump) for name, value in complete.items()}
        headers = plain.get("extra_headers")
        if type(headers) is dict and len(headers) > 1:
            plain["extra_headers"] = _one_of_each(headers)
        return plain

    def embedding(self, text: str, parameters: Mapping[str, Any]) -> Request:
        """Build a request to embed one text.

        Args:
            text: The text.
            parameters: What :meth:`parameters` returned for the call.
        """
        return Request(
            self._provider.name,
            self._model.model_id,
            text,
            operation="embedding",
            endpoint=self._provider.endpoint(),
            parameters=parameters,
        )

    def _given(self, value: Any) -> Any:
        return None if self._provider.is_not_given(value) else snapshot(value, self._provider.dump)


def _one_of_each(headers: dict[Any, Any]) -> dict[Any, Any]:
    """Return headers without those that a later one with the same name, in whatever case, replaces."""
    last = {str(name).lower(): name for name in headers}
    return headers if len(last) == len(headers) else {name: headers[name] for name in last.values()}


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
