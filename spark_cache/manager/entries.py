"""Look up, store and remove entries by key."""

from __future__ import annotations

from math import inf
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache.core.plan import Hit, Miss, must_encrypt
from spark_cache.entries import CacheEntry
from spark_cache.types import CacheKey, MissReason

if TYPE_CHECKING:
    from spark_cache.config import Policy
    from spark_cache.core.cache import Cache
    from spark_cache.stores import Address

__all__ = ["Entries"]

_PATIENCE = 2.0
"""How long to wait for other threads and processes that write, in seconds. On a busy machine, many writers take turns."""


class Entries:
    """The entries of a cache, for programs that hold keys.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def get(self, key: str, provider: str | None) -> dict[str, Any] | None:
        """Return the response stored under a key; None on a miss. See :meth:`spark_cache.CacheManager.get`."""
        config = self._cache.config
        if not config.enabled and not config.rules:
            return None
        if isinstance(key, CacheKey):
            policy = config.policy(key.provider, key.model_id)
            if not policy.enabled or not policy.mode.reads:
                return None
            encrypted = must_encrypt(policy, sensitive=False)
            found = self._cache.open().lookup.fetch(key, policy, policy.mode, encrypted=encrypted)
        else:
            found = self._find_string(key, provider)
        return found.response if isinstance(found, Hit) else None

    def get_entry(self, key: str) -> CacheEntry | None:
        """Return the whole entry of a key, whatever its age. See :meth:`spark_cache.CacheManager.get_entry`."""
        lookup = self._cache.open().lookup
        for at in lookup.addresses(key):
            entry = lookup.open(at, key)
            if isinstance(entry, CacheEntry):
                return entry
        return None

    def set(
        self,
        key: str,
        provider: str,
        model_id: str,
        *,
        request: Any,
        response: dict[str, Any],
        ttl_seconds: float | None,
        sensitive: bool | None,
    ) -> bool:
        """Store a response under a key. See :meth:`spark_cache.CacheManager.set`."""
        if isinstance(key, CacheKey) and (key.provider, key.model_id) != (provider, model_id):
            raise ValueError(
                f"the key was made for {key.provider}/{key.model_id}, not for {provider}/{model_id}"
            )
        policy = self._cache.config.policy(provider, model_id)
        ttl = policy.ttl_seconds if ttl_seconds is None else _ttl(ttl_seconds)
        if not policy.enabled or not policy.mode.writes or ttl == 0:
            return False
        encrypted = must_encrypt(policy, sensitive=bool(sensitive))
        if encrypted and not self._cache.planner.can_encrypt(policy):
            self._cache.warn_of_refusal(Miss(MissReason.SENSITIVE))
            return False
        writer = self._cache.open().writer
        prepared = writer.prepare(
            key,
            provider,
            model_id,
            request=request,
            response=response,
            ttl=ttl,
            policy=policy,
            mode=policy.mode,
            encrypted=encrypted,
        )
        return prepared is not None and writer.write([prepared], deadline=monotonic() + _PATIENCE)[0]

    def has_entry(self, key: str) -> bool:
        """Whether the cache would answer this key now. See :meth:`spark_cache.CacheManager.has_entry`."""
        return any(
            isinstance(self._judge(at, key)[0], Hit) for at in self._cache.open().lookup.addresses(key)
        )

    def remove_entry(self, key: str) -> bool:
        """Remove the entry of a key. See :meth:`spark_cache.CacheManager.remove_entry`."""
        directory = self._cache.open().directory
        removed = [at.name for at in self._cache.open().lookup.addresses(key) if directory.store.remove(at)]
        for name in removed if self._cache.config.mode.writes else ():
            directory.miss_log.removed(name, "remove")
        return bool(removed)

    def _judge(self, at: Address, key: str) -> tuple[Hit | Miss, Policy, tuple[str, str]]:
        """Open an entry and judge it by the settings of the model that the key, the entry, or else the folder names."""
        lookup, config = self._cache.open().lookup, self._cache.config
        opened = lookup.open(at, key, note_use=config.mode.writes)
        if isinstance(key, CacheKey):
            names = key.provider, key.model_id
        elif isinstance(opened, CacheEntry):
            names = opened.provider, opened.model_id
        else:
            names = at.provider_folder, at.model_folder
        policy = config.policy(*names)
        if isinstance(opened, Miss):
            return opened, policy, names
        stale = lookup.why_stale(opened.timestamp, opened.ttl, policy, policy.mode)
        found = Hit(opened.response, opened.timestamp) if stale is None else Miss(stale)
        return found, policy, names

    def _find_string(self, key: str, provider: str | None) -> Hit | Miss:
        """Find the entry of a string in all folders. It counts as one lookup; the first hit wins."""
        started = perf_counter()
        lookup, config = self._cache.open().lookup, self._cache.config
        found: Hit | Miss = Miss(MissReason.ABSENT)
        about = (provider or "", "", lookup.names.written(key, encrypted=True), config.mode)
        may_read = config.enabled and config.mode.reads
        for at in lookup.addresses(key, provider):
            judged, policy, names = self._judge(at, key)
            if policy.enabled and policy.mode.reads and not isinstance(found, Hit):
                may_read = True
                if judged != Miss(MissReason.ABSENT):
                    encrypted = must_encrypt(policy, sensitive=False)
                    name = lookup.names.shown(at, key, encrypted=encrypted)
                    found, about = judged, (*names, name, policy.mode)
        if not may_read:
            return Miss(MissReason.BYPASSED)
        self._cache.open().recorder.count(found, *about, None, started)
        return found


def _ttl(seconds: float) -> float | None:
    """Return a TTL as an entry holds it: None for infinity."""
    if not isinstance(seconds, int | float) or not seconds >= 0:
        raise ValueError(f"ttl_seconds={seconds!r} must be 0 or more seconds, or None for the configured TTL")
    return None if seconds == inf else seconds
