"""How requests to Gemini are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spark_cache.providers.dialect import Added, Dialect
from spark_cache.providers.gemini.request import body_of, embedding_body, named_once
from spark_cache.providers.gemini.service import merged
from spark_cache.providers.snapshot import Rules
from spark_cache.types import Base64Text

if TYPE_CHECKING:
    from spark_cache.providers.dialect import Arguments
    from spark_cache.providers.gemini.service import Service

__all__ = ["GeminiDialect", "added_by"]

_OF_A_CALL = {"headers": "extra_headers", "extra_body": "extra_body", "timeout": "timeout"}
"""The options that ``http_options`` of a call may contain, and the parameters that they set."""

_NOT_PARAMETERS = {
    "model": "give it to GeminiModel",
    "contents": "give it as messages",
    "config": "give its fields by their names, such as temperature=0",
    "extra_query": "give it to the client",
    "stream": "call stream_text",
}
"""Arguments of the SDK that are not parameters of a call, and what to do instead."""


class GeminiDialect(Dialect):
    """How requests to Gemini's ``generateContent`` and ``embedContent`` are written."""

    name = "gemini"
    rules = Rules(
        dump=lambda value: value.model_dump(mode="json", by_alias=True, exclude_none=True, warnings=False),
        # The SDK's own alphabet.
        encode=lambda data: Base64Text(data, urlsafe=True),
    )
    content_rules = rules._replace(read=True)
    options = frozenset({"timeout"})

    def checked(self, parameters: dict[str, Any], operation: str) -> dict[str, Any]:  # noqa: ARG002 - the same for all
        for name, advice in _NOT_PARAMETERS.items():
            if name in parameters:
                raise TypeError(f"{name!r} is not a parameter of a call: {advice}")
        options = parameters.pop("http_options", None) or {}
        for name, value in _set_fields(options).items():
            if name not in _OF_A_CALL:
                raise TypeError(
                    f"http_options of a call accepts {', '.join(_OF_A_CALL)}: give {name!r} to the client"
                )
            parameters[_OF_A_CALL[name]] = value
        return named_once(parameters)

    def body(self, arguments: Arguments) -> dict[str, Any]:
        if arguments.operation == "embedding":
            return embedding_body(arguments.messages, arguments.parameters)
        return body_of(arguments)

    def merged(self, body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
        return merged(body, extra)


def added_by(service: Service) -> Added:
    """Return what a client of a service adds to every request.

    Args:
        service: The service.
    """
    return Added(service.endpoint, headers=service.headers, body=service.body)


def _set_fields(options: Any) -> dict[str, Any]:
    given = options if isinstance(options, Mapping) else options.model_dump(exclude_none=True)
    return {name: value for name, value in given.items() if value is not None}
