"""How requests to Bedrock are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.providers.bedrock.converse import body_of, named_once
from spark_cache.providers.bedrock.embeddings import embedding_body
from spark_cache.providers.checks import refuse_reserved
from spark_cache.providers.dialect import Dialect
from spark_cache.providers.snapshot import Rules
from spark_cache.types import Base64Text

if TYPE_CHECKING:
    from spark_cache.providers.dialect import Arguments

__all__ = ["BedrockDialect"]

_RESERVED = frozenset({"modelId", "messages"})


class BedrockDialect(Dialect):
    """How requests to Bedrock's ``converse`` and ``invoke_model`` are written: as the JSON that boto3 sends."""

    name = "bedrock"
    rules = Rules(encode=Base64Text)
    content_rules = rules._replace(read=True)
    options = frozenset()
    # boto3 knows all parameters, and reports the others.
    has_extras = False

    def checked(self, parameters: dict[str, Any], operation: str) -> dict[str, Any]:  # noqa: ARG002 - the same for all
        refuse_reserved(parameters, _RESERVED)
        return named_once(parameters)

    def body(self, arguments: Arguments) -> dict[str, Any]:
        if arguments.operation == "embedding":
            return embedding_body(arguments.model_id, arguments.messages, arguments.parameters)
        return body_of(arguments)
