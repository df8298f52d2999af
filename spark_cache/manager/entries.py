"""Entries by their keys, for programs that make their own calls."""

from __future__ import annotations

from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache.core.plan import Hit, Miss, must_encrypt
from spark_cache.entries import CacheEntry
from spark_cache.manager.core import Core
from spark_cache.types import CacheKey, MissReason

if TYPE_CHECKING:
    from spark_cache.config import Policy
    from spark_cache.stores import Address


__all__ = ["KeyedEntries"]


class KeyedEntries(Core):
    """What a program asks that holds a key."""

    def get(self, cache_key: str, provider: str | None = None) -> dict[str, Any] | None:
        """The response stored under a key, equal to what was given to :meth:`set`; None on a miss or with the cache off.

        Args:
            cache_key: A key of :meth:`generate_cache_key`, or any text that was given to :meth:`set`.
            provider: Where to look for a plain text; a :class:`spark_cache.CacheKey` knows its own.
        """
        if not self._config.enabled and not self._config.rules:
            return None
        if isinstance(cache_key, CacheKey):
            policy = self._config.policy(cache_key.provider, cache_key.model_id)
            if not policy.enabled or not policy.mode.reads:
                return None
            encrypted = must_encrypt(policy, sensitive=False)
            # In one pass, as of a model's usual hit: see ``PlannedCalls.usual_hit``.
            response: dict[str, Any] | None = self._entries.usual_hit(cache_key, policy, encrypted=encrypted)
            if response is not None:
                return response
            found = self._entries.fetch(cache_key, policy, policy.mode, encrypted=encrypted)
        else:
            found = self._found_by_text(cache_key, provider)
        return found.response if isinstance(found, Hit) else None

    def get_entry(self, cache_key: str) -> CacheEntry | None:
        """The whole entry of a key, whatever its age; None when there is none that can be read. Counts as no use."""
        for at in self._entries.addresses(cache_key):
            entry = self._entries.open(at, cache_key)
            if isinstance(entry, CacheEntry):
                return entry
        return None

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
            cache_key: The key; any text.
            provider: The provider that gave the response.
            model_id: The model that gave it.
            request: What was asked; stored only where requests are stored.
            response: A dictionary of JSON values.
            ttl_seconds: How long it may live, in seconds; None is the configured time, infinity for ever.
            sensitive: Whether it must not be stored as plain text; rules can only raise it.

        Returns:
            Whether it is now in the cache; not with the cache off, in a mode that writes nothing, or after a fault of the machine.

        Raises:
            UncacheableResponseError: The response would not come back equal.
            ValueError: The key belongs to another provider or model, or the lifetime is not a number from 0 up.
        """
        if isinstance(cache_key, CacheKey) and (cache_key.provider, cache_key.model_id) != (
            provider,
            model_id,
        ):
            raise ValueError(
                f"the key was made for {cache_key.provider}/{cache_key.model_id}, not for {provider}/{model_id}"
            )
        policy = self._config.policy(provider, model_id)
        ttl = policy.ttl_seconds if ttl_seconds is None else _lifetime(ttl_seconds)
        if not policy.enabled or not policy.mode.writes or ttl == 0:
            return False
        encrypted = must_encrypt(policy, sensitive=bool(sensitive))
        if encrypted and not self._can_encrypt(policy):
            self._warn_of(Miss(MissReason.SENSITIVE))
            return False
        entry = self._entry(cache_key, provider, model_id, request, response, ttl, policy)
        return self._entries.put(entry, encrypted=encrypted)

    def has_entry(self, key: str) -> bool:
        """Whether an entry of this key would be answered now, as far as its age and content go."""
        return any(isinstance(self._found(at, key)[0], Hit) for at in self._entries.addresses(key))

    def remove_entry(self, key: str) -> bool:
        """Remove the entry of a key; whether there was one.

        Raises:
            StoreError: It is there and could not be removed.
        """
        directory = self._entries.directory
        removed = [at.name for at in self._entries.addresses(key) if directory.store.remove(at)]
        for name in removed:
            directory.miss_log.removed(name, "remove")
        return bool(removed)

    def _found(self, at: Address, key: str) -> tuple[Hit | Miss, Policy, tuple[str, str]]:
        """What stands at an address, judged by the settings of the model that the key, the entry, or else the folder names."""
        found = self._entries.open(at, key, note_use=self._config.mode.writes)
        if isinstance(key, CacheKey):
            names = key.provider, key.model_id
        elif isinstance(found, CacheEntry):
            names = found.provider, found.model_id
        else:
            names = at.provider_folder, at.model_folder
        policy = self._config.policy(*names)
        return self._entries.fresh(found, policy, policy.mode), policy, names

    def _found_by_text(self, key: str, provider: str | None) -> Hit | Miss:
        """What the entry of a plain text answers: one question, however many folders hold one; the first hit decides."""
        started = perf_counter()
        found: Hit | Miss = Miss(MissReason.ABSENT)
        about = (provider or "", "", self._entries.name(key, encrypted=True), self._config.mode)
        asked = self._config.enabled and self._config.mode.reads
        for at in self._entries.addresses(key, provider):
            judged, policy, names = self._found(at, key)
            if policy.enabled and policy.mode.reads and not isinstance(found, Hit):
                asked = True
                if judged != Miss(MissReason.ABSENT):
                    encrypted = must_encrypt(policy, sensitive=False)
                    name = self._entries.shown_name(at, key, encrypted=encrypted)
                    found, about = judged, (*names, name, policy.mode)
        if not asked:
            return Miss(MissReason.BYPASSED)
        self._entries.recorder.count(found, *about, None, started)
        return found


def _lifetime(seconds: float) -> float | None:
    """A lifetime as an entry holds it: None is for ever."""
    if not isinstance(seconds, int | float) or not seconds >= 0:
        raise ValueError(
            f"ttl_seconds={seconds!r}: it takes seconds from 0 up, or None for the configured time"
        )
    return None if seconds == inf else seconds
