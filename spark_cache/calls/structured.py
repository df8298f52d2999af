"""Structured responses: the requested schema, and the parsed object."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson

from spark_cache.errors import InvalidAnswerError
from spark_cache.providers.json_values import copied
from spark_cache.providers.response import ModelResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.calls.schema_validator import SchemaValidator

__all__ = ["JsonResponse", "Output"]

T = TypeVar("T")

_NO_JSON = {
    "tool_use": "the model called a tool instead",
    "max_tokens": "the response was cut off at the token limit",
    "refusal": "the model refused",
    "content_filter": "the provider's content filter withheld the response",
}
"""Why a response holds no JSON, by its stop reason."""

_FENCED = re.compile(r"\s*```[a-zA-Z]*[ \t]*\n(?P<json>.*?)\n?[ \t]*```\s*", re.DOTALL)
"""JSON in a Markdown code block, as models without structured output often write it."""

_QUOTING = frozenset({"assertion_error", "value_error"})
"""Error types whose message the model class writes, and which may quote the response."""

_SHOWN = 5
"""How many faults an error names."""


@dataclass(slots=True, repr=False)
class JsonResponse(ModelResponse, Generic[T]):
    """A structured response: a :class:`ModelResponse` with the parsed object.

    Attributes:
        output: An instance of the requested model class, or the parsed JSON if a JSON Schema was given.
    """

    output: T = None  # type: ignore[assignment]  # always set; a default is needed after fields with defaults

    __hash__ = None


class Output(Generic[T]):
    """The requested form of a structured response.

    Args:
        wanted: A pydantic model class, or a JSON Schema as a dictionary.

    Raises:
        TypeError: ``wanted`` is neither.
        ValueError: The JSON Schema is invalid, or has a reference that cannot be resolved within it.
    """

    def __init__(self, wanted: type[T] | Mapping[str, Any]) -> None:
        self.schema: dict[str, Any]
        self._parse: Callable[[str], Any]
        if isinstance(wanted, Mapping):
            try:
                self.schema = copied(dict(wanted))
            except RecursionError:
                raise ValueError("output_model: the schema is nested too deeply") from None
            self._validator = _compiled(self.schema)
            self._parse = self._parse_json
        elif _is_model_class(wanted):
            self.schema = wanted.model_json_schema()  # type: ignore[attr-defined]  # known only at run time
            self._parse = wanted.model_validate_json  # type: ignore[attr-defined]  # the same
        else:
            raise TypeError(
                "output_model must be a pydantic model class or a JSON schema as a dictionary, "
                f"not {wanted.__name__ if isinstance(wanted, type) else type(wanted).__name__}"
            )

    def of(self, response: ModelResponse, text: str) -> JsonResponse[T]:
        """Return a structured response with its parsed object.

        Args:
            response: The response.
            text: The JSON in it.

        Raises:
            InvalidAnswerError: The text is not valid JSON, or does not match the schema.
        """
        fenced = _FENCED.fullmatch(text) if text.lstrip().startswith("```") else None
        try:
            output = self._parse(text if fenced is None else fenced["json"])
        except ValueError as error:
            reason = _NO_JSON.get(response.stop_reason or "") or _without_quotes(error)
            # pydantic's errors quote the response, and a traceback would show them with this one.
            raise InvalidAnswerError(reason, response) from None
        given = {one.name: getattr(response, one.name) for one in fields(ModelResponse)}
        return JsonResponse(**given, output=output)

    def _parse_json(self, text: str) -> Any:
        try:
            value = orjson.loads(text)
        except ValueError:
            raise ValueError("the response is not valid JSON") from None
        fault = self._validator.fault(value)
        if fault is not None:
            raise ValueError(fault)
        return value


def _compiled(schema: dict[str, Any]) -> SchemaValidator:
    from spark_cache.calls.schema_validator import validator_of  # noqa: PLC0415 - 50 ms that only a JSON Schema needs

    return validator_of(schema)


def _is_model_class(wanted: Any) -> bool:
    # No import is needed: a program that defines a pydantic model has imported pydantic.
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(wanted, type) and issubclass(wanted, pydantic.BaseModel)


def _without_quotes(error: ValueError) -> str:
    """Return what is wrong with a response, without quoting it."""
    if not hasattr(error, "errors"):
        return str(error)
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [
        f"{'.'.join(map(str, fault['loc'])) or 'response'}: {fault['type'] if fault['type'] in _QUOTING else fault['msg']}"
        for fault in faults[:_SHOWN]
    ]
    more = len(faults) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")
