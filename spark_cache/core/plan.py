"""What one call may do with the cache: a pure decision, made before anything is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.keys import stateful_parameter
from spark_cache.types import MissReason, Mode

if TYPE_CHECKING:
    from spark_cache.config import Policy
    from spark_cache.types import CacheKey, Request

__all__ = ["Hit", "Miss", "Plan", "mode_of", "must_encrypt", "refusal_of"]


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
    stateful = stateful_parameter(request.parameters)
    if stateful is not None:
        return Miss(MissReason.STATEFUL, f"parameters.{stateful}")
    if encrypted and not can_encrypt:
        return Miss(MissReason.SENSITIVE)
    return None
