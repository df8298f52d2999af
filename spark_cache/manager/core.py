"""What every part of a manager stands on: the configuration, the keys of requests, and the entries of the directory."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from spark_cache.core.directory import open_directory
from spark_cache.core.plan import Miss, Plan, must_encrypt
from spark_cache.core.write import EntryStore
from spark_cache.entries import CacheEntry
from spark_cache.events import StructlogSink
from spark_cache.keys import DigestMemo, Frame, digest_of, frame_of, key_of
from spark_cache.types import CacheKey, MissReason, Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spark_cache.config import CacheConfig, Policy
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.events import Sink

    _Frames = dict[tuple[str, str, str, str | None], tuple[Frame, bool]]


__all__ = ["Core", "loaded", "ring_of"]

_FRAMES_REMEMBERED = 1024


class Core:
    """One configuration, and the directory that it names; arguments as for :class:`spark_cache.CacheManager`."""

    def __init__(
        self,
        config: CacheConfig | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sink: Sink | None = None,
    ) -> None:
        self._config = loaded(config)
        self._clock = clock
        self._sink: Sink = sink if sink is not None else StructlogSink()
        self._memo = DigestMemo()
        self._frames: _Frames = {}
        self._ring = ring_of(self._config)
        self._opened: EntryStore | None = None
        if self._config.log_level is not None:
            logging.getLogger("spark_cache").setLevel(self._config.log_level)

    @property
    def config(self) -> CacheConfig:
        """The configuration in force."""
        return self._config

    @property
    def cache_dir(self) -> Path:
        """The cache directory, absolute; it need not exist yet."""
        if self._config.cache_dir is not None:
            return self._config.cache_dir
        from spark_cache.config.context import ConfigContext  # noqa: PLC0415 - a loaded configuration has its directory

        return ConfigContext.of().default_cache_dir

    # -- keys -------------------------------------------------------------------------------------

    def key(self, request: Request, *, sensitive: bool = False) -> CacheKey:
        """Key a request, with the namespace, the version and the endpoint of this configuration.

        Args:
            request: What would be asked.
            sensitive: Whether the request is sensitive: nothing of it is remembered then, and the key is the same.

        Raises:
            UncacheableRequestError: The request holds something that cannot be keyed exactly.
        """
        return self._key(request, encrypted=sensitive)

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
        """Key a request given in its parts; see :class:`spark_cache.types.Request` and :meth:`key`.

        Args:
            provider: The provider it is asked of, such as ``openai``.
            model_id: The model it is asked of.
            messages: The conversation.
            system_prompt: System instructions beside the messages.
            tool_specs: The tools the model may call.
            tool_choice: Which of them it should call.
            output_schema: The schema that a structured answer has to meet.
            operation: ``text``, ``json`` or ``embedding``.
            endpoint: The provider's address where it is not the provider's own; the configured name goes before it.
            sample: Which of several equal requests this is.
            **parameters: Whatever else goes to the provider.

        Returns:
            The key, as 64 hex digits.

        Raises:
            UncacheableRequestError: The request holds something that cannot be keyed exactly.
        """
        frame, encrypted = self._frame(provider, model_id, operation, endpoint)
        # What is sensitive is not remembered, not even as the object behind a digest.
        digest = digest_of if encrypted else self._memo
        return key_of(
            frame,
            digest,
            messages,
            system_prompt,
            tool_specs,
            tool_choice,
            output_schema,
            sample,
            parameters,
        )

    # -- how --------------------------------------------------------------------------------------

    @property
    def _entries(self) -> EntryStore:
        """The entries of the directory, opened when first needed: a cache that is off never gets here."""
        opened, config = self._opened, self._config
        if opened is None or opened.config is not config:
            directory = open_directory(str(self.cache_dir), config, clock=self._clock, sink=self._sink)
            opened = EntryStore(directory, config, ring=self._ring, sink=self._sink)
            self._opened = opened
        return opened

    def _place(self, plan: Plan) -> EntryStore:
        """The entries that a call was planned with."""
        return plan.place if isinstance(plan.place, EntryStore) else self._entries

    def _can_encrypt(self, policy: Policy) -> bool:
        return self._ring is not None and policy.encryption != "off"

    def _key(self, request: Request, *, encrypted: bool) -> CacheKey:
        frame, always = self._frame(request.provider, request.model_id, request.operation, request.endpoint)
        return key_of(
            frame,
            digest_of if encrypted or always else self._memo,
            request.messages,
            request.system_prompt,
            request.tool_specs,
            request.tool_choice,
            request.output_schema,
            request.sample,
            request.parameters,
        )

    def _frame(
        self, provider: str, model_id: str, operation: str, endpoint: str | None
    ) -> tuple[Frame, bool]:
        """What all keys of such requests have in common, and whether they are sensitive by the configuration; remembered."""
        frames = self._frames
        # Only what is text and nothing else: what merely equals it may be written otherwise.
        plain = (
            type(provider) is str
            and type(model_id) is str
            and type(operation) is str
            and (endpoint is None or type(endpoint) is str)
        )
        known = frames.get((provider, model_id, operation, endpoint)) if plain else None
        if known is not None:
            return known
        policy = self._config.policy(provider, model_id)
        place = endpoint if policy.endpoint is None else policy.endpoint
        frame = frame_of(provider, model_id, operation, place, policy.namespace, policy.cache_version)
        known = frame, must_encrypt(policy, sensitive=False)
        if plain:
            if len(frames) >= _FRAMES_REMEMBERED:
                frames.clear()
            frames[provider, model_id, operation, endpoint] = known
        return known

    def _warn_of(self, refusal: Miss) -> None:
        """Say once that a request is answered without the cache, where its author would not expect it."""
        if refusal.reason is MissReason.UNCACHEABLE:
            self._entries.directory.tell(
                "cache a request", refusal.detail or "", profile=self._config.profile
            )
        elif refusal.reason is MissReason.SENSITIVE:
            self._entries.directory.tell(
                "cache a sensitive request",
                "encryption is off or has no key",
                profile=self._config.profile,
                hint="set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE",
            )

    def _entry(
        self,
        key: str,
        provider: str,
        model_id: str,
        request: Any,
        response: dict[str, Any],
        ttl: float | None,
        policy: Policy,
    ) -> CacheEntry:
        return CacheEntry(
            key=key,
            provider=provider,
            model_id=model_id,
            response=response,
            timestamp=self._clock(),
            ttl=ttl,
            profile=self._config.profile,
            digests=key.digests if isinstance(key, CacheKey) else {},
            request=request if policy.store_requests else None,
            namespace=policy.namespace,
        )


def loaded(config: CacheConfig | None) -> CacheConfig:
    """A configuration, or the one that the layers give; raises ConfigError, or TypeError for anything else."""
    from spark_cache.config import CacheConfig, load_config  # noqa: PLC0415 - pydantic is loaded with the first configuration

    if config is None:
        return load_config()
    if not isinstance(config, CacheConfig):
        raise TypeError(f"config takes a CacheConfig, not {type(config).__name__}")
    return config


def ring_of(config: CacheConfig) -> KeyRing | None:
    """The encryption keys of a configuration; None where it has none."""
    keys = config.fernet_keys()
    if not keys:
        return None
    from spark_cache.entries.keyring import KeyRing  # noqa: PLC0415 - without keys there is no need of cryptography

    return KeyRing(keys)
