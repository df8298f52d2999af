"""Structured answers: the schema that is asked for, and the object that an answer is."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson

from spark_cache.calls.json_schema import unknown_keyword, violation
from spark_cache.errors import InvalidAnswerError
from spark_cache.providers.copies import copied
from spark_cache.providers.response import ModelResponse

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JsonResponse", "Output"]

T = TypeVar("T")

_NO_JSON = {
    "tool_use": "the model called a tool instead",
    "max_tokens": "it was cut at the token limit",
    "refusal": "the model refused",
    "content_filter": "the provider's content filter held it back",
}
"""Why an answer that is no JSON is none, where its reason to stop says so."""

_QUOTING = frozenset({"assertion_error", "value_error"})
"""Kinds of error whose message is written by the model class, and may quote the answer."""

_SHOWN = 5
"""How many of its faults an error names."""


@dataclass(frozen=True, slots=True, repr=False)
class JsonResponse(ModelResponse, Generic[T]):
    """A structured answer: a :class:`ModelResponse` that also is an object.

    Attributes:
        output: The object: an instance of the model class that was asked for, or what the JSON says.
    """

    output: T = None  # type: ignore[assignment]  # every one is given its own

    __hash__ = None

    __getstate__ = ModelResponse.__getstate__


class Output(Generic[T]):
    """What a structured answer has to be.

    Args:
        wanted: A pydantic model class, or a JSON schema.

    Raises:
        TypeError: It is neither.
        ValueError: The JSON schema has a keyword that cannot be checked.
    """

    def __init__(self, wanted: type[T] | Mapping[str, Any]) -> None:
        self.schema: dict[str, Any]
        self._parse: Callable[[str], Any]
        if isinstance(wanted, Mapping):
            self.schema = copied(dict(wanted))
            self._parse = self._checked
            unknown = unknown_keyword(self.schema)
            if unknown is not None:
                raise ValueError(f"output_model: {unknown}; leave it out, or give a pydantic model class")
        elif _is_model_class(wanted):
            self.schema = wanted.model_json_schema()  # type: ignore[attr-defined]  # known only at run time
            self._parse = wanted.model_validate_json  # type: ignore[attr-defined]  # the same
        else:
            raise TypeError(
                "output_model takes a pydantic model class or a JSON schema as a dictionary, "
                f"not {wanted.__name__ if isinstance(wanted, type) else type(wanted).__name__}"
            )

    def of(self, response: ModelResponse, text: str) -> JsonResponse[T]:
        """A structured answer with its object.

        Args:
            response: The answer.
            text: Its JSON.

        Raises:
            InvalidAnswerError: It is not what was asked for.
        """
        try:
            output = self._parse(text)
        except ValueError as error:
            reason = _NO_JSON.get(response.stop_reason or "") or _without_quotes(error)
            # What pydantic raises quotes the answer, and would be shown with ours.
            raise InvalidAnswerError(reason, response) from None
        given = {one.name: getattr(response, one.name) for one in fields(ModelResponse)}
        return JsonResponse(**given, output=output)

    def _checked(self, text: str) -> Any:
        try:
            value = orjson.loads(text)
        except ValueError:
            raise ValueError("it is no JSON") from None
        wrong = violation(value, self.schema)
        if wrong is not None:
            raise ValueError(wrong)
        return value


def _is_model_class(wanted: Any) -> bool:
    # Never imported here: a class can only be a pydantic model if its maker has imported pydantic.
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(wanted, type) and issubclass(wanted, pydantic.BaseModel)


def _without_quotes(error: ValueError) -> str:
    """What is wrong with an answer, without what it says."""
    if not hasattr(error, "errors"):
        return str(error)
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = [
        f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['type'] if fault['type'] in _QUOTING else fault['msg']}"
        for fault in faults[:_SHOWN]
    ]
    more = len(faults) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")
