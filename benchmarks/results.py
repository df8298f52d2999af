"""What was measured: a value for each round, and why something was not."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CapRun", "Growth", "Results", "Series"]


@dataclass(frozen=True, slots=True)
class Series:
    """One figure, measured once a round.

    Attributes:
        values: In seconds, or a ratio; in the order of the rounds.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.values)

    @property
    def low(self) -> float:
        """The least of the rounds."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The greatest of the rounds."""
        return max(self.values)

    def over(self, other: Series) -> Series:
        """The ratio to another figure, round by round: what slows the machine for a while slows both."""
        return self._with(other, lambda mine, theirs: mine / theirs)

    def plus(self, other: Series, times: int = 1) -> Series:
        """The sum with ``times`` another figure, round by round."""
        return self._with(other, lambda mine, theirs: mine + times * theirs)

    def scaled(self, factor: float) -> Series:
        """The same in another unit."""
        return Series(tuple(value * factor for value in self.values))

    def _with(self, other: Series, join: Callable[[float, float], float]) -> Series:
        return Series(tuple(join(*pair) for pair in zip(self.values, other.values, strict=True)))


@dataclass(frozen=True, slots=True)
class CapRun:
    """Puts into a cache that is as large as it may be.

    Attributes:
        seconds: The time of every put.
        size_over_cap: How large the cache was at the end, as a share of its cap; None for one that knows no cap.
    """

    seconds: tuple[float, ...]
    size_over_cap: float | None

    def share(self, part: float) -> float:
        """The time, in seconds, that this part of the puts did not exceed: 0.5 is the median."""
        return sorted(self.seconds)[min(int(part * len(self.seconds)), len(self.seconds) - 1)]


@dataclass(frozen=True, slots=True)
class Growth:
    """A cache of so many entries.

    Attributes:
        figures: By figure, then by contender.
        first_count: The first count of a process that has just opened the cache, in seconds, by contender.
        caps: Puts at the cap, by contender.
    """

    figures: dict[str, dict[str, Series]] = field(default_factory=dict)
    first_count: dict[str, float] = field(default_factory=dict)
    caps: dict[str, CapRun] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that a run has measured.

    Attributes:
        entries: How many entries the caches held that were asked.
        calls: Seconds for a call, by row, then by contender.
        growth: By number of entries.
        imports: Seconds that an import adds to starting Python, by statement.
        missing: Why something was not measured, by what it is.
    """

    entries: int
    calls: dict[str, dict[str, Series]] = field(default_factory=dict)
    growth: dict[int, Growth] = field(default_factory=dict)
    imports: dict[str, Series] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
