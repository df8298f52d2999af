"""What the ledger adds up: lines of figures, what a call consumed, and all of it together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UNKNOWN_SIZE", "Line", "Sums", "Totals", "consumed", "total"]

UNKNOWN_SIZE = -1
"""The size of what is no call, and of a call whose tokens are not known by their kind."""

_SIZE_STEP = 1000
_LEAST_SIZE = 16
"""No price has a step below: to tell shorter calls apart would make many lines, and say more of each call than it need."""

_TOO_MANY = 10**9
"""Tokens that no single call takes."""


class Line(NamedTuple):
    """What is counted apart.

    ``day`` is in UTC. ``size`` is the input of one call in thousands of tokens, rounded up, and 16 at the least: where a price
    depends on the length of the input, it does so for each call, and a sum of calls could not tell which were long.
    """

    day: str
    profile: str
    provider: str
    model: str
    event: str
    reason: str
    size: int = UNKNOWN_SIZE


@dataclass(slots=True)
class Sums:
    """What a line adds up to: how often, and the tokens and seconds of the calls that were spared."""

    count: int = 0
    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    seconds: float = 0.0

    def add(self, other: Sums) -> None:
        """Add to each sum."""
        self.count += other.count
        self.tokens += other.tokens
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cached_tokens += other.cached_tokens
        self.reasoning_tokens += other.reasoning_tokens
        self.cache_write_tokens += other.cache_write_tokens
        self.seconds += other.seconds


def consumed(usage: Mapping[str, Any]) -> tuple[int, Sums]:
    """Understand what a stored answer says of its call.

    Anybody may have written the file: numbers that no call can have are not taken over.

    Args:
        usage: ``input_tokens``, ``output_tokens``, ``total_tokens``, ``cached_tokens``, ``cache_write_tokens`` and
            ``reasoning_tokens``, each missing where it is not known.

    Returns:
        The size of the call as a :class:`Line` has it, and its figures. The size is unknown, and the kinds are zero, where
        they do not say what the call would cost: without input or output, or with more cached than there was.
    """
    given, written = _number(usage, "input_tokens"), _number(usage, "output_tokens")
    all_tokens = _number(usage, "total_tokens")
    cached, kept = _number(usage, "cached_tokens") or 0, _number(usage, "cache_write_tokens") or 0
    if given is None or written is None or cached + kept > given or (all_tokens and not given + written):
        return UNKNOWN_SIZE, Sums(1, all_tokens or 0)
    tokens = given + written if all_tokens is None else all_tokens
    reasoning = _number(usage, "reasoning_tokens") or 0
    return max(-(-given // _SIZE_STEP), _LEAST_SIZE), Sums(1, tokens, given, written, cached, reasoning, kept)


def _number(usage: Mapping[str, Any], name: str) -> int | None:
    tokens = usage.get(name)
    return tokens if type(tokens) is int and 0 <= tokens < _TOO_MANY else None


@dataclass(frozen=True, slots=True)
class Totals:
    """All lines together.

    Attributes:
        hits: Answers from the cache.
        misses: Questions that it could not answer.
        stores: Answers stored.
        evictions: Entries removed because the cache was full.
        expirations: Entries removed because their lifetime was over.
        misses_by_reason: The misses by :class:`spark_cache.MissReason`.
        tokens_saved: Tokens of the calls that were spared.
        seconds_saved: What those calls took when they were made, in seconds.
    """

    hits: int = 0
    misses: int = 0
    stores: int = 0
    evictions: int = 0
    expirations: int = 0
    misses_by_reason: Mapping[str, int] = field(default_factory=dict)
    tokens_saved: int = 0
    seconds_saved: float = 0.0

    @property
    def hit_rate(self) -> float:
        """The share of questions that the cache answered; 0.0 before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


def total(lines: Mapping[Line, Sums]) -> Totals:
    """Add up all lines."""
    counts = dict.fromkeys(("hit", "miss", "store", "evict", "expire"), 0)
    reasons: dict[str, int] = {}
    tokens, seconds = 0, 0.0
    for line, sums in lines.items():
        counts[line.event] = counts.get(line.event, 0) + sums.count
        if line.event == "miss":
            reasons[line.reason] = reasons.get(line.reason, 0) + sums.count
        tokens += sums.tokens
        seconds += sums.seconds
    return Totals(
        hits=counts["hit"],
        misses=counts["miss"],
        stores=counts["store"],
        evictions=counts["evict"],
        expirations=counts["expire"],
        misses_by_reason=reasons,
        tokens_saved=tokens,
        seconds_saved=seconds,
    )
