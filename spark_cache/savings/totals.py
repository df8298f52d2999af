"""Lines and totals: what the ledger counts, what a call consumed, and the sum of all lines."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UNKNOWN_SIZE", "Line", "Sums", "Totals", "add_all", "consumed", "encodable", "total"]

UNKNOWN_SIZE = -1
"""The size of an event that is not a call, or of a call whose tokens are not known by kind."""

_SIZE_STEP = 1000
_MIN_SIZE = 16
"""No price has a lower step. Distinguishing shorter calls would add many lines, and reveal more about each call than necessary."""

_MAX_TOKENS = 10**9
"""More tokens than any single call uses."""


class Line(NamedTuple):
    """The key of one line of the ledger: events that differ in any field are counted separately.

    ``day`` is in UTC. ``size`` is the input of one call in thousands of tokens, rounded up, and at least 16. Where a price depends
    on the length of the input, it depends on each call, and a sum over calls does not show which of them were long.
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
    """The sums of one line: the number of events, and the tokens and seconds of the saved calls."""

    count: int = 0
    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    seconds: float = 0.0

    def add(self, other: Sums) -> None:
        """Add other sums to these.

        Args:
            other: The sums to add.
        """
        self.count += other.count
        self.tokens += other.tokens
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cached_tokens += other.cached_tokens
        self.reasoning_tokens += other.reasoning_tokens
        self.cache_write_tokens += other.cache_write_tokens
        self.seconds += other.seconds


def add_all(lines: dict[Line, Sums], more: Mapping[Line, Sums]) -> None:
    """Add lines to others.

    Args:
        lines: The lines to add to.
        more: The lines to add.
    """
    for line, sums in more.items():
        lines.setdefault(line, Sums()).add(sums)


def encodable(name: str) -> str:
    r"""Return a name in which each lone surrogate is written as ``\udcff``, because SQLite and terminals accept no surrogate.

    Args:
        name: The name of a provider, a model or a profile.
    """
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def consumed(usage: Mapping[str, Any]) -> tuple[int, Sums]:
    """Return the size and the sums of the call behind a stored response.

    The entry may have been written by another program, so values that no call can have are ignored.

    Args:
        usage: ``input_tokens``, ``output_tokens``, ``total_tokens``, ``cached_tokens``, ``cache_write_tokens`` and
            ``reasoning_tokens``. A value that is not known is missing.

    Returns:
        The size of the call, as in :class:`Line`, and its sums. If the usage does not determine what the call costs, because
        input or output is missing or more tokens are cached than there are, the size is unknown and only the total is set.
    """
    inputs, outputs = _number(usage, "input_tokens"), _number(usage, "output_tokens")
    all_tokens = _number(usage, "total_tokens")
    cached, cache_writes = _number(usage, "cached_tokens") or 0, _number(usage, "cache_write_tokens") or 0
    if (
        inputs is None
        or outputs is None
        or cached + cache_writes > inputs
        or (all_tokens and not inputs + outputs)
    ):
        return UNKNOWN_SIZE, Sums(1, all_tokens or 0)
    tokens = inputs + outputs if all_tokens is None else all_tokens
    reasoning = _number(usage, "reasoning_tokens") or 0
    size = max(-(-inputs // _SIZE_STEP), _MIN_SIZE)
    return size, Sums(1, tokens, inputs, outputs, cached, reasoning, cache_writes)


def _number(usage: Mapping[str, Any], name: str) -> int | None:
    tokens = usage.get(name)
    return tokens if type(tokens) is int and 0 <= tokens < _MAX_TOKENS else None


class Totals(NamedTuple):
    """The sum of all lines.

    Attributes:
        hits: Lookups that found a usable entry.
        misses: Lookups that found no usable entry.
        stores: Responses stored.
        evictions: Entries removed because the cache was full.
        expirations: Entries removed because their TTL had passed.
        misses_by_reason: The number of misses for each :class:`spark_cache.MissReason`.
        tokens_saved: The tokens of the saved calls.
        seconds_saved: How long the saved calls took when they were made, in seconds.
    """

    hits: int = 0
    misses: int = 0
    stores: int = 0
    evictions: int = 0
    expirations: int = 0
    misses_by_reason: Mapping[str, int] = MappingProxyType({})
    tokens_saved: int = 0
    seconds_saved: float = 0.0

    @property
    def hit_rate(self) -> float:
        """The share of lookups that were hits. 0.0 before the first lookup."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 0.0


def total(lines: Mapping[Line, Sums]) -> Totals:
    """Return the totals of all lines.

    Args:
        lines: The lines of a ledger.
    """
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
