"""How requests to OpenAI and compatible services are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.providers.checks import refuse_reserved, refuse_stream
from spark_cache.providers.dialect import Dialect
from spark_cache.providers.openai import chat, responses
from spark_cache.providers.sdk import Sdk
from spark_cache.providers.snapshot import Rules

if TYPE_CHECKING:
    from spark_cache.providers.dialect import Arguments

__all__ = ["SDK", "OpenAIDialect", "check_api"]

SDK = Sdk(
    module="openai",
    client="AsyncOpenAI",
    own_address="https://api.openai.com/v1",
    variables="OPENAI",
    own_headers={},
    choose_address=("data_residency", "provider"),
)

APIS = ("chat", "responses")


def check_api(api: object) -> None:
    """Refuse an API that does not exist.

    Args:
        api: The name of the API.

    Raises:
        ValueError: It is neither ``chat`` nor ``responses``.
    """
    if api not in APIS:
        raise ValueError(f"api={api!r} must be {' or '.join(map(repr, APIS))}")


class OpenAIDialect(Dialect):
    """How requests to one of OpenAI's two APIs for text are written. Embeddings have one API.

    Args:
        api: ``chat`` or ``responses``.
    """

    name = "openai"
    rules = Rules()
    content_rules = rules._replace(read=True)
    options = frozenset({*Dialect.options, "stream_options"})
    null_is_sent = True

    def __init__(self, api: str) -> None:
        self._reserved = frozenset({"api", "model", "messages" if api == "chat" else "input"})
        self._body = chat.body_of if api == "chat" else responses.body_of

    def is_not_given(self, value: object) -> bool:
        return SDK.is_not_given(value)

    def can_matter(self, header: str, value: Any) -> bool:
        return SDK.can_matter(header, value)

    def checked(self, parameters: dict[str, Any], operation: str) -> dict[str, Any]:
        if not parameters:
            return parameters
        refuse_reserved(parameters, self._reserved)
        refuse_stream(parameters)
        if operation == "embedding" and parameters.get("encoding_format", "float") != "float":
            raise TypeError("leave out encoding_format: vectors are always returned as lists of numbers")
        if isinstance(parameters.get("response_format"), type):
            raise TypeError(
                "response_format cannot be a class: call get_json(output_model, messages), which returns an instance of it"
            )
        return parameters

    def body(self, arguments: Arguments) -> dict[str, Any]:
        if arguments.operation == "embedding":
            return {**arguments.parameters, "input": arguments.messages}
        return self._body(arguments)
