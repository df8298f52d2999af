"""The options that the constructors of all models share, and the manager that they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from spark_cache.manager import CacheManager

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from spark_cache.config import CacheConfig
    from spark_cache.providers.response import ModelResponse
    from spark_cache.types import Request

__all__ = ["ModelOptions", "manager_of"]


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


def manager_of(kind: str, options: ModelOptions) -> CacheManager | None:
    """Return the manager that the options ask for. None if they turn the cache off: its settings are not read yet.

    Args:
        kind: The name of the model's class.
        options: The options.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: An option has the wrong type, or does not exist.
        ValueError: ``cache_manager`` is given together with another option of the cache.
    """
    for name in options.keys() - ModelOptions.__annotations__.keys():
        raise TypeError(f"{kind}() got an unexpected keyword argument {name!r}; {_advice(name)}")
    overrides = {
        "enabled": options.get("enable_cache"),
        "ttl_seconds": options.get("cache_ttl_seconds"),
        "cache_dir": options.get("cache_dir"),
    }
    given = {name: value for name, value in overrides.items() if value is not None}
    config, manager = options.get("cache_config"), options.get("cache_manager")
    if manager is None:
        if config is None and given == {"enabled": False}:
            return None
        return CacheManager.shared(_configured(config, given))
    if not isinstance(manager, CacheManager):
        raise TypeError(f"cache_manager must be a CacheManager, not {type(manager).__name__}")
    if given or config is not None:
        raise ValueError("give cache_manager alone: it has its own configuration")
    return manager


_OF_A_CLIENT = frozenset({"api_key", "base_url", "default_headers", "http_client", "organization", "timeout"})
_OPTIONS_BY_OTHER_NAMES = {
    "ttl": "cache_ttl_seconds",
    "cache": "enable_cache",
    "model": "model_id",
    "config": "cache_config",
}


def _advice(name: str) -> str:
    """Return what to give instead of an argument that does not exist."""
    if name in _OF_A_CLIENT:
        return f"give it to the client: client_args={{{name!r}: …}}"
    if name in _OPTIONS_BY_OTHER_NAMES:
        return f"the argument is {_OPTIONS_BY_OTHER_NAMES[name]}"
    from difflib import get_close_matches  # noqa: PLC0415 - needed only for the message

    near = get_close_matches(name, ModelOptions.__annotations__, n=1)
    return (
        f"did you mean {near[0]}?" if near else f"a parameter of every call goes into params={{{name!r}: …}}"
    )


def _configured(config: CacheConfig | None, given: Mapping[str, Any]) -> CacheConfig:
    from spark_cache.config import CacheConfig, load_config  # noqa: PLC0415 - the first configuration imports pydantic

    if config is None:
        return load_config(**given)
    if not isinstance(config, CacheConfig):
        raise TypeError(f"cache_config must be a CacheConfig, not {type(config).__name__}")
    return config.with_(**given) if given else config
