"""How the responses of Bedrock's Converse API are read."""

from __future__ import annotations

from typing import ClassVar

from spark_cache.providers.bedrock.converse import is_empty, read_answer, turn_of
from spark_cache.providers.bedrock.stream import FORM, events_of, gather, read_event
from spark_cache.providers.reading import Functions, Reading

__all__ = ["BedrockReading"]


class BedrockReading(Reading):
    """Reads the responses of Amazon Bedrock."""

    name: ClassVar[str] = "bedrock"
    functions = Functions(read_answer, is_empty, turn_of, gather, read_event, events_of, FORM)
