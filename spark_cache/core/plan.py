"""What one call may do with the cache, and under which key: decided before anything is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.errors import UncacheableRequestError
from spark_cache.keys import DigestMemo, Frame, digest_of, frame_of, key_of, state_path, without_ignored
from spark_cache.types import MissReason, Mode

if TYPE_CHECKING:
    from spark_cache.config import CacheConfig, Policy
    from spark_cache.types import CacheKey, Request

__all__ = ["Hit", "Miss", "Plan", "Planner", "mode_of", "must_encrypt", "refusal_of"]

_FRAMES_REMEMBERED = 1024


# Named tuples: every call makes one of each, and a frozen dataclass takes four times as long to make.


class Hit(NamedTuple):
    """A response from the cache.

    Attributes:
        response: The stored dictionary.
        timestamp: When it was stored, in seconds since the epoch.
        answer: What the caller's parser made of the response, if there was one.
    """

    response: dict[str, Any]
    timestamp: float
    answer: Any = None


class Miss(NamedTuple):
    """The reason why the cache has no response, with detail where the reason alone is not enough."""

    reason: MissReason
    detail: str | None = None


class Plan(NamedTuple):
    """What one call may do with the cache.

    Attributes:
        policy: The settings of the call, after its rules.
        mode: What the call may do.
        encrypted: Whether only encrypted entries may be read and written.
        key: The cache key; None if the call bypasses the cache.
        refusal: Why the call bypasses the cache.
    """

    policy: Policy
    mode: Mode
    encrypted: bool = False
    key: CacheKey | None = None
    refusal: Miss | None = None


def mode_of(policy: Policy, asked: Mode | None) -> Mode:
    """Return the mode of a call: the one it asks for, unless the configured mode is replay, which cannot be left."""
    return policy.mode if asked is None or policy.mode is Mode.REPLAY else asked


def must_encrypt(policy: Policy, *, sensitive: bool) -> bool:
    """Whether an entry may only be stored encrypted. Rules and requests can only raise the configured level."""
    return policy.encryption == "all" or policy.sensitive or sensitive


def refusal_of(
    request: Request, policy: Policy, asked: Mode | None, *, encrypted: bool, can_encrypt: bool
) -> Miss | None:
    """Return why a call bypasses the cache, as far as that is known without its key.

    Args:
        request: The request.
        policy: The settings of the call.
        asked: The mode that the call itself asks for.
        encrypted: Whether only encrypted entries may be used.
        can_encrypt: Whether encryption is on and has a key.
    """
    if not policy.enabled:
        return Miss(MissReason.DISABLED)
    if (asked or policy.mode) is Mode.BYPASS:
        return Miss(MissReason.BYPASSED)
    if policy.ttl_seconds == 0:
        return Miss(MissReason.NO_TTL)
    state = state_path(request)
    if state is not None:
        return Miss(MissReason.STATEFUL, state)
    if encrypted and not can_encrypt:
        return Miss(MissReason.SENSITIVE)
    return None


class Planner:
    """Plans calls under one configuration, and keys their requests.

    Args:
        config: The configuration.
        memo: Digests of long values that were hashed before.
        has_key: Whether there is an encryption key.
    """

    def __init__(self, config: CacheConfig, memo: DigestMemo, *, has_key: bool) -> None:
        self._config = config
        self._memo = memo
        self._has_key = has_key
        self._frames: dict[tuple[str, str, str, str | None], tuple[Frame, bool, tuple[str, ...]]] = {}

    def plan(self, request: Request, *, mode: Mode | None, sensitive: bool) -> Plan:
        """Decide what a call may do with the cache, and key its request if it may do anything.

        Args:
            request: The request.
            mode: The mode that the call asks for; None is the configured one.
            sensitive: Whether the call declares its request sensitive.
        """
        policy = self._config.policy(request.provider, request.model_id)
        chosen = mode_of(policy, mode)
        encrypted = must_encrypt(policy, sensitive=sensitive)
        can_encrypt = self.can_encrypt(policy)
        refusal = refusal_of(request, policy, mode, encrypted=encrypted, can_encrypt=can_encrypt)
        if refusal is None:
            try:
                return Plan(policy, chosen, encrypted, self.key(request, sensitive=encrypted))
            except UncacheableRequestError as error:
                # The names inside a sensitive request may reveal as much as its values, so only its part is shown.
                part = error.path.partition(".")[0].partition("[")[0] if encrypted else error.path
                refusal = Miss(MissReason.UNCACHEABLE, f"{part}: {error.reason}")
        return Plan(policy, chosen, encrypted, refusal=refusal)

    def can_encrypt(self, policy: Policy) -> bool:
        """Whether encryption is on and has a key.

        Args:
            policy: The settings of the call.
        """
        return self._has_key and policy.encryption != "off"

    def key(self, request: Request, *, sensitive: bool) -> CacheKey:
        """Key a request with the namespace, version and endpoint of the configuration.

        Args:
            request: The request.
            sensitive: Whether the request is sensitive. Nothing of a sensitive request is kept in memory.

        Raises:
            UncacheableRequestError: The request holds a value that cannot be part of a cache key.
        """
        frame, always_sensitive, ignored = self._frame(request)
        if ignored:
            request = without_ignored(request, ignored)
        # A sensitive value is not remembered, not even as the object behind a digest.
        return key_of(frame, digest_of if sensitive or always_sensitive else self._memo, request)

    def _frame(self, request: Request) -> tuple[Frame, bool, tuple[str, ...]]:
        """Return the part of the key that such requests share, whether they are sensitive, and which fields are ignored."""
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
        known = frame, must_encrypt(policy, sensitive=False), policy.ignore
        if plain:
            if len(self._frames) >= _FRAMES_REMEMBERED:
                self._frames.clear()
            self._frames[provider, model_id, operation, endpoint] = known
        return known
