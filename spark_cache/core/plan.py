"""What one call may do with the cache: a pure decision, taken before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from spark_cache.keys import stateful_parameter
from spark_cache.types import MissReason, Mode

if TYPE_CHECKING:
    from spark_cache.config import Policy
    from spark_cache.types import CacheKey, Request

__all__ = ["Hit", "Miss", "Place", "Plan", "mode_of", "must_encrypt", "refusal_of"]


# Named tuples, not dataclasses: each call makes one of every kind, and a frozen dataclass takes twice as long to make.


class Hit(NamedTuple):
    """The cache answered: what was stored, and when, in seconds since the epoch.

    ``answer`` is what the caller's reader made of the stored response, where it gave one.
    """

    response: dict[str, Any]
    timestamp: float
    answer: Any = None


class Miss(NamedTuple):
    """The cache did not answer; ``detail`` says more where the reason alone is not enough."""

    reason: MissReason
    detail: str | None = None


class Place(Protocol):
    """Where entries are kept."""

    def name(self, key: str, *, encrypted: bool) -> str:
        """The file name under which the entry of a key is written."""
        ...


class Plan(NamedTuple):
    """What one call may do with the cache.

    Attributes:
        policy: The settings of the call, after its rules.
        mode: What it may do.
        encrypted: Whether only encrypted entries will do.
        key: Its cache key; None where the cache has no part in the call.
        refusal: Why the cache has no part in it.
        place: Where its entry is kept: a call ends where it began, whatever is reloaded meanwhile.
    """

    policy: Policy
    mode: Mode
    encrypted: bool = False
    key: CacheKey | None = None
    refusal: Miss | None = None
    place: Place | None = None

    @property
    def name(self) -> str | None:
        """The name of its entry, which is what may be shown of the key; None without one. Found when asked for: a hit needs none."""
        if self.key is None or self.place is None:
            return None
        return self.place.name(self.key, encrypted=self.encrypted)


def mode_of(policy: Policy, asked: Mode | None) -> Mode:
    """The mode of a call: the one it asks for, except that replay, once configured, cannot be left."""
    return policy.mode if asked is None or policy.mode is Mode.REPLAY else asked


def must_encrypt(policy: Policy, *, sensitive: bool) -> bool:
    """Whether an entry may only be stored encrypted: rules and requests can only raise the configured level."""
    return policy.encryption == "all" or policy.sensitive or sensitive


def refusal_of(
    request: Request, policy: Policy, asked: Mode | None, *, encrypted: bool, can_encrypt: bool
) -> Miss | None:
    """Why the cache has no part in a call, as far as that is known without its key.

    Args:
        request: What is asked.
        policy: The settings of the call.
        asked: The mode that the call itself asks for.
        encrypted: Whether only encrypted entries will do.
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
