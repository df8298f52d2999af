"""Cache keys under one configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_cache.core.plan import must_encrypt
from spark_cache.keys import DigestMemo, Frame, digest_of, frame_of, key_of

if TYPE_CHECKING:
    from spark_cache.config import CacheConfig
    from spark_cache.types import CacheKey, Request

__all__ = ["KeyMaker"]

_FRAMES_REMEMBERED = 1024


class KeyMaker:
    """Makes keys with the namespace, version and endpoint of a configuration.

    Args:
        config: The configuration.
        memo: Digests of long values that were hashed before.
    """

    def __init__(self, config: CacheConfig, memo: DigestMemo) -> None:
        self._config = config
        self._memo = memo
        self._frames: dict[tuple[str, str, str, str | None], tuple[Frame, bool]] = {}

    def key(self, request: Request, *, sensitive: bool) -> CacheKey:
        """Key a request.

        Args:
            request: The request.
            sensitive: Whether the request is sensitive. Nothing of a sensitive request is kept in memory.

        Raises:
            UncacheableRequestError: The request holds a value that cannot be keyed exactly.
        """
        frame, always_sensitive = self._frame(request)
        # A sensitive value is not remembered, not even as the object behind a digest.
        return key_of(frame, digest_of if sensitive or always_sensitive else self._memo, request)

    def _frame(self, request: Request) -> tuple[Frame, bool]:
        """Return the part of the key that such requests share, and whether the configuration makes them sensitive."""
        provider, model_id, operation, endpoint = (
            request.provider,
            request.model_id,
            request.operation,
            request.endpoint,
        )
        # A str subclass can compare equal to a name that is written differently, so only plain ones are remembered.
        plain = (
            type(provider) is str
            and type(model_id) is str
            and type(operation) is str
            and (endpoint is None or type(endpoint) is str)
        )
        known = self._frames.get((provider, model_id, operation, endpoint)) if plain else None
        if known is not None:
            return known
        policy = self._config.policy(provider, model_id)
        address = endpoint if policy.endpoint is None else policy.endpoint
        frame = frame_of(provider, model_id, operation, address, policy.namespace, policy.cache_version)
        known = frame, must_encrypt(policy, sensitive=False)
        if plain:
            if len(self._frames) >= _FRAMES_REMEMBERED:
                self._frames.clear()
            self._frames[provider, model_id, operation, endpoint] = known
        return known
