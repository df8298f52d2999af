"""spark-cache: a configuration-driven cache for language model responses.

Every public name is loaded when it is first used (PEP 562), so that importing the package reads no file and imports no
provider's SDK.
"""

from __future__ import annotations

# Type checkers take this name for true; importing typing would cost more than the rest of the package.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from spark_cache.agents import Agent, AgentConfig
    from spark_cache.config import CacheConfig, load_config
    from spark_cache.errors import (
        CacheMissError,
        ConfigError,
        InvalidAnswerError,
        SparkCacheError,
        StoreError,
        UncacheableRequestError,
        UncacheableResponseError,
    )
    from spark_cache.events import configure_logging
    from spark_cache.manager import CacheManager
    from spark_cache.models import (
        AnthropicModel,
        BedrockModel,
        GeminiModel,
        JsonResponse,
        Model,
        ModelResponse,
        OpenAIModel,
        StreamEvent,
    )
    from spark_cache.types import CacheKey, MissReason, Mode

__version__ = "0.1.0"

_HOMES = {
    "Agent": "spark_cache.agents",
    "AgentConfig": "spark_cache.agents",
    "AnthropicModel": "spark_cache.models",
    "BedrockModel": "spark_cache.models",
    "CacheConfig": "spark_cache.config",
    "CacheKey": "spark_cache.types",
    "CacheManager": "spark_cache.manager",
    "CacheMissError": "spark_cache.errors",
    "ConfigError": "spark_cache.errors",
    "GeminiModel": "spark_cache.models",
    "InvalidAnswerError": "spark_cache.errors",
    "JsonResponse": "spark_cache.models",
    "MissReason": "spark_cache.types",
    "Mode": "spark_cache.types",
    "Model": "spark_cache.models",
    "ModelResponse": "spark_cache.models",
    "OpenAIModel": "spark_cache.models",
    "SparkCacheError": "spark_cache.errors",
    "StoreError": "spark_cache.errors",
    "StreamEvent": "spark_cache.models",
    "UncacheableRequestError": "spark_cache.errors",
    "UncacheableResponseError": "spark_cache.errors",
    "configure_logging": "spark_cache.events",
    "load_config": "spark_cache.config",
}

__all__ = [
    "Agent",
    "AgentConfig",
    "AnthropicModel",
    "BedrockModel",
    "CacheConfig",
    "CacheKey",
    "CacheManager",
    "CacheMissError",
    "ConfigError",
    "GeminiModel",
    "InvalidAnswerError",
    "JsonResponse",
    "MissReason",
    "Mode",
    "Model",
    "ModelResponse",
    "OpenAIModel",
    "SparkCacheError",
    "StoreError",
    "StreamEvent",
    "UncacheableRequestError",
    "UncacheableResponseError",
    "__version__",
    "configure_logging",
    "load_config",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - the first name that is used pays for it

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
