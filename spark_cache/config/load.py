"""Load the configuration from all its layers."""

from __future__ import annotations

from contextvars import ContextVar
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

__all__ = ["load_again", "load_config", "profile_from_code", "reload_config", "usable", "use_profile"]

P = ParamSpec("P")
T = TypeVar("T")

_active_profile: ContextVar[str | None] = ContextVar("spark_cache_profile", default=None)


def load_config(
    profile: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    **overrides: Any,
) -> CacheConfig:
    """Resolve the configuration from code, the environment, ``.env``, profiles and defaults, in this order.

    Args:
        profile: The profile. None selects it by ``SPARK_PROFILE`` or ``ENVIRONMENT``.
        environ: The environment variables. None uses those of the process.
        cwd: The working directory. None uses that of the process.
        overrides: Values that take precedence over every other layer, in the forms that ``CacheConfig`` accepts.
            None counts as not given. For entries that never expire, use ``ttl_seconds="never"``.

    Returns:
        The configuration. ``cache_dir`` is absolute, and ``origins`` holds the origin of each value.

    Raises:
        ConfigError: The configuration cannot be used. The error lists all problems.
    """
    selected = profile_from_code(profile)
    config = usable(resolve(selected, overrides, ConfigContext.of(environ, cwd)))
    # The block of use_profile may be over when the configuration is reloaded.
    arguments = {"profile": selected and selected.raw, "environ": environ, "cwd": cwd, **overrides}
    return config.loaded(config.provenance._replace(arguments=arguments))


def usable(resolution: Resolution) -> CacheConfig:
    """Return the configuration of a resolution and log its warnings.

    Args:
        resolution: The resolved layers.

    Raises:
        ConfigError: The resolution has problems. The error lists all of them.
    """
    for warning in resolution.warnings:
        # ENVIRONMENT belongs to the whole application: with the cache off, its value does not matter here.
        if resolution.is_on or warning not in resolution.choice.warnings:
            warn_once(str(warning))
    if resolution.config is None:
        raise ConfigError(resolution.problems)
    return resolution.config


def reload_config(config: CacheConfig) -> CacheConfig:
    """Load a configuration again with the same arguments, and apply the same changes.

    Args:
        config: A configuration from :func:`spark_cache.load_config` or from its ``with_`` method. Any other
            configuration is returned unchanged.

    Raises:
        ConfigError: The current layers do not give a valid configuration.
    """
    provenance = config.provenance
    if provenance.arguments is None:
        return config
    return load_again(provenance.arguments, provenance.changes)


def load_again(arguments: Mapping[str, Any], changes: Mapping[str, Any] | None) -> CacheConfig:
    """Load a configuration from what its provenance says.

    Args:
        arguments: The arguments of :func:`load_config`.
        changes: The changes that ``with_`` made since.
    """
    loaded = load_config(**arguments)
    return loaded.with_(**changes) if changes else loaded


@final
class use_profile:  # noqa: N801 - it is called like a function
    """Select the profile for :func:`spark_cache.load_config` in a ``with`` block or a decorated function or coroutine.

    The profile takes precedence over ``SPARK_PROFILE`` and ``ENVIRONMENT``, but not over an explicit
    ``load_config(profile=…)``. It applies to the current thread or task and to tasks started from it.

    Args:
        name: The profile.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._before: list[Token[str | None]] = []

    def __enter__(self) -> None:
        self._before.append(_active_profile.set(self._name))

    def __exit__(self, *_: object) -> None:
        _active_profile.reset(self._before.pop())

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Return a function that runs with the profile."""
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


def profile_from_code(profile: str | None) -> Origin | None:
    """Return the profile that code selects: by an argument, or by :func:`use_profile`."""
    if profile is not None:
        return Origin("constructor", "profile", raw=profile)
    active = _active_profile.get()
    return None if active is None else Origin("constructor", "use_profile", raw=active)
