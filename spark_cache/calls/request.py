"""Requests as models build them, out of what a call is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.providers.base import ProviderHooks
from spark_cache.providers.drafts import draft_of
from spark_cache.types import Mode, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["DEFAULT_MODE", "BuiltRequests", "mode_of_call"]

DEFAULT_MODE = "default"
"""What a call gives as ``cache`` to leave its mode to the configuration."""


_ORDINARY = frozenset({bool, dict, float, int, list, str, type(None)})
"""Types of values that are no SDK's mark of an argument that is not given."""

_NO_LIST = (str, bytes, dict)

_Draft = draft_of(Request)


class BuiltRequests(ProviderHooks):
    """What a model is asked, as values."""

    model_id: str
    params: Mapping[str, Any]

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a call, as a dictionary of their own, with whatever else its client sends that can change the answer."""
        together = {**self.params, **given} if self.params else given
        return {
            name: value
            for name, value in together.items()
            if type(value) in _ORDINARY or not self._is_left_out(value)
        }

    def _given(self, value: Any) -> Any:
        return None if self._is_left_out(value) else value

    def _request(
        self,
        messages: Sequence[Any],
        system_prompt: str | None,
        tool_specs: Sequence[Any] | None,
        tool_choice: Any,
        sample: int | None,
        parameters: Mapping[str, Any],
        output_schema: Mapping[str, Any] | None = None,
    ) -> Request:
        if isinstance(messages, _NO_LIST):
            raise TypeError(
                "messages takes a list of messages, such as [{'role': 'user', 'content': 'Hello'}], "
                f"not one {type(messages).__name__}"
            )
        draft = _Draft()
        draft.provider = self.provider
        draft.model_id = self.model_id
        draft.messages = messages
        # What is None needs no look, and mostly all three are.
        draft.system_prompt = None if system_prompt is None else self._given(system_prompt)
        draft.tool_specs = None if tool_specs is None else self._given(tool_specs)
        draft.tool_choice = None if tool_choice is None else self._given(tool_choice)
        draft.output_schema = output_schema
        draft.operation = "text" if output_schema is None else "json"
        draft.endpoint = self._endpoint()
        draft.sample = sample
        draft.parameters = self._parameters(parameters)
        draft.__class__ = Request
        request: Request = draft
        return request

    def _request_to_embed(self, text: str, parameters: Mapping[str, Any]) -> Request:
        return Request(
            provider=self.provider,
            model_id=self.model_id,
            messages=text,
            operation="embedding",
            endpoint=self._endpoint(),
            parameters=parameters,
        )


def mode_of_call(cache: str) -> Mode | None:
    """The mode that a call asks for; None leaves it to the configuration.

    Raises:
        ValueError: There is no such mode.
    """
    if cache == DEFAULT_MODE:
        return None
    try:
        return Mode(cache)
    except ValueError:
        raise ValueError(f"cache={cache!r}: it takes {', '.join((DEFAULT_MODE, *Mode))}") from None
