"""spark-cache: a configuration-driven cache for LLM responses.

Public names are imported on first use (PEP 562), so importing the package reads no file and imports no provider SDK.
"""

from __future__ import annotations

from spark_cache._lazy import lazy_exports

# Type checkers take this for true. Importing typing would double the cost of importing the package.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from spark_cache.agents import Agent, AgentConfig
    from spark_cache.clients import cached, install, installed, options, uninstall
    from spark_cache.config import CacheConfig, load_config
    from spark_cache.core.log_output import configure_logging
    from spark_cache.errors import (
        CacheMissError,
        ConfigError,
        InvalidAnswerError,
        SparkCacheError,
        StoreError,
        UncacheableRequestError,
        UncacheableResponseError,
    )
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
    "cached": "spark_cache.clients",
    "configure_logging": "spark_cache.core.log_output",
    "install": "spark_cache.clients",
    "installed": "spark_cache.clients",
    "load_config": "spark_cache.config",
    "options": "spark_cache.clients",
    "uninstall": "spark_cache.clients",
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
    "cached",
    "configure_logging",
    "install",
    "installed",
    "load_config",
    "options",
    "uninstall",
]


__getattr__ = lazy_exports(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
