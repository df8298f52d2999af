"""The public face of a cache for programs that hold keys."""

from __future__ import annotations

import os
import time
import weakref
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from spark_cache.core.cache import Cache
from spark_cache.core.log_output import apply_log_settings
from spark_cache.errors import ConfigError
from spark_cache.events import StructlogSink
from spark_cache.keys import DigestMemo
from spark_cache.manager.calls import Calls
from spark_cache.manager.entries import Entries
from spark_cache.manager.maintenance import Maintenance
from spark_cache.providers.known import near_name, plain_request
from spark_cache.types import CacheKey, Mode, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date, timedelta
    from pathlib import Path

    from spark_cache.config import CacheConfig, FieldDiff
    from spark_cache.entries import CacheEntry
    from spark_cache.events import Sink
    from spark_cache.explain import Explanation
    from spark_cache.types import EntryMeta

__all__ = ["CacheManager"]


class CacheManager:
    """Reads, writes and manages the entries of a cache directory.

    ``enabled`` only affects :meth:`get` and :meth:`set`; the other methods always work on the directory. Managers of the
    same real directory share its store and its counts. Safe for threads, tasks and processes.

    Args:
        config: The configuration; None loads it with :func:`spark_cache.load_config`.
        clock: Returns the time in seconds since the epoch.
        sink: Receives events; None is the standard logger ``spark_cache``.

    Raises:
        ConfigError: The configuration cannot be used.

    Attributes:
        calls: The cache's part in model calls, for models. A call keeps the object it began with.
    """

    def __init__(
        self,
        config: CacheConfig | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sink: Sink | None = None,
    ) -> None:
        self._clock = clock
        self._sink: Sink = sink if sink is not None else StructlogSink()
        self._memo = DigestMemo()
        self._use(_loaded(config))
        apply_log_settings(self.config)

    def _use(self, config: CacheConfig) -> None:
        cache = Cache(config, clock=self._clock, sink=self._sink, memo=self._memo)
        # Each method uses one of these, so no thread sees parts of two configurations.
        self._cache, self._entries, self._maintenance = cache, Entries(cache), Maintenance(cache)
        self.calls = Calls(cache)

    def __copy__(self) -> CacheManager:
        return self

    def __deepcopy__(self, _: object) -> CacheManager:
        return self  # a copied model shares the cache

    def __reduce__(self) -> tuple[Any, ...]:
        config = self.config
        arguments, changes = config.provenance.arguments, config.provenance.changes
        if (
            config.fernet_keys()
            and arguments is not None
            and arguments["environ"] is None
            and config.origins["encryption_keys"].kind != "constructor"
        ):
            # Encryption keys do not travel: the other process loads them as this one did.
            return _shared_again, ({**arguments, "cache_dir": config.cache_dir}, changes)
        # Keys that were given in code cannot be loaded again, and the configuration refuses to be pickled.
        return CacheManager.shared, (config,)

    @property
    def config(self) -> CacheConfig:
        """The configuration in force."""
        return self._cache.config

    @property
    def cache_dir(self) -> Path:
        """The cache directory, absolute. It may not exist yet."""
        return self._cache.path

    # -- shared instances --------------------------------------------------------------------------------------

    @classmethod
    def get_instance(cls, config: CacheConfig | None = None) -> CacheManager:
        """Return the manager of this process, which is created on first use.

        Args:
            config: Its configuration; None accepts the existing manager, or loads the configuration.

        Raises:
            ConfigError: The manager exists with a different configuration.
        """
        global _instance  # noqa: PLW0603 - the one documented singleton
        with _instances_lock:
            if _instance is None:
                _instance = _shared(_loaded(config))
            elif config is not None and config != _instance.config:
                raise ConfigError(
                    "CacheManager.get_instance() was called before with another configuration. "
                    "Call CacheManager.reset_instance() first, or make an independent CacheManager(config)."
                )
            return _instance

    @classmethod
    def reset_instance(cls) -> None:
        """Forget the manager of this process; the next :meth:`get_instance` creates one. Entries stay."""
        global _instance  # noqa: PLW0603 - the one documented singleton
        with _instances_lock:
            _instance = None

    @classmethod
    def shared(cls, config: CacheConfig) -> CacheManager:
        """Return the manager that all models with an equal configuration share."""
        with _instances_lock:
            return _shared(config)

    @classmethod
    def shared_off(cls) -> CacheManager:
        """Return the manager of models whose cache is turned off in code.

        The settings are still read, because replay mode refuses the calls of these models. Settings that cannot be used
        are a warning: with the cache off, no call fails because of them.
        """
        from spark_cache.config import CacheConfig, load_config  # noqa: PLC0415 - the first configuration imports pydantic
        from spark_cache.config.warn import warn_once  # noqa: PLC0415 - the same

        try:
            config = load_config(enabled=False)
        except ConfigError as error:
            warn_once(f"the cache is turned off in code, and its settings cannot be used: {error}")
            config = CacheConfig()
        return cls.shared(config)

    @classmethod
    def reload_shared(cls) -> None:
        """Reload every shared manager. One whose new configuration cannot be used stays as it is."""
        with _instances_lock:
            managers = list(_instances.values())
        for manager in managers:
            with suppress(ConfigError):
                manager.reload()

    def reload(self, config: CacheConfig | None = None) -> tuple[FieldDiff, ...]:
        """Switch to another configuration in one step. Running calls finish with the one they began with.

        Args:
            config: The new configuration; None resolves all layers again, with the same profile and overrides.

        Returns:
            The fields that changed, each with both values and their origins.

        Raises:
            ConfigError: The new configuration cannot be used. The old one stays.
        """
        from spark_cache.config import reload_config  # noqa: PLC0415 - calls do not need it
        from spark_cache.config.diff import compare  # noqa: PLC0415 - the same

        old = self.config
        self._use(config if config is not None else reload_config(old))
        return compare(old, self.config)

    # -- keys --------------------------------------------------------------------------------------------------

    def generate_cache_key(
        self,
        provider: str,
        model_id: str,
        messages: Any,
        system_prompt: Any = None,
        tool_specs: Any = None,
        *,
        tool_choice: Any = None,
        output_schema: Any = None,
        operation: str = "text",
        endpoint: str | None = None,
        sample: int | None = None,
        **parameters: Any,
    ) -> CacheKey:
        """Return the key of a request.

        The key of a request to OpenAI, Bedrock, Gemini or Anthropic is the key that a model without further arguments uses: it is
        made of the body that the model would send, and of the address and the headers that the environment names. Requests to
        other providers are keyed by their arguments.

        Args:
            provider: The provider, such as ``openai``.
            model_id: The provider's name for the model.
            messages: The conversation, or the text of a single message.
            system_prompt: System instructions in addition to the messages.
            tool_specs: The tools that the model may call.
            tool_choice: The tool that the model should call.
            output_schema: The schema of a structured answer.
            operation: ``text``, ``json`` or ``embedding``.
            endpoint: The address, if it is not the one that the environment names. A configured endpoint takes precedence.
            sample: The number of this sample, to keep several answers to one request.
            **parameters: All other parameters of the request. ``api="responses"`` chooses OpenAI's Responses API.

        Returns:
            The key, as 64 hex digits.

        Raises:
            TypeError: ``messages`` or ``tool_specs`` is not a list, or a parameter must be given elsewhere.
            ValueError: ``api`` is neither of OpenAI's two.
            UncacheableRequestError: The request holds a value that cannot be keyed exactly.
        """
        self._warn_of_near_name(provider)
        request = plain_request(
            provider,
            model_id,
            messages,
            system_prompt,
            tool_specs,
            tool_choice,
            output_schema,
            operation,
            endpoint,
            sample,
            parameters,
            os.environ,
        )
        return self.key(request)

    def _warn_of_near_name(self, provider: str) -> None:
        near = near_name(provider) if isinstance(provider, str) else None
        if near is not None:
            self._cache.warn_once(
                "key a request", f"provider {provider!r} is not known: did you mean {near!r}?"
            )

    def key(self, request: Request, *, sensitive: bool = False) -> CacheKey:
        """Return the key of a request.

        Args:
            request: The request.
            sensitive: Whether the request is sensitive. The key is the same, but nothing of it is kept in memory.

        Raises:
            UncacheableRequestError: The request holds a value that cannot be keyed exactly.
        """
        return self._cache.planner.key(request, sensitive=sensitive)

    # -- entries by key ----------------------------------------------------------------------------------------

    def get(self, cache_key: str, provider: str | None = None) -> dict[str, Any] | None:
        """Return the response stored under a key, equal to the one given to :meth:`set`; None on a miss.

        Args:
            cache_key: A key from :meth:`generate_cache_key`, or any string that was given to :meth:`set`.
            provider: The only provider to search for a string. A :class:`spark_cache.CacheKey` knows its provider.
        """
        return self._entries.get(cache_key, provider)

    def get_entry(self, cache_key: str) -> CacheEntry | None:
        """Return the whole entry of a key, whatever its age; None if there is none. Does not count as a use.

        Args:
            cache_key: The key.
        """
        return self._entries.get_entry(cache_key)

    def set(
        self,
        cache_key: str,
        provider: str,
        model_id: str,
        request: Any,
        response: dict[str, Any],
        ttl_seconds: float | None = None,
        sensitive: bool | None = None,
    ) -> bool:
        """Store a response under a key.

        Args:
            cache_key: The key, or any string.
            provider: The provider that gave the response.
            model_id: The model that gave it.
            request: The request, which is stored only if the configuration stores requests.
            response: A dictionary of JSON values.
            ttl_seconds: The TTL in seconds; None is the configured TTL, infinity is never.
            sensitive: Whether the response must not be stored as plain text. Rules can only raise it.

        Returns:
            Whether the response is now in the cache. It is not if the cache is off, the mode does not write, or the write
            failed.

        Raises:
            UncacheableResponseError: The response would not come back equal.
            ValueError: The key was made for another provider or model, or the TTL is negative.
        """
        return self._entries.set(
            cache_key,
            provider,
            model_id,
            request=request,
            response=response,
            ttl_seconds=ttl_seconds,
            sensitive=sensitive,
        )

    def has_entry(self, key: str) -> bool:
        """Whether the cache would answer this key now, as far as age and content go.

        Args:
            key: The key.
        """
        return self._entries.has_entry(key)

    def remove_entry(self, key: str) -> bool:
        """Remove the entry of a key and return whether there was one.

        Args:
            key: The key.

        Raises:
            StoreError: The entry exists and cannot be removed.
        """
        return self._entries.remove_entry(key)

    def explain(
        self,
        asked: Request | str,
        model_id: str | None = None,
        messages: Any = None,
        system_prompt: Any = None,
        tool_specs: Any = None,
        *,
        tool_choice: Any = None,
        output_schema: Any = None,
        operation: str = "text",
        endpoint: str | None = None,
        sample: int | None = None,
        mode: Mode | str | None = None,
        sensitive: bool | None = None,
        **parameters: Any,
    ) -> Explanation:
        """Explain why a request misses, or that it hits. Does not count as a use and writes nothing.

        Args:
            asked: A request; or a key or the name of an entry, alone; or the provider, followed by the arguments of
                :meth:`generate_cache_key`.
            model_id: The provider's name for the model.
            messages: The conversation, or the text of a single message.
            system_prompt: System instructions in addition to the messages.
            tool_specs: The tools that the model may call.
            tool_choice: The tool that the model should call.
            output_schema: The schema of a structured answer.
            operation: ``text``, ``json`` or ``embedding``.
            endpoint: The address, if it is not the provider's own.
            sample: The number of this sample.
            mode: The mode that the call asks for; None is the configured one.
            sensitive: Whether the request is sensitive. Rules can only raise it.
            **parameters: All other parameters of the request.

        Returns:
            The reason in words. If no entry has the key, also the nearest entry and how it differs.
        """
        if isinstance(asked, Request):
            request = asked
        elif model_id is None:
            from spark_cache.explain import explain_name  # noqa: PLC0415 - imported for those who ask

            return explain_name(self._cache.open().lookup, self._cache.ring, asked)
        else:
            request = plain_request(
                asked,
                model_id,
                messages,
                system_prompt,
                tool_specs,
                tool_choice,
                output_schema,
                operation,
                endpoint,
                sample,
                parameters,
                os.environ,
            )
        return self.calls.explain(request, mode=None if mode is None else Mode(mode), sensitive=sensitive)

    # -- the whole directory -----------------------------------------------------------------------------------

    def entries(self, provider: str | None = None, model_id: str | None = None) -> Iterator[EntryMeta]:
        """Yield what a listing shows of every entry; unreadable ones are left out.

        Args:
            provider: The only provider to list.
            model_id: The only model to list.
        """
        return self._maintenance.entries(provider, model_id)

    def cleanup_expired(self, provider: str | None = None) -> int:
        """Remove expired entries and return how many there were.

        Args:
            provider: The only provider to clean up.
        """
        return self._maintenance.clean_up(provider)

    def clear_all(self) -> int:
        """Remove every entry and return how many there were."""
        return self._maintenance.clear()

    def clear_provider(self, provider: str) -> int:
        """Remove the entries of a provider and return how many there were.

        Args:
            provider: The provider.
        """
        return self._maintenance.clear(provider)

    def clear_model(self, provider: str, model_id: str) -> int:
        """Remove the entries of a model and return how many there were.

        Args:
            provider: The provider.
            model_id: The model.
        """
        return self._maintenance.clear(provider, model_id)

    def get_stats(self) -> dict[str, Any]:
        """Return the figures of the directory and of this process.

        Returns:
            ``total_entries``; ``total_size_bytes`` (in blocks of 4 KiB) and ``apparent_size_bytes`` (the lengths of the
            files); ``hits``, ``misses``, ``stores``, ``hit_rate`` (0.0 to 1.0) and ``misses_by_reason`` of this process, with
            the other counts of the ledger; the same for all processes under ``lifetime``; ``by_provider[p]`` and
            ``by_model[p][m]``, each with ``entries`` and ``size_bytes``; ``entries_by_provider[p]``; ``cache_dir``.

        Raises:
            StoreError: The directory cannot be listed.
        """
        return self._maintenance.statistics()

    def get_savings(
        self, by: str = "model", since: str | float | timedelta | date | None = None
    ) -> dict[str, Any]:
        """Return what the cache saved, from the ledger of all processes and the prices of ``genai-prices``.

        Args:
            by: How rows are grouped: ``model``, ``provider``, ``profile`` or ``day`` (in UTC).
            since: The first day that counts: a date, a string such as ``2026-11-01``, or how far to go back (seconds, or a
                string such as ``7d``). The whole of that day counts. None counts everything.

        Returns:
            ``by``; ``since``; ``price_table``, its name and version; ``rows``; and ``total``, in the form of a row. A row has
            its group (``provider`` and ``model`` for a model); ``hits``; ``shared``, the calls that got the response of an
            equal running call; ``misses``; ``tokens_saved``, made up of ``input_tokens`` (``cached_tokens`` of them read from
            the provider's prompt cache, ``cache_write_tokens`` written to it) and ``output_tokens`` (``reasoning_tokens`` of
            them); ``seconds_saved``; ``dollars_saved``, which is None if no price is known; and ``unpriced``, the number of
            hits and shared calls without a known price.

        Raises:
            ValueError: ``by`` or ``since`` is not one of these.
        """
        return self._maintenance.savings(by, since)

    def flush(self) -> None:
        """Write the counts that are still in memory, so that nothing is written to the directory later."""
        if self._cache.opened is not None:
            self._maintenance.flush()


def _shared_again(arguments: Mapping[str, Any], changes: Mapping[str, Any] | None) -> CacheManager:
    from spark_cache.config.load import load_again  # noqa: PLC0415 - imports pydantic

    return CacheManager.shared(load_again(arguments, changes))


def _loaded(config: CacheConfig | None) -> CacheConfig:
    from spark_cache.config import CacheConfig, load_config  # noqa: PLC0415 - the first configuration imports pydantic

    if config is None:
        return load_config()
    if not isinstance(config, CacheConfig):
        raise TypeError(f"config must be a CacheConfig, not {type(config).__name__}")
    return config


_instance: CacheManager | None = None
_instances: weakref.WeakValueDictionary[CacheConfig, CacheManager] = weakref.WeakValueDictionary()
_instances_lock = Lock()


def _shared(config: CacheConfig) -> CacheManager:
    manager = _instances.get(config)
    if manager is None or manager.config != config:
        # The manager was reloaded since, and has another configuration.
        manager = _instances[config] = CacheManager(config)
    return manager
