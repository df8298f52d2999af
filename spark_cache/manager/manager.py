"""The manager joins the rooms: key the request, fetch the bytes, open them, decode them, answer."""

from __future__ import annotations

import weakref
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

from spark_cache.errors import ConfigError
from spark_cache.manager.calls import PlannedCalls
from spark_cache.manager.core import loaded, ring_of
from spark_cache.manager.entries import KeyedEntries
from spark_cache.manager.maintenance import WholeDirectory

if TYPE_CHECKING:
    from spark_cache.config import CacheConfig, FieldDiff


__all__ = ["CacheManager"]


class CacheManager(PlannedCalls, KeyedEntries, WholeDirectory):
    """Answers from a cache directory, stores answers in it, and manages what is there.

    ``enabled`` gates :meth:`get` and :meth:`set` alone; managing always works on the directory. Managers of one real directory share
    its store and its figures. Safe for threads, tasks and processes.

    Args:
        config: The configuration; None is what :func:`spark_cache.load_config` finds.
        clock: The time in seconds since the epoch.
        sink: Where events go; None is the standard logger ``spark_cache``.

    Raises:
        ConfigError: The configuration cannot be used.
    """

    @classmethod
    def get_instance(cls, config: CacheConfig | None = None) -> CacheManager:
        """The manager of this process, made when first asked for.

        Args:
            config: Its configuration; None takes the manager as it is, or what :func:`spark_cache.load_config` finds.

        Raises:
            ConfigError: There is a manager already, with another configuration.
        """
        global _instance  # noqa: PLW0603 - the one documented singleton
        with _instances_lock:
            if _instance is None:
                _instance = _shared(loaded(config))
            elif config is not None and config != _instance.config:
                raise ConfigError(
                    "CacheManager.get_instance() was called before with another configuration. "
                    "Call CacheManager.reset_instance() first, or make an independent CacheManager(config)."
                )
            return _instance

    @classmethod
    def reset_instance(cls) -> None:
        """Forget the manager of this process; the next :meth:`get_instance` makes another. The cache is left as it is."""
        global _instance  # noqa: PLW0603 - the one documented singleton
        with _instances_lock:
            _instance = None

    @classmethod
    def shared(cls, config: CacheConfig) -> CacheManager:
        """The manager that everybody with an equal configuration shares."""
        with _instances_lock:
            return _shared(config)

    @classmethod
    def reload_shared(cls) -> None:
        """Reload every manager that models share; one whose layers now say what cannot be used stays as it is."""
        with _instances_lock:
            managers = list(_instances.values())
        for manager in managers:
            with suppress(ConfigError):
                manager.reload()

    def reload(self, config: CacheConfig | None = None) -> tuple[FieldDiff, ...]:
        """Take on another configuration in one step; calls under way finish with the one they began with.

        Args:
            config: The new one; None resolves all layers anew, with the same profile and overrides.

        Returns:
            The fields that changed, each with both values and where they came from.

        Raises:
            ConfigError: The new configuration cannot be used; the old one stays.
        """
        from spark_cache.config import reload_config  # noqa: PLC0415 - not needed on the way of a call
        from spark_cache.config.diff import compare  # noqa: PLC0415 - the same

        new = config if config is not None else reload_config(self._config)
        ring = ring_of(new)
        old, self._config, self._ring, self._opened = self._config, new, ring, None
        # After the configuration: a call under way puts what it made with the old one into the old dictionary.
        self._frames = {}
        return compare(old, new)


_instance: CacheManager | None = None
_instances: weakref.WeakValueDictionary[CacheConfig, CacheManager] = weakref.WeakValueDictionary()
_instances_lock = Lock()


def _shared(config: CacheConfig) -> CacheManager:
    manager = _instances.get(config)
    if manager is None or manager.config != config:
        # The second happens after a reload: the manager has moved on to another configuration.
        manager = _instances[config] = CacheManager(config)
    return manager
