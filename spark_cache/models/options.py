"""The options that the constructors of all models share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from spark_cache.config import CacheConfig
    from spark_cache.manager import CacheManager
    from spark_cache.providers.response import ModelResponse
    from spark_cache.types import Request

__all__ = ["ModelOptions"]


class ModelOptions(TypedDict, total=False):
    """Keyword arguments of every model. An option that is None or left out comes from :func:`spark_cache.load_config`.

    Attributes:
        enable_cache: Whether responses are cached.
        cache_ttl_seconds: How long a response may be served: seconds, or a string such as ``"24h"``.
        cache_dir: The cache directory.
        cache_config: A whole configuration, instead of the one that is loaded.
        cache_manager: A manager of your own, instead of the one that models with an equal configuration share. Excludes the
            four options above.
        params: Parameters of every call, such as ``{"temperature": 0}``. Those of a call take precedence.
        should_cache: Called before a new response is stored, with the :class:`spark_cache.types.Request` and the
            :class:`spark_cache.ModelResponse`. If it returns False or raises, the response is not stored.
    """

    enable_cache: bool | None
    cache_ttl_seconds: float | str | None
    cache_dir: str | PathLike[str] | None
    cache_config: CacheConfig | None
    cache_manager: CacheManager | None
    params: Mapping[str, Any] | None
    should_cache: Callable[[Request, ModelResponse], bool] | None
