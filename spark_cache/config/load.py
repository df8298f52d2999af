"""Load a configuration: every layer, resolved once."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, final

from spark_cache.config.context import ConfigContext
from spark_cache.config.origins import Origin
from spark_cache.config.resolve import resolve
from spark_cache.config.warn import warn_once
from spark_cache.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token
    from pathlib import Path

    from spark_cache.config.model import CacheConfig
    from spark_cache.config.resolve import Resolution

__all__ = ["asked_profile", "load_config", "reload_config", "usable", "use_profile"]

P = ParamSpec("P")
T = TypeVar("T")

_in_use: ContextVar[str | None] = ContextVar("spark_cache_profile", default=None)


def load_config(
    profile: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    **overrides: Any,
) -> CacheConfig:
    """Resolve the configuration from code, environment, ``.env``, profiles and defaults, in this order.

    Args:
        profile: The profile; None leaves it to ``SPARK_PROFILE`` and ``ENVIRONMENT``.
        environ: The process environment; None is the real one.
        cwd: The working directory; None is the real one.
        overrides: Fields and values that win over everything else, in the forms that ``CacheConfig`` takes.
            None counts as not given; a lifetime without end is ``ttl_seconds="never"``.

    Returns:
        The configuration, its ``cache_dir`` absolute, its ``origins`` telling where each value came from.

    Raises:
        ConfigError: Something is wrong; all problems at once.
    """
    asked = asked_profile(profile)
    config = usable(resolve(asked, overrides, ConfigContext.of(environ, cwd)))
    # What use_profile says now may no longer be said when the configuration is loaded again.
    arguments = {"profile": asked and asked.raw, "environ": environ, "cwd": cwd, **overrides}
    return config.loaded(replace(config.provenance, arguments=arguments))


def usable(resolution: Resolution) -> CacheConfig:
    """The configuration of a resolution, its warnings given.

    Raises:
        ConfigError: There are problems; all at once.
    """
    for notice in resolution.notices:
        warn_once(str(notice))
    if resolution.config is None:
        raise ConfigError(resolution.problems)
    return resolution.config


def reload_config(config: CacheConfig) -> CacheConfig:
    """Load a configuration again as it was loaded, and change it again as it was changed.

    Args:
        config: What :func:`spark_cache.load_config` returned, or ``with_`` made of it; any other comes back as it is.

    Raises:
        ConfigError: What the layers say now cannot be used.
    """
    provenance = config.provenance
    if provenance.arguments is None:
        return config
    loaded = load_config(**provenance.arguments)
    return loaded.with_(**provenance.changes) if provenance.changes else loaded


@final
class use_profile:  # noqa: N801 - it is called like a function
    """Let :func:`spark_cache.load_config` take this profile within a ``with`` block, or a decorated function or coroutine.

    It wins over ``SPARK_PROFILE`` and ``ENVIRONMENT``, not over an explicit ``load_config(profile=…)``. It holds
    in this thread or task, and in the tasks started from it.

    Args:
        name: The profile.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._before: list[Token[str | None]] = []

    def __enter__(self) -> None:
        self._before.append(_in_use.set(self._name))

    def __exit__(self, *_: object) -> None:
        _in_use.reset(self._before.pop())

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """The same function, called within the profile."""
        if iscoroutinefunction(function):

            @wraps(function)
            async def inside(*args: P.args, **kwargs: P.kwargs) -> Any:
                with use_profile(self._name):
                    return await function(*args, **kwargs)

            return cast("Callable[P, T]", inside)

        @wraps(function)
        def within(*args: P.args, **kwargs: P.kwargs) -> T:
            with use_profile(self._name):
                return function(*args, **kwargs)

        return within


def asked_profile(profile: str | None) -> Origin | None:
    """The profile that the code asks for: by an argument, else by :func:`use_profile`."""
    if profile is not None:
        return Origin("constructor", "profile", raw=profile)
    used = _in_use.get()
    return None if used is None else Origin("constructor", "use_profile", raw=used)
