"""Models with cached responses. A provider's SDK is imported when the first call is sent, never before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_cache._lazy import lazy_exports
from spark_cache.calls.threads import SyncStream
from spark_cache.models.base import Model
from spark_cache.models.options import ModelOptions
from spark_cache.providers.base import Provider
from spark_cache.providers.dialect import Added, Dialect
from spark_cache.providers.response import ModelResponse, ToolCall, Usage
from spark_cache.providers.stream import StreamEvent, ToolCallPiece

if TYPE_CHECKING:
    from spark_cache.calls.structured import JsonResponse
    from spark_cache.models.anthropic import AnthropicModel
    from spark_cache.models.bedrock import BedrockModel
    from spark_cache.models.gemini import GeminiModel
    from spark_cache.models.openai import OpenAIModel

__all__ = [
    "Added",
    "AnthropicModel",
    "BedrockModel",
    "Dialect",
    "GeminiModel",
    "JsonResponse",
    "Model",
    "ModelOptions",
    "ModelResponse",
    "OpenAIModel",
    "Provider",
    "StreamEvent",
    "SyncStream",
    "ToolCall",
    "ToolCallPiece",
    "Usage",
]

_HOMES = {
    "AnthropicModel": "spark_cache.models.anthropic",
    "BedrockModel": "spark_cache.models.bedrock",
    "GeminiModel": "spark_cache.models.gemini",
    "JsonResponse": "spark_cache.calls.structured",
    "OpenAIModel": "spark_cache.models.openai",
}
"""The names that are imported on first use."""


__getattr__ = lazy_exports(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
