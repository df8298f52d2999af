"""Models whose answers are cached. A provider's SDK is imported when the first call goes out, never before."""

from __future__ import annotations

from spark_cache.models.base import Model
from spark_cache.models.openai import OpenAIModel
from spark_cache.models.response import ModelResponse, ToolCall, Usage

__all__ = ["Model", "ModelResponse", "OpenAIModel", "ToolCall", "Usage"]
